package ntp

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// stages is how many samples of a server are looked at (RFC 5905, NSTAGE).
const stages = 8

// A filter remembers the last samples of one server.
type filter struct {
	samples [stages]sample
	count   int // of samples ever taken
}

func (f *filter) add(s sample) {
	f.samples[f.count%stages] = s
	f.count++
}

// last is the newest sample; there must be one.
func (f *filter) last() sample { return f.samples[(f.count-1)%stages] }

// An estimate is what the samples of one server say together about our clock.
type estimate struct {
	sample               // the best one, with its offset and dispersion as they are now
	jitter time.Duration // how much the samples differ
}

// estimate is the clock filter (RFC 5905, section 10), for a clock of ours with that drift: the sample that passed
// the least loaded way tells the offset, and its fellows how much to trust it. It is false without samples.
func (f *filter) estimate(now moment, drift int64) (estimate, bool) {
	count := min(f.count, stages)
	if count == 0 {
		return estimate{}, false
	}
	samples := f.samples // a copy
	sorted := samples[:count]
	for i := range sorted {
		s := &sorted[i]
		s.offset -= now.setSince(s.at)
		s.dispersion += drifted(now.since(s.at), drift)
	}
	slices.SortFunc(sorted, func(a, b sample) int { return cmp.Compare(a.delay/2+a.dispersion, b.delay/2+b.dispersion) })
	best := estimate{sample: sorted[0]}
	best.dispersion = 0
	var squares float64
	for i := range stages {
		d := maxDispersion
		if i < count {
			d = min(sorted[i].dispersion, maxDispersion)
			difference := (sorted[i].offset - best.offset).Seconds()
			squares += difference * difference
		}
		best.dispersion += d >> (i + 1)
	}
	if count > 1 {
		best.jitter = time.Duration(min(math.Sqrt(squares/float64(count-1)), maxDispersion.Seconds()) * float64(time.Second))
	}
	return best, true
}

// minDelay is the least round trip that is reckoned with (RFC 5905, MINDISP): two servers nearby may differ by
// microseconds and still both be right.
const minDelay = 5 * time.Millisecond

// distance is what our clock may be wrong at most when it is set by the estimate (root distance; RFC 5905, appendix
// A.5.5.2).
func (e estimate) distance() time.Duration {
	return max(e.rootDelay+e.delay, minDelay)/2 + e.rootDispersion + e.dispersion + e.jitter
}
