package ntp

import (
	"testing"
	"time"
)

// seen is a sample that arrived at a moment, of a good server of stratum 2.
func seen(at moment, offset, delay time.Duration) sample {
	return sample{at: at, offset: offset, delay: delay, dispersion: 10 * time.Microsecond, stratum: 2, rootDelay: 20 * time.Millisecond, rootDispersion: 5 * time.Millisecond}
}

// samples is a filter with samples taken every 2 s from start on.
func samples(offset, delay time.Duration, count int) (f filter, end moment) {
	for i := range count {
		end = after(time.Duration(i) * 2 * time.Second)
		f.add(seen(end, offset, delay))
	}
	return f, end
}

func TestAFilterWithoutSamplesSaysNothing(t *testing.T) {
	var f filter
	if e, ok := f.estimate(start, steeredDrift); ok {
		t.Errorf("got %+v; want nothing", e)
	}
}

func TestTheSampleOfTheLeastLoadedWayTellsTheOffset(t *testing.T) {
	var f filter
	for i, milliseconds := range []int{40, 30, 1, 90, 20, 50, 60, 70} {
		delay := time.Duration(milliseconds) * time.Millisecond
		f.add(seen(after(time.Duration(i)*time.Second), delay/2, delay))
	}
	e, ok := f.estimate(after(8*time.Second), steeredDrift)
	if !ok || e.offset != 500*time.Microsecond || e.delay != time.Millisecond {
		t.Errorf("got %t, offset %s, delay %s; want those of the third sample", ok, e.offset, e.delay)
	}
	if e.jitter < 10*time.Millisecond || e.jitter > 30*time.Millisecond {
		t.Errorf("got jitter %s; want about that of the offsets", e.jitter)
	}
}

func TestANinthSampleTakesThePlaceOfTheFirst(t *testing.T) {
	var f filter
	f.add(seen(start, time.Hour, time.Microsecond))
	for i := range stages {
		f.add(seen(after(time.Duration(i+1)*time.Second), time.Second, time.Millisecond))
	}
	if e, _ := f.estimate(after(9*time.Second), steeredDrift); e.offset != time.Second || e.jitter != 0 {
		t.Errorf("got offset %s, jitter %s; want 1s, 0s", e.offset, e.jitter)
	}
}

func TestAnEstimateGetsBetterWithSamplesAndWorseWithAge(t *testing.T) {
	last := maxDispersion
	for count := 1; count <= stages; count++ {
		f, end := samples(0, time.Millisecond, count)
		e, _ := f.estimate(end, steeredDrift)
		if e.dispersion >= last {
			t.Errorf("%d samples: got dispersion %s; want less than %s", count, e.dispersion, last)
		}
		if believed := e.distance() <= maxDistance; believed != (count >= 4) {
			t.Errorf("%d samples: got distance %s", count, e.distance())
		}
		last = e.dispersion
	}
	f, end := samples(0, time.Millisecond, stages)
	fresh, _ := f.estimate(end, steeredDrift)
	for _, drift := range []int64{steeredDrift, freeDrift} {
		old, _ := f.estimate(after(end.since(start)+1000*time.Second), drift)
		want := fresh.dispersion + time.Duration(drift)*1000
		if (old.dispersion - want).Abs() > want/10 {
			t.Errorf("drift %d: got dispersion %s after 1000 s; want about %s", drift, old.dispersion, want)
		}
	}
}

func TestAnOldSampleOfAQuickWayGivesWayToANewOneOnceItIsLessCertain(t *testing.T) {
	var f filter
	f.add(seen(start, time.Second, time.Millisecond))
	f.add(seen(after(1000*time.Second), 0, 20*time.Millisecond))
	if e, _ := f.estimate(after(1000*time.Second), freeDrift); e.offset != 0 {
		t.Errorf("got offset %s; want 0: 100 ms of drift are more than 10 ms of way", e.offset)
	}
}

func TestSamplesFollowAClockThatIsSet(t *testing.T) {
	f, end := samples(time.Hour, time.Millisecond, stages)
	cases := []struct {
		name      string
		set, want time.Duration
	}{
		{"not at all", 0, time.Hour},
		{"right", time.Hour, 0},
		{"wrong", -time.Hour, 2 * time.Hour},
	}
	for _, c := range cases {
		if e, _ := f.estimate(end.set(c.set), steeredDrift); e.offset != c.want || e.jitter != 0 {
			t.Errorf("%s: got offset %s, jitter %s; want %s, 0s", c.name, e.offset, e.jitter, c.want)
		}
	}
}

func TestServersNearbyAreReckonedWithAtLeastSomeDistance(t *testing.T) {
	e := estimate{sample: sample{delay: time.Microsecond}}
	if got := e.distance(); got != minDelay/2 {
		t.Errorf("got %s; want %s", got, minDelay/2)
	}
	e = estimate{sample: sample{delay: time.Second, rootDelay: time.Second, dispersion: time.Second, rootDispersion: time.Second}, jitter: time.Second}
	if got := e.distance(); got != 4*time.Second {
		t.Errorf("got %s; want 4s", got)
	}
}
