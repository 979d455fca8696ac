package udp

import (
	"testing"
	"time"
)

var noon = time.Unix(1_800_000_000, 0)

func TestFewLeaveAtOnce(t *testing.T) {
	for _, waiting := range []int{1, 2, burst - 1, burst} {
		var p pace
		if count, pause := p.allowed(noon, waiting); count != waiting || pause != 0 {
			t.Errorf("got %d of %d allowed, the others after %v; want all at once", count, waiting, pause)
		}
	}
}

// leave has replies leave, which come so many a millisecond, and returns when each batch left and how large it was.
func leave(waiting, comingPerMillisecond int, end time.Duration) (sizes []int, last time.Duration, left int) {
	var p pace
	const step = 100 * time.Microsecond
	for at := time.Duration(0); at < end; at += step {
		if at%time.Millisecond == 0 {
			waiting += comingPerMillisecond
		}
		for waiting > 0 {
			count, pause := p.allowed(noon.Add(at), waiting)
			if pause > 0 {
				break
			}
			sizes, last = append(sizes, count), at
			waiting -= count
		}
	}
	return sizes, last, waiting
}

func TestABurstIsSpread(t *testing.T) {
	sizes, last, left := leave(500, 0, time.Second)
	if left != 0 || last < drain/2 || last > 4*drain {
		t.Errorf("got the last of 500 replies sent after %v and %d left; want none left after about %v", last, left, drain)
	}
	for i, n := range sizes {
		if most := 500 / 8; n > most {
			t.Errorf("got %d replies at once at place %d; want %d at most", n, i, most)
		}
	}
}

func TestThePaceDoesNotBoundWhatAServerSends(t *testing.T) {
	for _, rate := range []int{1, 20, 100, 400} { // up to 400,000 a second
		sizes, _, left := leave(0, rate, time.Second)
		if most := max(2*rate*int(drain/time.Millisecond), burst); left > most {
			t.Errorf("got %d replies waiting after a second of %d a millisecond; want %d at most", left, rate, most)
		}
		if sent := len(sizes); sent == 0 {
			t.Error("got nothing sent")
		}
	}
}

func TestAPauseEnds(t *testing.T) {
	var p pace
	p.allowed(noon, burst)
	count, pause := p.allowed(noon, 100)
	if count != 0 || pause <= 0 {
		t.Fatalf("got %d allowed right after a burst; want a pause", count)
	}
	if count, pause = p.allowed(noon.Add(pause), 100); count == 0 {
		t.Errorf("got another pause of %v after the one that was told; want replies to leave", pause)
	}
}

func TestAClockSetBackDoesNotStop(t *testing.T) {
	var p pace
	p.allowed(noon, burst)
	p.allowed(noon.Add(-time.Hour), burst)
	if count, _ := p.allowed(noon.Add(-time.Hour).Add(drain), burst); count == 0 {
		t.Error("got nothing allowed after the clock was set back; want replies to leave")
	}
}
