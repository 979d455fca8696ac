package ntp

import (
	"encoding/binary"
	"time"
)

// A moment is a time by this machine's clock, and by one that is never set: how far the two went apart since another
// moment is by how much the clock was set meanwhile.
type moment struct {
	wall   time.Time     // without a monotonic reading
	uptime time.Duration // since some fixed moment
}

// since is how long ago then was.
func (m moment) since(then moment) time.Duration { return m.uptime - then.uptime }

// setSince is by how much the clock was set forward since then.
func (m moment) setSince(then moment) time.Duration { return m.wall.Sub(then.wall) - m.since(then) }

const (
	// setNoticed is the least change that counts as the clock being set: its two sides are not read at once.
	setNoticed = 5 * time.Millisecond

	// maxDispersion is what a clock is wrong of which nothing is known (RFC 5905, MAXDISP).
	maxDispersion = 16 * time.Second

	// minDispersion is the least that one reading of a clock may be wrong: 2^precision seconds.
	minDispersion = time.Second >> -precision

	// steeredDrift is how fast, as a fraction of a billion, a clock goes wrong that a daemon steers (RFC 5905, PHI);
	// freeDrift is for one left to itself, for which crystals are sold.
	steeredDrift = 15_000
	freeDrift    = 100_000
)

// drifted is how wrong a clock of that drift gets in a time.
func drifted(d time.Duration, drift int64) time.Duration {
	whole, rest := d/time.Second, d%time.Second // apart, so that years do not overflow
	return max(0, whole*time.Duration(drift)+rest*time.Duration(drift)/time.Second)
}

// A query is a request of ours that waits for its answer.
type query struct {
	nonce uint64 // sent as the transmit timestamp; random, so that who did not see it cannot answer
	sent  moment
	self  [4]byte // our address as a reference id
}

// packet is what is sent. It tells nothing of our clock.
func (q query) packet() []byte {
	b := make([]byte, packetSize)
	b[0] = LeapNone<<6 | 4<<3 | modeClient
	binary.BigEndian.PutUint64(b[atTransmit:], q.nonce)
	return b
}

// An outcome is what an answer comes to.
type outcome int

const (
	foreign outcome = iota // not an answer to the query: the right one may still come
	unfit                  // an answer from which no time can be taken
	slower                 // a kiss of death: ask less often
	denied                 // a kiss of death: ask no more
	sampled
)

// A sample is one comparison with a server's clock.
type sample struct {
	at         moment
	offset     time.Duration // what our clock must be set forward to agree
	delay      time.Duration // round trip
	dispersion time.Duration // what offset may be wrong beside half of delay; grows with the sample's age

	leap, stratum             uint8
	rootDelay, rootDispersion time.Duration // of the server
	refID                     [4]byte       // of the server
}

// read takes the answer that arrived at a moment (RFC 5905, sections 8 and 9.2).
func (q query) read(b []byte, arrived moment) (sample, outcome) {
	p, ok := parse(b)
	if !ok || p.mode != modeServer || p.version < 1 || p.version > 4 || p.origin != q.nonce {
		return sample{}, foreign
	}
	if p.stratum == stratumUnknown {
		switch p.refID {
		case codeRate:
			return sample{}, slower
		case codeDeny, codeRestrict:
			return sample{}, denied
		}
		return sample{}, unfit
	}
	receive, transmit := timeOf(p.receive, arrived.wall), timeOf(p.transmit, arrived.wall)
	elapsed, held := arrived.since(q.sent), transmit.Sub(receive)
	switch {
	case p.leap == LeapUnknown || p.stratum > maxStratum,
		p.receive == 0 || p.transmit == 0 || held < 0,
		p.refTime != 0 && timeOf(p.refTime, arrived.wall).After(transmit),
		p.rootDelay/2+p.rootDispersion >= maxDispersion,
		p.stratum > 1 && p.refID == q.self, // it follows us
		elapsed < 0 || held > elapsed+time.Millisecond,
		arrived.setSince(q.sent).Abs() >= setNoticed:
		return sample{}, unfit
	}
	there, back := receive.Sub(q.sent.wall), transmit.Sub(arrived.wall)
	return sample{
		at:             arrived,
		offset:         there/2 + back/2,
		delay:          max(elapsed-held, minDispersion),
		dispersion:     minDispersion + resolution(p.precision) + drifted(elapsed, steeredDrift),
		leap:           p.leap,
		stratum:        p.stratum,
		rootDelay:      p.rootDelay,
		rootDispersion: p.rootDispersion,
		refID:          p.refID,
	}, sampled
}

// resolution is 2^precision seconds; a clock that is read no better than to the second is as good as its worst.
func resolution(precision int8) time.Duration {
	if precision >= 0 {
		return maxDispersion
	}
	return time.Second >> min(-int(precision), 63)
}
