// Package neighbour asks and listens on the wire: is an address in use by somebody (Prober), who is there that nobody
// declared (Listener), and who else answers DHCP (Detector).
//
// Questions and answers are ARP (RFC 826, RFC 5227), IPv6 Neighbor Discovery (RFC 4861, RFC 4862) and ICMP echo. Frames
// are read by packet sockets (packet(7)) behind a filter in the kernel, which takes nothing from the programs of this
// host that want the same frames.
package neighbour

import (
	"net/netip"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// hardware is an Ethernet address.
type hardware [6]byte

// own says whether one NIC can have the address: it is neither zero nor a group (IEEE 802-2014, 8.2).
func (h hardware) own() bool { return h != hardware{} && h[0]&1 == 0 }

func (h hardware) mac() metal.MAC { return metal.MACOf(h[:]) }

// A claim is what a frame tells: somebody uses an address, or is about to.
type claim struct {
	addr     netip.Addr
	hardware hardware
	// tentative is set where the sender asks whether it may use the address (RFC 5227, section 1.1; RFC 4862, section
	// 5.4): nobody may have it yet.
	tentative bool
}

// unicast says whether a host can have the address on a link.
func unicast(addr netip.Addr) bool {
	return addr.IsValid() && !addr.IsUnspecified() && !addr.IsMulticast() && !addr.IsLoopback() && !addr.Is4In6() &&
		addr != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}
