package lab

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/vishvananda/netlink"
)

const (
	bridgeName = "br0"
	uplinkName = "uplink"
	// bridgeAlias marks the bridge of a lab, so that a stale one is told from a namespace that somebody else made.
	bridgeAlias = "metal-lab"
)

// host6 is the bridge's IPv6 address: iPXE waits 15 s for a router where nobody answers, so metald needs a prefix to announce.
func host6() netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xfd, 3: 0x31, 15: 1}), 64) // fd00:31::1/64
}

// wire makes the bridge and a tap for each machine in the calling thread's namespace. The file it returns keeps the
// bridge's link up.
func wire(host netip.Prefix, machines int) (io.Closer, error) {
	if err := up("lo"); err != nil {
		return nil, err
	}
	bridge, err := addBridge(host)
	if err != nil {
		return nil, err
	}
	// A tap has a link while somebody has it open, and a bridge while a port has. A switch has one also when all
	// machines are off: without it there is no link-local address, and metald could not announce a router.
	uplink := &netlink.Tuntap{LinkAttrs: named(uplinkName), Mode: netlink.TUNTAP_MODE_TAP, NonPersist: true, Queues: 1}
	if err := addPort(bridge, uplink); err != nil {
		return nil, err
	}
	for i := 1; i <= machines; i++ {
		if err := addPort(bridge, &netlink.Tuntap{LinkAttrs: named(tapName(i)), Mode: netlink.TUNTAP_MODE_TAP}); err != nil {
			uplink.Fds[0].Close()
			return nil, err
		}
	}
	return uplink.Fds[0], nil
}

func addBridge(host netip.Prefix) (*netlink.Bridge, error) {
	attrs := named(bridgeName)
	// Left alone, the bridge takes the lowest address of its ports, and changes it as they come.
	attrs.HardwareAddr = net.HardwareAddr{0x52, 0x54, 0x00, 0xff, 0xff, 0x01}
	off := false
	// Spanning tree is off unless asked for, and without it a port forwards at once, whatever the forward delay is.
	bridge := &netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &off}
	if err := netlink.LinkAdd(bridge); err != nil {
		return nil, fmt.Errorf("make bridge: %w", err)
	}
	if err := netlink.LinkSetAlias(bridge, bridgeAlias); err != nil {
		return nil, fmt.Errorf("mark bridge: %w", err)
	}
	// Duplicate address detection would keep the link-local address unusable for a second (RFC 4862, 5.4), just when
	// metald starts. The kernel does it when either of the two asks for it.
	for _, scope := range []string{"all", bridgeName} {
		if err := setIPv6(scope, "accept_dad", "0"); err != nil {
			return nil, err
		}
	}
	for _, addr := range []netip.Prefix{host, host6()} {
		a := &netlink.Addr{
			IPNet: &net.IPNet{IP: addr.Addr().AsSlice(), Mask: net.CIDRMask(addr.Bits(), addr.Addr().BitLen())},
		}
		if err := netlink.AddrAdd(bridge, a); err != nil {
			return nil, fmt.Errorf("give %s to the bridge: %w", addr, err)
		}
	}
	return bridge, up(bridgeName)
}

// addPort makes a tap and joins it to the bridge.
func addPort(bridge netlink.Link, tap *netlink.Tuntap) error {
	if err := netlink.LinkAdd(tap); err != nil {
		return fmt.Errorf("make %s: %w", tap.Name, err)
	}
	if err := netlink.LinkSetMaster(tap, bridge); err != nil {
		return fmt.Errorf("join %s to the bridge: %w", tap.Name, err)
	}
	// The port of a switch is no host: it must not send machines router solicitations of its own.
	if err := setIPv6(tap.Name, "disable_ipv6", "1"); err != nil {
		return err
	}
	return up(tap.Name)
}

// setIPv6 writes a sysctl of one interface, or of "all", in the calling thread's namespace.
func setIPv6(scope, key, value string) error {
	if err := os.WriteFile(filepath.Join("/proc/sys/net/ipv6/conf", scope, key), []byte(value), 0); err != nil {
		return fmt.Errorf("set IPv6 of %s: %w", scope, err)
	}
	return nil
}

func named(name string) netlink.LinkAttrs {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	return attrs
}

func up(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find %s: %w", name, err)
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("set %s up: %w", name, err)
	}
	return nil
}

// marked says whether the namespace called name has a lab's bridge.
func marked(name string) bool {
	found := false
	err := inNamespace(name, func() error {
		link, err := netlink.LinkByName(bridgeName)
		found = err == nil && link.Attrs().Alias == bridgeAlias
		return nil
	})
	return err == nil && found
}
