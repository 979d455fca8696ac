package ntp

import (
	"encoding/binary"
	"math"
	"time"
)

// packetSize is an NTP packet without extension fields, in bytes (RFC 5905, section 7.3).
const packetSize = 48

const (
	modeReserved = 0 // what NTP version 1 sends, which has no modes
	modeClient   = 3
	modeServer   = 4
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

// Where the fields of a packet are.
const (
	atRootDelay      = 4
	atRootDispersion = 8
	atRefID          = 12
	atRefTime        = 16
	atOrigin         = 24
	atReceive        = 32
	atTransmit       = 40
)

// A packet is what a server says, read from the wire.
type packet struct {
	leap, version, mode       uint8
	stratum                   uint8
	precision                 int8 // log2 of seconds
	rootDelay, rootDispersion time.Duration
	refID                     [4]byte
	refTime, origin           uint64 // timestamps, see timestamp
	receive, transmit         uint64
}

// parse reads a packet. Extension fields and authenticators are left unread. It is false for what is too short.
func parse(b []byte) (packet, bool) {
	if len(b) < packetSize {
		return packet{}, false
	}
	return packet{
		leap: b[0] >> 6, version: b[0] >> 3 & 7, mode: b[0] & 7,
		stratum:        b[1],
		precision:      int8(b[3]),
		rootDelay:      interval(binary.BigEndian.Uint32(b[atRootDelay:])),
		rootDispersion: interval(binary.BigEndian.Uint32(b[atRootDispersion:])),
		refID:          [4]byte(b[atRefID:]),
		refTime:        binary.BigEndian.Uint64(b[atRefTime:]),
		origin:         binary.BigEndian.Uint64(b[atOrigin:]),
		receive:        binary.BigEndian.Uint64(b[atReceive:]),
		transmit:       binary.BigEndian.Uint64(b[atTransmit:]),
	}, true
}

// short writes a duration as seconds with 16 bits of fraction, rounded up: an error bound must not shrink.
func short(d time.Duration) uint32 {
	if d <= 0 {
		return 0
	}
	seconds, rest := uint64(d/time.Second), uint64(d%time.Second)
	return uint32(min(seconds<<16+(rest<<16+uint64(time.Second)-1)/uint64(time.Second), math.MaxUint32))
}

// interval reads what short writes.
func interval(u uint32) time.Duration {
	return time.Duration(u>>16)*time.Second + time.Duration(uint64(u&0xffff)*uint64(time.Second)>>16)
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

// timeOf reads a timestamp as the time that is nearest to near, of all those 136 years apart that it may be. So a
// clock that is less than 68 years wrong finds out by how much.
func timeOf(stamp uint64, near time.Time) time.Time {
	seconds := near.Unix() + int64(int32(uint32(stamp>>32)-uint32(near.Unix()+unixEpoch)))
	return time.Unix(seconds, int64(stamp&math.MaxUint32*uint64(time.Second)>>32))
}
