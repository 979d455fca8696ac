// Package dnsload is a DNS load as a site's resolvers make it: names of many hosts, forward and reverse, in any case
// of letters, and names that do not exist.
package dnsload

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"github.com/miekg/dns"

	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/peers"
)

// Hosts are hosts with a name in a domain, and an address of either family.
type Hosts struct {
	Domain string // without the trailing dot
	Count  int    // 65,536 at most
}

// Name is the host name of one of them.
func (h Hosts) Name(i int) string { return fmt.Sprintf("node-%05d", i) }

// Addr is its IPv4 address, and Addr6 its IPv6 one. They are in testnet's networks, and outside of what DHCP gives out.
func (h Hosts) Addr(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 97, byte(i >> 8), byte(i)})
}

// Addr6 is its IPv6 address.
func (h Hosts) Addr6(i int) netip.Addr {
	a := netip.MustParseAddr("fd00:99::2:0:0").As16()
	binary.BigEndian.PutUint32(a[12:], uint32(i))
	return netip.AddrFrom16(a)
}

// zones that hold the hosts' reverse names
const (
	reverse4 = "97.10.in-addr.arpa"
	reverse6 = "9.9.0.0.0.0.d.f.ip6.arpa"
)

// Zones are the zone files that say the same of the hosts as metald does.
func (h Hosts) Zones() ([]peers.Zone, error) {
	const head = "$ORIGIN %s.\n$TTL 60\n@ SOA ns.%[2]s. hostmaster.%[2]s. 1 3600 600 86400 10\n@ NS ns.%[2]s.\n"
	var forward, four, six strings.Builder
	fmt.Fprintf(&forward, head, h.Domain, h.Domain)
	fmt.Fprintf(&forward, "ns A 10.99.0.1\n")
	fmt.Fprintf(&four, head, reverse4, h.Domain)
	fmt.Fprintf(&six, head, reverse6, h.Domain)
	for i := range h.Count {
		fmt.Fprintf(&forward, "%s A %s\n%[1]s AAAA %[3]s\n", h.Name(i), h.Addr(i), h.Addr6(i))
		for _, r := range []struct {
			zone *strings.Builder
			addr netip.Addr
		}{{&four, h.Addr(i)}, {&six, h.Addr6(i)}} {
			name, err := dns.ReverseAddr(r.addr.String())
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(r.zone, "%s PTR %s.%s.\n", name, h.Name(i), h.Domain)
		}
	}
	return []peers.Zone{{Name: h.Domain, Text: forward.String()}, {Name: reverse4, Text: four.String()}, {Name: reverse6, Text: six.String()}}, nil
}
