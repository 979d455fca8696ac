package lease

import (
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// kea reads a CSV file of Kea's memfile backend. Its first line names the columns; which there are differs between
// Kea's versions.
func (im *importer) kea(text string, v6 bool) error {
	lines := strings.Split(text, "\n")
	column := map[string]int{}
	for i, name := range strings.Split(strings.TrimSpace(lines[0]), ",") {
		column[name] = i
	}
	want := []string{"address", "expire", "valid_lifetime", "state"}
	if v6 {
		want = append(want, "duid", "iaid", "lease_type", "prefix_len")
	} else {
		want = append(want, "hwaddr", "client_id")
	}
	for _, name := range want {
		if _, ok := column[name]; !ok {
			return metal.Errorf(metal.Invalid, "import leases of Kea: the file has no column %s: give lease files of Kea's memfile backend, kea-leases4.csv as kea4 and kea-leases6.csv as kea6", name)
		}
	}
	for i, line := range lines[1:] {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		record := strings.Split(line, ",") // Kea writes no quotes, and commas within a value as &#x2c
		im.keaLease("line "+strconv.Itoa(i+2), v6, func(name string) string {
			if i, ok := column[name]; ok && i < len(record) {
				return record[i]
			}
			return ""
		})
	}
	return nil
}

// States and types of Kea's leases.
const (
	keaAssigned = "0"
	keaPrefix   = "2"
	keaTemp     = "1"
	keaForever  = 1<<32 - 1
)

func (im *importer) keaLease(where string, v6 bool, field func(string) string) {
	addr, err := netip.ParseAddr(field("address"))
	if err != nil || addr.Is6() != v6 || addr.Zone() != "" || addr.Is4In6() {
		im.refuse(where, "%.50q is no address of that family", field("address"))
		return
	}
	where = addr.String()
	l := metal.Lease{Addr: addr, Hostname: label(field("hostname"))}
	life, err := strconv.ParseUint(field("valid_lifetime"), 10, 32)
	if err != nil {
		im.refuse(where, "its lifetime is %.20q", field("valid_lifetime"))
		return
	}
	end, err := strconv.ParseInt(field("expire"), 10, 64)
	if err != nil || end < 0 || end > latest {
		im.refuse(where, "it ends at %.20q", field("expire"))
		return
	}
	l.ExpiresAt = time.Unix(end, 0).UTC()
	l.StartedAt = l.ExpiresAt.Add(-time.Duration(life) * time.Second)
	if life == keaForever {
		l.StartedAt, l.ExpiresAt = time.Time{}, unlimited()
	}
	if mac := field("hwaddr"); mac != "" {
		if l.MAC, err = metal.ParseMAC(mac); err != nil && !v6 {
			im.refuse(where, "%v", err)
			return
		}
	}
	id, column := field("client_id"), "client_id"
	if v6 {
		id, column = field("duid"), "duid"
	}
	raw, ok := digits(id)
	if !ok || v6 && len(raw) == 0 {
		im.refuse(where, "its %s is %.40q", column, id)
		return
	}
	l.ClientID = hex.EncodeToString(raw)
	gone := field("state") != keaAssigned || life == 0
	if v6 && !im.keaAssociation(where, &l, field) {
		return
	}
	if l.MAC == "" && v6 {
		l.MAC = macOfDUID(raw)
	}
	if l.MAC == "" && l.ClientID == "" && !gone {
		im.refuse(where, "it names no client")
		return
	}
	im.add(l, gone)
}

// keaAssociation reads what only DHCPv6 has. It says false where the lease is refused.
func (im *importer) keaAssociation(where string, l *metal.Lease, field func(string) string) bool {
	iaid, err := strconv.ParseUint(field("iaid"), 10, 32)
	if err != nil {
		im.refuse(where, "its identity association is %.20q", field("iaid"))
		return false
	}
	l.IAID = uint32(iaid)
	switch field("lease_type") {
	case keaTemp:
		im.refuse(where, "it is a temporary address, which metald does not give")
		return false
	case keaPrefix:
		bits, err := strconv.Atoi(field("prefix_len"))
		if err != nil || bits < 1 || bits > 128 || netip.PrefixFrom(l.Addr, bits).Masked().Addr() != l.Addr {
			im.refuse(where, "it begins no prefix of length %.20q", field("prefix_len"))
			return false
		}
		l.Bits = bits
	}
	return true
}
