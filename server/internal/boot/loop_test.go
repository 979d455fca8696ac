package boot

import (
	"fmt"
	"testing"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestALoopIsToldOnceAWindow(t *testing.T) {
	const m = time.Minute
	cases := []struct {
		name string
		asks []time.Duration
		told []int // which of the requests, from 1
	}{
		{"five times are no loop", []time.Duration{0, 1 * m, 2 * m, 3 * m, 4 * m}, nil},
		{"the sixth is", []time.Duration{0, 1 * m, 2 * m, 3 * m, 4 * m, 5 * m}, []int{6}},
		{"it is told once", []time.Duration{0, 0, 0, 0, 0, 0, 1 * m, 2 * m, 3 * m}, []int{6}},
		{"the sixth after ten minutes is the first of a new window", []time.Duration{0, 1 * m, 2 * m, 3 * m, 4 * m, 10 * m}, nil},
		{"a machine that goes on so is told of again", []time.Duration{0, 0, 0, 0, 0, 0, 10 * m, 10 * m, 11 * m, 12 * m, 13 * m, 14 * m}, []int{6, 12}},
		{"once in a while is no loop", []time.Duration{0, 9 * m, 18 * m, 27 * m, 36 * m, 45 * m, 54 * m}, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			l, told := newLoops(), []int(nil)
			for i, at := range c.asks {
				if times, looping := l.asked(testMAC, start.Add(at)); looping {
					told = append(told, i+1)
					if times != loopTimes+1 {
						t.Errorf("got %d times; want %d", times, loopTimes+1)
					}
				}
				l.asked("52:54:00:00:00:99", start.Add(at).Add(-9*m)) // another machine does not count
			}
			if fmt.Sprint(told) != fmt.Sprint(c.told) {
				t.Errorf("got told with %v; want %v", told, c.told)
			}
		})
	}
}

func TestCountingIsBounded(t *testing.T) {
	l := newLoops()
	for i := range loopMachines + 20 {
		l.asked(metal.MAC(fmt.Sprint(i)), start.Add(time.Duration(i)*time.Millisecond))
		if i == 0 || len(l.counts) <= loopMachines {
			continue
		}
		t.Fatalf("got %d machines counted; want at most %d", len(l.counts), loopMachines)
	}
	if _, old := l.counts["0"]; old {
		t.Error("got the oldest window kept; want it to make room")
	}
	l.asked(testMAC, start.Add(time.Hour))
	if got := len(l.counts); got != 1 {
		t.Errorf("got %d windows after all were over; want only the new one", got)
	}
}
