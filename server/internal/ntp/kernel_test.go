package ntp

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestWhatTheKernelSays(t *testing.T) {
	second := now.Truncate(time.Second)
	cases := []struct {
		name         string
		timex        unix.Timex
		state        int
		localStratum int
		want         Clock
	}{
		{
			"a disciplined clock", unix.Timex{Status: unix.STA_PLL, Maxerror: 12_500}, unix.TIME_OK, 0,
			Clock{Synchronised: true, Stratum: kernelStratum, RootDispersion: 12500 * time.Microsecond, RefID: kernelRefID, RefTime: second},
		},
		{
			"a leap second to be inserted", unix.Timex{Status: unix.STA_INS}, unix.TIME_INS, 0,
			Clock{Synchronised: true, Leap: LeapInsert, Stratum: kernelStratum, RefID: kernelRefID, RefTime: second},
		},
		{
			"a leap second to be deleted", unix.Timex{Status: unix.STA_DEL}, unix.TIME_DEL, 0,
			Clock{Synchronised: true, Leap: LeapDelete, Stratum: kernelStratum, RefID: kernelRefID, RefTime: second},
		},
		{"a clock that nobody disciplines", unix.Timex{Status: unix.STA_UNSYNC, Maxerror: 16_000_000}, unix.TIME_ERROR, 0, Clock{}},
		{"an error alone", unix.Timex{}, unix.TIME_ERROR, 0, Clock{}},
		{
			"an island's clock is the reference there", unix.Timex{Status: unix.STA_UNSYNC, Maxerror: 16_000_000}, unix.TIME_ERROR, 10,
			Clock{Synchronised: true, Stratum: 10, RootDispersion: localDispersion, RefID: localRefID, RefTime: second},
		},
		{
			"a local stratum beyond the last is the last", unix.Timex{Status: unix.STA_UNSYNC}, unix.TIME_ERROR, 400,
			Clock{Synchronised: true, Stratum: 15, RootDispersion: localDispersion, RefID: localRefID, RefTime: second},
		},
		{
			"a disciplined clock needs no local stratum", unix.Timex{Maxerror: 1}, unix.TIME_OK, 10,
			Clock{Synchronised: true, Stratum: kernelStratum, RootDispersion: time.Microsecond, RefID: kernelRefID, RefTime: second},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, fromTimex(c.timex, c.state, now, c.localStratum)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestThisMachinesKernelAnswers(t *testing.T) {
	clock, err := Kernel(10)(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if !clock.Synchronised || clock.Stratum == 0 || clock.RefTime.IsZero() {
		t.Errorf("got %+v; want a clock that is synchronised, at least as an island's", clock)
	}
}
