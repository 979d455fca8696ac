package zone

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// cut is how many bits of a subnet the names of its reverse zones tell. Zones are cut on octets for IPv4 and on nibbles
// for IPv6 (RFC 1035, section 3.5; RFC 3596, section 2.5): a /24 is one zone, a /22 four of three octets, and a /26 is
// served from the one of three octets that encloses it. A single address is never a zone of its own.
func cut(subnet netip.Prefix) int {
	if subnet.Addr().Is4() {
		return min(max((subnet.Bits()+7)/8, 1), 3) * 8
	}
	return min(max((subnet.Bits()+3)/4, 1), 31) * 4
}

// classless says whether a subnet has a zone of its own within the one of three octets, which whoever has that one can
// delegate (RFC 2317).
func classless(subnet netip.Prefix) bool {
	return subnet.Addr().Is4() && subnet.Bits() > 24 && subnet.Bits() < 32
}

// reverseZones are the zones that the addresses of a subnet have their names in: 256 at most.
func reverseZones(subnet netip.Prefix) (zones []name) {
	if !subnet.IsValid() {
		return nil
	}
	subnet = subnet.Masked()
	bits := cut(subnet)
	addr := subnet.Addr()
	for range 1 << max(bits-subnet.Bits(), 0) {
		zones = append(zones, reverseName(addr, bits))
		addr = following(addr, bits)
	}
	if classless(subnet) {
		zones = append(zones, classlessZone(subnet))
	}
	return zones
}

// following is the first address of the next network of that many bits.
func following(addr netip.Addr, bits int) netip.Addr {
	raw := addr.AsSlice()
	step := byte(1) << ((8 - bits%8) % 8)
	for i := (bits+7)/8 - 1; i >= 0; i-- {
		raw[i] += step
		if raw[i] != 0 {
			break
		}
		step = 1
	}
	next, _ := netip.AddrFromSlice(raw)
	return next
}

// reverseNames are the names of an address of a subnet: the one that is asked for, and in a classless zone the one that
// whoever delegates that points to with a CNAME record.
func reverseNames(subnet netip.Prefix, addr netip.Addr) []name {
	addr = addr.Unmap().WithZone("")
	names := []name{reverseName(addr, addr.BitLen())}
	if classless(subnet) && subnet.Contains(addr) {
		octet := strconv.Itoa(int(addr.As4()[3]))
		names = append(names, labels(octet)+classlessZone(subnet.Masked()))
	}
	return names
}

// classlessZone is named for the network's first octet and its length, below the zone of three octets (RFC 2317,
// section 4).
func classlessZone(subnet netip.Prefix) name {
	return labels(fmt.Sprintf("%d/%d", subnet.Addr().As4()[3], subnet.Bits())) + reverseName(subnet.Addr(), 24)
}

// reverseName is the name of the first bits of an address, on octets or nibbles.
func reverseName(addr netip.Addr, bits int) name {
	var list []string
	if addr.Is4() {
		raw := addr.As4()
		for i := bits/8 - 1; i >= 0; i-- {
			list = append(list, strconv.Itoa(int(raw[i])))
		}
		return labels(append(list, "in-addr", "arpa")...) + root
	}
	raw := addr.As16()
	for i := bits/4 - 1; i >= 0; i-- {
		list = append(list, strconv.FormatUint(uint64(raw[i/2]>>(4-4*(i%2))&15), 16))
	}
	return labels(append(list, "ip6", "arpa")...) + root
}

// labels writes labels of 63 bytes at most in the form in which they are sent.
func labels(list ...string) name {
	var b strings.Builder
	for _, label := range list {
		b.WriteByte(byte(len(label)))
		b.WriteString(label)
	}
	return name(b.String())
}
