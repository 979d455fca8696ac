package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
)

// setUp brings an interface up. The error is os.ErrNotExist when there is none of that name.
func setUp(name string) error {
	l, err := netlink.LinkByName(name)
	if missing := (netlink.LinkNotFoundError{}); errors.As(err, &missing) {
		return fmt.Errorf("bring up %s: %w", name, os.ErrNotExist)
	}
	if err != nil {
		return fmt.Errorf("find interface %s: %w", name, err)
	}
	if err := netlink.LinkSetUp(l); err != nil {
		return fmt.Errorf("bring up %s: %w", name, err)
	}
	return nil
}

// setAddress gives a NIC the address of a lease and routes through its gateway. Doing it again changes nothing.
func setAddress(nic net.Interface, lease Lease) error {
	l, err := netlink.LinkByIndex(nic.Index)
	if err != nil {
		return fmt.Errorf("find interface %s: %w", nic.Name, err)
	}
	if err := netlink.AddrReplace(l, &netlink.Addr{IPNet: ipNet(lease.Address)}); err != nil {
		return fmt.Errorf("give %s the address %s: %w", nic.Name, lease.Address, err)
	}
	if !lease.Gateway.IsValid() || lease.Gateway.IsUnspecified() {
		return nil
	}
	route := &netlink.Route{LinkIndex: nic.Index, Gw: lease.Gateway.AsSlice()}
	if !lease.Address.Masked().Contains(lease.Gateway) {
		route.Flags = int(netlink.FLAG_ONLINK)
	}
	if err := netlink.RouteReplace(route); err != nil {
		return fmt.Errorf("route through %s: %w", lease.Gateway, err)
	}
	return nil
}

func dropAddress(nic net.Interface, address netip.Prefix) error {
	l, err := netlink.LinkByIndex(nic.Index)
	if err != nil {
		return fmt.Errorf("find interface %s: %w", nic.Name, err)
	}
	if err := netlink.AddrDel(l, &netlink.Addr{IPNet: ipNet(address)}); err != nil {
		return fmt.Errorf("take %s from %s: %w", address, nic.Name, err)
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
