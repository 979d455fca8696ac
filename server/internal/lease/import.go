package lease

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const (
	mostText    = 64 << 20 // bytes of a lease file
	mostRefused = 100      // leases that are named which cannot be read
)

// Import returns the leases of another DHCP server's file, without their subnets, and names those that it cannot read,
// each with the reason, at most 100. Of several entries for one address the last one counts, as those servers append
// what changes. What is not given to a client, as it ended, was given up or declined, is left out.
//
// format is "isc" for dhcpd.leases of ISC dhcpd, IPv4 or IPv6, "kea4" or "kea6" for the CSV files of Kea's memfile
// backend. Any other one, and a text of more than 64 MiB, is metal.Invalid, as is a text that is no such file at all.
func Import(format, text string) (leases []metal.Lease, refused []string, err error) {
	if len(text) > mostText {
		return nil, nil, metal.Errorf(metal.Invalid, "import leases: the file has %d bytes, and %d are the most; split it", len(text), mostText)
	}
	im := &importer{at: map[netip.Prefix]int{}}
	switch format {
	case "isc":
		err = im.isc(text)
	case "kea4", "kea6":
		err = im.kea(text, format == "kea6")
	default:
		err = metal.Errorf(metal.Invalid, "import leases: the format %.20q is not known: isc, kea4 or kea6 are", format)
	}
	if err != nil {
		return nil, nil, err
	}
	for i, l := range im.leases {
		if !im.gone[i] {
			leases = append(leases, l)
		}
	}
	return leases, im.refused, nil
}

// importer gathers leases.
type importer struct {
	leases  []metal.Lease
	gone    []bool // of each, whether it is nobody's any more
	at      map[netip.Prefix]int
	refused []string
}

func (im *importer) refuse(where, format string, args ...any) {
	if len(im.refused) < mostRefused {
		im.refused = append(im.refused, where+": "+fmt.Sprintf(format, args...))
	}
}

// add takes over an entry in place of earlier ones for its address.
func (im *importer) add(l metal.Lease, gone bool) {
	key := netip.PrefixFrom(l.Addr, l.Addr.BitLen())
	if l.Bits > 0 {
		key = netip.PrefixFrom(l.Addr, l.Bits)
	}
	l.State = metal.LeaseActive
	i, known := im.at[key]
	if !known {
		i = len(im.leases)
		im.at[key] = i
		im.leases, im.gone = append(im.leases, l), append(im.gone, gone)
	}
	im.leases[i], im.gone[i] = l, gone
}

// latest is the last second that an end may be at: in the year 4147.
const latest = 1 << 36

// unlimited is when a lease ends that has no end. Its client asks again long before, as it does with ours.
func unlimited() time.Time { return time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC) }

// label keeps a host name where it could be a DNS label, of a full name the first one; else nothing.
func label(s string) string {
	s, _, _ = strings.Cut(s, ".")
	odd := strings.ContainsFunc(s, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-')
	})
	if odd || len(s) > 63 || strings.HasPrefix(s, "-") || strings.HasSuffix(s, "-") {
		return ""
	}
	return s
}

// macOfDUID returns the MAC address in a DUID that is made of one (RFC 8415, 11.2 and 11.4); empty for none.
func macOfDUID(duid []byte) metal.MAC {
	const ethernet = 1
	switch {
	case len(duid) == 14 && duid[0] == 0 && duid[1] == 1 && duid[2] == 0 && duid[3] == ethernet:
		return known(metal.MACOf(duid[8:]))
	case len(duid) == 10 && duid[0] == 0 && duid[1] == 3 && duid[2] == 0 && duid[3] == ethernet:
		return known(metal.MACOf(duid[4:]))
	}
	return ""
}

// known returns a MAC address that a NIC could have; else none.
func known(m metal.MAC) metal.MAC {
	if _, err := metal.ParseMAC(string(m)); err != nil {
		return ""
	}
	return m
}

// digits reads hex digits, with colons between the bytes or without.
func digits(s string) ([]byte, bool) {
	raw, err := hex.DecodeString(strings.ReplaceAll(s, ":", ""))
	return raw, err == nil && len(raw) <= mostID
}

const mostID = 255 // bytes of a client identifier
