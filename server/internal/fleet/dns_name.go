package fleet

import (
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/zone"
)

// zoneName brings the name of a zone into the form that it is kept in.
func zoneName(name string) (string, error) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	return name, zone.CheckName(name)
}

// recordName brings a name within a zone into the form that it is kept in, and returns it fully qualified, without the
// trailing dot. With a trailing dot it is given fully qualified. Its first label may be a wildcard (RFC 4592).
func recordName(parent, name string) (within, fqdn string, err error) {
	within = strings.ToLower(name)
	if full, ok := strings.CutSuffix(within, "."); ok {
		switch {
		case full == parent:
			within = apex
		case strings.HasSuffix(full, "."+parent):
			within = strings.TrimSuffix(full, "."+parent)
		default:
			return "", "", metal.Errorf(metal.Invalid, "%s is not in zone %s", name, parent)
		}
	}
	if within == apex {
		return apex, parent, nil
	}
	fqdn = within + "." + parent
	plain := fqdn
	if within == "*" {
		plain = parent
	} else if rest, ok := strings.CutPrefix(within, "*."); ok {
		plain = rest + "." + parent
	}
	return within, fqdn, zone.CheckName(plain)
}

// pointedAddr returns the address that a name of a reverse zone is about: the first label is the host's part of it,
// also in a classless zone (RFC 2317), where only the last label of the network is another.
func pointedAddr(fqdn string) (netip.Addr, bool) {
	if rest, ok := strings.CutSuffix(fqdn, ".in-addr.arpa"); ok {
		labels := strings.Split(rest, ".")
		if len(labels) == 5 { // 77, 64/26, 2, 0, 192
			labels = slices.Delete(labels, 1, 2)
		}
		slices.Reverse(labels)
		a, err := netip.ParseAddr(strings.Join(labels, "."))
		return a, err == nil && a.Is4()
	}
	rest, ok := strings.CutSuffix(fqdn, ".ip6.arpa")
	digits := strings.Split(rest, ".")
	if !ok || len(digits) != 32 {
		return netip.Addr{}, false
	}
	slices.Reverse(digits)
	raw, err := hex.DecodeString(strings.Join(digits, ""))
	a, fits := netip.AddrFromSlice(raw)
	return a, err == nil && fits
}
