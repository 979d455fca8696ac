package link

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// interruptions is how often a listing that changed while it was read is read again at once.
const interruptions = 5

// list reads the selected interfaces, by index, and every address of the host.
func list(selected selection) ([]Link, map[netip.Addr]struct{}, error) {
	devices, err := uninterrupted(netlink.LinkList)
	if err != nil {
		return nil, nil, fmt.Errorf("list network interfaces: %w", err)
	}
	addresses, err := uninterrupted(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, nil, fmt.Errorf("list addresses of interfaces: %w", err)
	}
	links, own := assemble(selected, devices, addresses)
	return links, own, nil
}

// uninterrupted reads until no change came between two parts of the listing (NLM_F_DUMP_INTR).
func uninterrupted[T any](read func() ([]T, error)) ([]T, error) {
	for attempt := 1; ; attempt++ {
		list, err := read()
		if !errors.Is(err, netlink.ErrDumpInterrupted) || attempt == interruptions {
			return list, err
		}
	}
}

// assemble puts together what two listings tell.
func assemble(selected selection, devices []netlink.Link, addresses []netlink.Addr) ([]Link, map[netip.Addr]struct{}) {
	own := make(map[netip.Addr]struct{}, len(addresses))
	byIndex := map[int][]netip.Prefix{}
	for _, a := range addresses {
		prefix, ok := prefixOf(a.IPNet)
		if !ok {
			continue
		}
		own[prefix.Addr()] = struct{}{}
		if usable(a.Flags) {
			byIndex[a.LinkIndex] = append(byIndex[a.LinkIndex], prefix)
		}
	}
	var links []Link
	for _, device := range devices {
		attributes := device.Attrs()
		if !selected.has(attributes.Name, attributes.Flags&net.FlagLoopback != 0) {
			continue
		}
		addrs := byIndex[attributes.Index]
		slices.SortFunc(addrs, netip.Prefix.Compare)
		links = append(links, Link{
			Index: attributes.Index, Name: attributes.Name, Hardware: attributes.HardwareAddr, VLAN: vlanOf(device),
			Up: attributes.Flags&net.FlagUp != 0, Addrs: addrs,
		})
	}
	slices.SortFunc(links, func(a, b Link) int { return a.Index - b.Index })
	return links, own
}

// usable says whether sockets can be bound to an address with these flags.
func usable(flags int) bool {
	if flags&unix.IFA_F_OPTIMISTIC != 0 { // RFC 4429: used while it is checked
		return flags&unix.IFA_F_DADFAILED == 0
	}
	return flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED) == 0
}

func vlanOf(device netlink.Link) int {
	// Kernels before 3.10 do not tell the protocol: they know 802.1Q only.
	if v, ok := device.(*netlink.Vlan); ok && v.VlanProtocol != netlink.VLAN_PROTOCOL_8021AD {
		return v.VlanId
	}
	return 0
}

func prefixOf(n *net.IPNet) (netip.Prefix, bool) {
	if n == nil {
		return netip.Prefix{}, false
	}
	addr, ok := netip.AddrFromSlice(n.IP)
	ones, bits := n.Mask.Size()
	addr = addr.Unmap()
	if !ok || bits != addr.BitLen() {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(addr, ones), true
}
