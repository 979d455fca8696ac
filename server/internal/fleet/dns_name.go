package fleet

import (
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// checkName refuses what is no domain name as zones have them, in lower case and without the trailing dot: labels of
// letters, digits, hyphens, underscores (RFC 8552), and slashes, which classless reverse zones have (RFC 2317). DNS
// itself allows every byte (RFC 2181, 11), and nothing else that people type is meant.
func checkName(name string) error {
	if len(name) > 253 {
		return metal.Errorf(metal.Invalid, "%.60q... is no domain name: it has %d characters, and 253 are allowed", name, len(name))
	}
	for label := range strings.SplitSeq(name, ".") {
		switch {
		case label == "":
			return metal.Errorf(metal.Invalid, "%q is no domain name: it has an empty label", name)
		case len(label) > 63:
			return metal.Errorf(metal.Invalid, "%q is no domain name: %.20s... has %d characters, and 63 are allowed in a label", name, label, len(label))
		case label[0] == '-' || label[len(label)-1] == '-':
			return metal.Errorf(metal.Invalid, "%q is no domain name: %s begins or ends with a hyphen", name, label)
		}
		for _, c := range label {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '/' {
				return metal.Errorf(metal.Invalid, "%q is no domain name: it has %q in it", name, c)
			}
		}
	}
	return nil
}

// zoneName brings the name of a zone into the form that it is kept in.
func zoneName(name string) (string, error) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	return name, checkName(name)
}

// recordName brings a name within a zone into the form that it is kept in, and returns it fully qualified, without the
// trailing dot. With a trailing dot it is given fully qualified. Its first label may be a wildcard (RFC 4592).
func recordName(zone, name string) (within, fqdn string, err error) {
	within = strings.ToLower(name)
	if full, ok := strings.CutSuffix(within, "."); ok {
		switch {
		case full == zone:
			within = apex
		case strings.HasSuffix(full, "."+zone):
			within = strings.TrimSuffix(full, "."+zone)
		default:
			return "", "", metal.Errorf(metal.Invalid, "%s is not in zone %s", name, zone)
		}
	}
	if within == apex {
		return apex, zone, nil
	}
	fqdn = within + "." + zone
	plain := fqdn
	if within == "*" {
		plain = zone
	} else if rest, ok := strings.CutPrefix(within, "*."); ok {
		plain = rest + "." + zone
	}
	return within, fqdn, checkName(plain)
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
