package dhcp

import (
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

const (
	serverPort = 67
	clientPort = 68
	bootPort   = 4011 // PXE 2.1, 2.2
)

// destination is where a reply goes.
type destination struct {
	To netip.AddrPort
	// Hardware is the client's hardware address when the reply must go to it in a frame of ours: the client has no
	// address yet that the kernel could resolve. Nil otherwise.
	Hardware net.HardwareAddr
}

// destinationOf applies RFC 2131, 4.1: to the relay agent; else broadcast where the client is refused; else to the
// address the client has; else broadcast where the client asks for that; else to its hardware address.
func destinationOf(pkt, reply *dhcpv4.DHCPv4) destination {
	broadcast := netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), clientPort)
	switch {
	case address(pkt.GatewayIPAddr).IsValid():
		return destination{To: netip.AddrPortFrom(address(pkt.GatewayIPAddr), serverPort)}
	case kindOf(reply) == dhcpv4.MessageTypeNak:
		return destination{To: broadcast}
	case address(pkt.ClientIPAddr).IsValid():
		return destination{To: netip.AddrPortFrom(address(pkt.ClientIPAddr), clientPort)}
	case pkt.IsBroadcast(), len(pkt.ClientHWAddr) != 6, !address(reply.YourIPAddr).IsValid():
		return destination{To: broadcast}
	default:
		return destination{To: netip.AddrPortFrom(address(reply.YourIPAddr), clientPort), Hardware: pkt.ClientHWAddr}
	}
}

// bootDestination is where the answer to a packet on port 4011 goes: back to who sent it, at the port that it was sent
// from, which PXE leaves to the client; where the sender is not who the packet says it is, to otherwise.
func bootDestination(pkt *dhcpv4.DHCPv4, asker, otherwise netip.AddrPort) netip.AddrPort {
	client := address(pkt.ClientIPAddr)
	if address(pkt.GatewayIPAddr).IsValid() || asker.Addr().IsUnspecified() || client.IsValid() && client != asker.Addr() {
		return otherwise
	}
	return asker
}

// packetTo builds the IPv4 and UDP headers (RFC 791, RFC 768) around a reply that goes into a frame of ours.
func packetTo(from, to netip.AddrPort, payload []byte) []byte {
	const ip, udp = 20, 8
	b := make([]byte, ip+udp, ip+udp+len(payload))
	b = append(b, payload...)
	b[0] = 0x45 // version 4, header of five words
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	b[6] = 0x40         // do not fragment: with that the identification may be zero (RFC 6864, 4.1)
	b[8], b[9] = 64, 17 // time to live, UDP
	src, dst := from.Addr().As4(), to.Addr().As4()
	copy(b[12:], src[:])
	copy(b[16:], dst[:])
	binary.BigEndian.PutUint16(b[10:], ^sum(0, b[:ip]))

	u := b[ip:]
	binary.BigEndian.PutUint16(u[0:], from.Port())
	binary.BigEndian.PutUint16(u[2:], to.Port())
	binary.BigEndian.PutUint16(u[4:], uint16(len(u)))
	pseudo := sum(uint32(17)+uint32(len(u)), b[12:20])
	check := ^sum(uint32(pseudo), u)
	if check == 0 {
		check = 0xffff // zero would mean: no checksum
	}
	binary.BigEndian.PutUint16(u[6:], check)
	return b
}

// sum is the ones' complement sum of RFC 1071 over b, begun with start.
func sum(start uint32, b []byte) uint16 {
	for len(b) >= 2 {
		start += uint32(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		start += uint32(b[0]) << 8
	}
	for start > 0xffff {
		start = start>>16 + start&0xffff
	}
	return uint16(start)
}
