package neighbour

import (
	"encoding/binary"
	"net/netip"
)

const (
	arpLength  = 28
	arpRequest = 1
	arpReply   = 2
)

// arp is an ARP packet for IPv4 over Ethernet (RFC 826).
type arp struct {
	op             uint16
	senderHardware hardware
	sender         netip.Addr
	targetHardware hardware
	target         netip.Addr
}

// frame writes the packet as a broadcast.
func (a arp) frame() []byte {
	b := appendEther(make([]byte, 0, etherLength+arpLength), everyone(), a.senderHardware, etherARP)
	b = append(b, 0, 1, etherIPv4>>8, etherIPv4&0xff, 6, 4)
	b = binary.BigEndian.AppendUint16(b, a.op)
	b = append(b, a.senderHardware[:]...)
	b = append(b, a.sender.AsSlice()...)
	b = append(b, a.targetHardware[:]...)
	return append(b, a.target.AsSlice()...)
}

// arpProbe asks for an address without claiming any (RFC 5227, section 2.1.1): the sender's is 0.0.0.0, so that no
// host learns something wrong of it.
func arpProbe(from hardware, target netip.Addr) []byte {
	return arp{op: arpRequest, senderHardware: from, sender: netip.IPv4Unspecified(), target: target}.frame()
}

// parseARP reads a whole frame. It takes requests and replies for IPv4 over Ethernet only.
func parseARP(frame []byte) (arp, bool) {
	if len(frame) < etherLength+arpLength || binary.BigEndian.Uint16(frame[12:]) != etherARP {
		return arp{}, false
	}
	b := frame[etherLength:]
	if [6]byte(b) != [6]byte{0, 1, etherIPv4 >> 8, etherIPv4 & 0xff, 6, 4} {
		return arp{}, false
	}
	a := arp{
		op:             binary.BigEndian.Uint16(b[6:]),
		senderHardware: hardware(b[8:14]), sender: netip.AddrFrom4([4]byte(b[14:18])),
		targetHardware: hardware(b[18:24]), target: netip.AddrFrom4([4]byte(b[24:28])),
	}
	return a, a.op == arpRequest || a.op == arpReply
}

// claim says who uses which address by this packet: the sender its own; or who probes for one.
func (a arp) claim() (claim, bool) {
	if !a.senderHardware.own() {
		return claim{}, false
	}
	if a.sender.IsUnspecified() {
		return claim{addr: a.target, hardware: a.senderHardware, tentative: true}, a.op == arpRequest && unicast(a.target)
	}
	return claim{addr: a.sender, hardware: a.senderHardware}, unicast(a.sender)
}
