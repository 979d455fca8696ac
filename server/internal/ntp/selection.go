package ntp

import (
	"cmp"
	"slices"
	"time"
)

const (
	// maxDistance is the most that a clock may be wrong to be called synchronised (RFC 5905, MAXDIST).
	maxDistance = 1500 * time.Millisecond

	// maxOffset is how far our clock may be off before its time is no longer told (RFC 5905, STEPT). Whoever steers it
	// sets it then rather than slew it, so it is about to jump.
	maxOffset = 128 * time.Millisecond
)

// A candidate is a server that has told the time.
type candidate struct {
	estimate
	name      string
	id        [4]byte // its address as a reference id
	reachable bool    // whether it answered of late
}

// A choice is what all servers come to.
type choice struct {
	candidate         // the best of those that agree
	agree     int     // how many there are of them
	at        moment  // of the choice
	drift     int64   // of our clock
	leap      uint8   // what most of those that agree announce
	verdict   finding // whether there is a choice at all
}

// A finding is why there is a choice, or none.
type finding int

const (
	asking      finding = iota // the first answers are not all in
	unreachable                // no server has told the time, or none of late
	disagreeing                // no majority
	chosen
)

// choose asks the servers that answer. Where none does, it asks what they said last, as long as that is good for
// anything. Their votes are counted, so that a minority of false clocks does nothing (RFC 5905, section 11.2); of
// those who agree, the one nearest to the true time is followed.
func choose(candidates []candidate, at moment, drift int64) choice {
	fit := slices.DeleteFunc(slices.Clone(candidates), func(c candidate) bool {
		return c.stratum >= maxStratum || c.distance() > maxDistance
	})
	if slices.ContainsFunc(fit, func(c candidate) bool { return c.reachable }) {
		fit = slices.DeleteFunc(fit, func(c candidate) bool { return !c.reachable })
	}
	none := choice{at: at, drift: drift, verdict: unreachable}
	if len(fit) == 0 {
		return none
	}
	agreeing := intersect(fit)
	if len(agreeing) == 0 {
		none.verdict = disagreeing
		return none
	}
	best := slices.MinFunc(agreeing, func(a, b candidate) int {
		return cmp.Compare(time.Duration(a.stratum)*maxDistance+a.distance(), time.Duration(b.stratum)*maxDistance+b.distance())
	})
	return choice{candidate: best, agree: len(agreeing), at: at, drift: drift, leap: majorityLeap(agreeing), verdict: chosen}
}

// intersect returns the candidates whose offset is in the smallest interval that most of the candidates' own overlap
// in, and none where there is no majority (RFC 5905, section 11.2.1). Each candidate's interval is its offset give or
// take its distance: where the true time is, if it tells the truth.
func intersect(candidates []candidate) []candidate {
	type edge struct {
		at   time.Duration
		kind int // 1 lower, 0 middle, -1 upper
	}
	var edges []edge
	for _, c := range candidates {
		edges = append(edges, edge{c.offset - c.distance(), 1}, edge{c.offset, 0}, edge{c.offset + c.distance(), -1})
	}
	slices.SortFunc(edges, func(a, b edge) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(b.kind, a.kind)) // touching intervals overlap
	})
	for falsetickers := 0; 2*falsetickers < len(candidates); falsetickers++ {
		need := len(candidates) - falsetickers
		outside := 0 // middles
		low, high := edges[len(edges)-1].at, edges[0].at
		for depth, i := 0, 0; i < len(edges); i++ {
			if depth += edges[i].kind; depth >= need {
				low = edges[i].at
				break
			}
			if edges[i].kind == 0 {
				outside++
			}
		}
		for depth, i := 0, len(edges)-1; i >= 0; i-- {
			if depth -= edges[i].kind; depth >= need {
				high = edges[i].at
				break
			}
			if edges[i].kind == 0 {
				outside++
			}
		}
		if outside <= falsetickers && low <= high {
			return slices.DeleteFunc(slices.Clone(candidates), func(c candidate) bool { return c.offset < low || c.offset > high })
		}
	}
	return nil
}

// majorityLeap is what more than half of the candidates announce: a lone server with an old table of leap seconds
// sets nobody's clock wrong.
func majorityLeap(candidates []candidate) uint8 {
	for _, leap := range []uint8{LeapInsert, LeapDelete} {
		count := 0
		for _, c := range candidates {
			if c.leap == leap {
				count++
			}
		}
		if 2*count > len(candidates) {
			return leap
		}
	}
	return LeapNone
}

// offsetAt is how far our clock is off at a later moment, by which it may have been set.
func (c choice) offsetAt(now moment) time.Duration { return c.offset - now.setSince(c.at) }

// clock is how good our clock is at a later moment: one stratum below the server's, wrong by what we know it is wrong
// and by all that we do not know. It is not synchronised where that is too much. Where no server is to be had, it is a
// reference of localStratum; but not while they disagree, or with them: then it is known, or likely, to be wrong.
func (c choice) clock(now moment, localStratum int) Clock {
	if c.verdict == unreachable && localStratum > 0 {
		return local(localStratum, now.wall)
	}
	if c.verdict != chosen {
		return Clock{}
	}
	offset := c.offsetAt(now)
	delay := c.rootDelay + c.delay
	dispersion := c.rootDispersion + c.dispersion + c.jitter + drifted(now.since(c.at), c.drift) + offset.Abs()
	if offset.Abs() > maxOffset || delay/2+dispersion > maxDistance {
		return Clock{}
	}
	return Clock{
		Synchronised: true, Leap: c.leap, Stratum: c.stratum + 1, RootDelay: delay, RootDispersion: dispersion,
		RefID: c.id, RefTime: c.sample.at.wall,
	}
}
