package dnsload

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

// Parts of the mix, in percent. The rest are types that a host has no record of.
const (
	shareA        = 42
	shareAAAA     = 22
	sharePTR      = 13
	sharePTR6     = 5
	shareMissing  = 12 // names that do not exist
	shareMissing4 = 3  // addresses that nobody has
)

// NXDomain is the part of the mix that has NXDOMAIN as its answer, 0 to 1.
const NXDomain = (shareMissing + shareMissing4) / 100.0

// Mix returns queries, one a line as dnsperf reads them. Every third one has letters of either case, as resolvers send
// that want to make forgery harder (DNS 0x20). The same count gives the same queries.
func (h Hosts) Mix(count int) (string, error) {
	random := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	for i := range count {
		name, kind, err := h.query(random)
		if err != nil {
			return "", err
		}
		if i%3 == 0 {
			name = mixCase(name, random)
		}
		fmt.Fprintf(&b, "%s %s\n", name, kind)
	}
	return b.String(), nil
}

func (h Hosts) query(random *rand.Rand) (name, kind string, err error) {
	i := random.IntN(h.Count)
	host := h.Name(i) + "." + h.Domain + "."
	reverse := func(a netip.Addr) (string, string, error) {
		name, err := dns.ReverseAddr(a.String())
		return name, "PTR", err
	}
	part := random.IntN(100)
	for _, p := range []struct {
		share int
		make  func() (string, string, error)
	}{
		{shareA, func() (string, string, error) { return host, "A", nil }},
		{shareAAAA, func() (string, string, error) { return host, "AAAA", nil }},
		{sharePTR, func() (string, string, error) { return reverse(h.Addr(i)) }},
		{sharePTR6, func() (string, string, error) { return reverse(h.Addr6(i)) }},
		{shareMissing, func() (string, string, error) { return "no-" + host, "A", nil }},
		{shareMissing4, func() (string, string, error) { return reverse(h.Addr(h.Count + i%1000)) }},
	} {
		if part < p.share {
			return p.make()
		}
		part -= p.share
	}
	return host, "MX", nil
}

func mixCase(name string, random *rand.Rand) string {
	b := []byte(name)
	for i, c := range b {
		if 'a' <= c && c <= 'z' && random.IntN(2) == 0 {
			b[i] = c - 'a' + 'A'
		}
	}
	return string(b)
}
