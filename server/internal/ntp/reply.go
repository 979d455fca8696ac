// Package ntp tells machines the time of this machine's clock, and how good that clock is (RFC 5905 and, for older
// clients, RFC 1305, 1119 and 1059). It disciplines nothing: a daemon such as chrony does that. How well, it learns from
// the kernel (Kernel) or by asking other servers itself (Poller).
package ntp

import (
	"encoding/binary"
	"time"
)

// A Clock is how good the clock is.
type Clock struct {
	Synchronised   bool
	Leap           uint8         // LeapNone, LeapInsert or LeapDelete; where Synchronised only
	Stratum        uint8         // 1 to 15: steps to a reference clock
	RootDelay      time.Duration // round trip to the reference clock
	RootDispersion time.Duration // what the clock may be wrong, beside half of RootDelay
	RefID          [4]byte       // what it follows; in strata from 2 on the address of the server (RFC 5905, figure 12)
	RefTime        time.Time     // when it was last set, corrected or compared
}

// A request is what a client asks, and how an answer may look that it understands.
type request struct {
	version byte
	poll    byte
	stamp   [8]byte // its transmit timestamp, or whatever else it sends in its place
}

// requestOf reads a client's packet. It is false for what gets no answer: another mode than client (a control message,
// the private messages that the monlist attacks used, and an answer, which would start a dialogue without end), another
// version than 1 to 4, and no NTP packet. Extension fields and authenticators are not read.
func requestOf(pkt []byte) (request, bool) {
	if len(pkt) < packetSize || len(pkt)%4 != 0 {
		return request{}, false
	}
	version, mode := pkt[0]>>3&7, pkt[0]&7
	if version < 1 || version > 4 || mode != modeClient && !(version == 1 && mode == modeReserved) {
		return request{}, false
	}
	return request{version: version, poll: pkt[2], stamp: [8]byte(pkt[atTransmit:])}, true
}

// reply writes the answer of a server of the clock to a request that was received at the time received. The transmit
// timestamp is left to stamp. It is never longer than the request.
func (r request) reply(b *[packetSize]byte, received time.Time, clock *Clock) {
	leap, stratum, refID := clock.Leap, clock.Stratum, clock.RefID
	if !clock.Synchronised || stratum == stratumUnknown || stratum > maxStratum {
		leap, stratum = LeapUnknown, stratumUnknown
		refID = [4]byte{} // text here would be a kiss code
	}
	r.header(b, leap, stratum, refID)
	binary.BigEndian.PutUint32(b[atRootDelay:], short(clock.RootDelay))
	binary.BigEndian.PutUint32(b[atRootDispersion:], short(clock.RootDispersion))
	binary.BigEndian.PutUint64(b[atRefTime:], timestamp(clock.RefTime))
	binary.BigEndian.PutUint64(b[atReceive:], timestamp(received))
}

// stamp writes the time at which an answer leaves.
func stamp(b *[packetSize]byte, now time.Time) {
	binary.BigEndian.PutUint64(b[atTransmit:], timestamp(now))
}

// Kiss codes (RFC 5905, figure 13).
var (
	codeRate     = [4]byte{'R', 'A', 'T', 'E'} // come less often
	codeDeny     = [4]byte{'D', 'E', 'N', 'Y'} // do not come again
	codeRestrict = [4]byte{'R', 'S', 'T', 'R'} // the same
)

// kiss writes a kiss of death (RFC 5905, section 7.4). It tells no time, so that nobody takes one from it.
func (r request) kiss(b *[packetSize]byte, code [4]byte) {
	r.header(b, LeapUnknown, stratumUnknown, code)
}

// header writes what all answers have, among it the request's poll interval and, as origin, its transmit timestamp,
// and clears the rest.
func (r request) header(b *[packetSize]byte, leap, stratum byte, refID [4]byte) {
	*b = [packetSize]byte{leap<<6 | r.version<<3 | modeServer, stratum, r.poll, byte(0x100 + precision)}
	copy(b[atRefID:], refID[:])
	copy(b[atOrigin:], r.stamp[:])
}
