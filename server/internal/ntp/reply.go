// Package ntp tells machines the time of this machine's clock, and how good that clock is (SNTP server of RFC 5905,
// section 14). It disciplines nothing: a daemon such as chrony does that, and the kernel knows how well.
package ntp

import (
	"encoding/binary"
	"math"
	"time"
)

// packetSize is an NTP packet without extension fields, in bytes (RFC 5905, section 7.3).
const packetSize = 48

const (
	modeClient = 3
	modeServer = 4
)

// Leap indicators (RFC 5905, figure 9).
const (
	LeapNone    = 0
	LeapInsert  = 1 // the last minute of the day has 61 seconds
	LeapDelete  = 2 // it has 59
	LeapUnknown = 3 // the clock is not synchronised
)

const (
	// stratumUnknown is how stratum 16, not synchronised, is written in a packet; maxStratum is the last good one.
	stratumUnknown = 0
	maxStratum     = 15

	precision = -20 // log2 of seconds: a microsecond, about what a process can tell of its clock

	unixEpoch = 2208988800 // 1970 in seconds since 1900
)

// A Clock is how good the clock is.
type Clock struct {
	Synchronised   bool
	Leap           uint8         // LeapNone, LeapInsert or LeapDelete; where Synchronised only
	Stratum        uint8         // 1 to 15: steps to a reference clock
	RootDelay      time.Duration // round trip to the reference clock
	RootDispersion time.Duration // what the clock may be wrong, beside half of RootDelay
	RefID          [4]byte       // what it follows; in strata from 2 on the IPv4 address of the server
	RefTime        time.Time     // when it was last set or corrected
}

// Reply answers a client's packet that was received at the time received, as a server of the clock whose time is now.
// It is false for what gets no answer: another mode than client, another version than 3 and 4, and no NTP packet.
// Extension fields and authenticators are not read; the answer has none.
func Reply(pkt []byte, received, now time.Time, clock Clock) ([]byte, bool) {
	version, ok := request(pkt)
	if !ok {
		return nil, false
	}
	leap, stratum := clock.Leap, clock.Stratum
	if !clock.Synchronised || stratum == stratumUnknown || stratum > maxStratum {
		leap, stratum = LeapUnknown, stratumUnknown
		clock.RefID = [4]byte{} // text here would be a kiss code
	}
	reply := header(leap, version, stratum, pkt)
	binary.BigEndian.PutUint32(reply[4:], short(clock.RootDelay))
	binary.BigEndian.PutUint32(reply[8:], short(clock.RootDispersion))
	copy(reply[12:16], clock.RefID[:])
	binary.BigEndian.PutUint64(reply[16:], timestamp(clock.RefTime))
	binary.BigEndian.PutUint64(reply[32:], timestamp(received))
	binary.BigEndian.PutUint64(reply[40:], timestamp(now))
	return reply, true
}

// kiss answers a client's packet with a kiss of death (RFC 5905, section 7.4) that asks it to come less often. It
// tells no time, so that nobody takes one from it.
func kiss(pkt []byte) ([]byte, bool) {
	version, ok := request(pkt)
	if !ok {
		return nil, false
	}
	reply := header(LeapUnknown, version, stratumUnknown, pkt)
	copy(reply[12:16], "RATE")
	return reply, true
}

// request says whether pkt is a client's, and in which version of the protocol.
func request(pkt []byte) (version byte, ok bool) {
	if len(pkt) < packetSize || len(pkt)%4 != 0 {
		return 0, false
	}
	version, mode := pkt[0]>>3&7, pkt[0]&7
	return version, mode == modeClient && (version == 3 || version == 4)
}

// header starts an answer to the request pkt, whose poll interval it repeats and whose transmit timestamp it gives
// back as origin.
func header(leap, version, stratum byte, pkt []byte) []byte {
	reply := make([]byte, packetSize)
	reply[0] = leap<<6 | version<<3 | modeServer
	reply[1] = stratum
	reply[2] = pkt[2]
	reply[3] = byte(0x100 + precision)
	copy(reply[24:32], pkt[40:48])
	return reply
}

// short writes a duration as seconds with 16 bits of fraction, rounded up: an error bound must not shrink.
func short(d time.Duration) uint32 {
	if d <= 0 {
		return 0
	}
	seconds, rest := uint64(d/time.Second), uint64(d%time.Second)
	return uint32(min(seconds<<16+(rest<<16+uint64(time.Second)-1)/uint64(time.Second), math.MaxUint32))
}

// timestamp writes a time as seconds since 1900 with 32 bits of fraction. The seconds roll over in 2036, as the
// protocol has it (RFC 5905, section 6). The zero time is zero: unknown.
func timestamp(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	fraction := uint64(t.Nanosecond()) << 32 / uint64(time.Second)
	return uint64(uint32(t.Unix()+unixEpoch))<<32 | fraction
}
