package zone

import (
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// maxRecordSet is how many bytes the records of one set may have, as they are sent: they must fit one message.
const maxRecordSet = 60_000

// parseRecordSet reads the values of a record set as in a zone file, in which names without a trailing dot are within
// the zone. What cannot be read, or is too much for one answer, is metal.Invalid.
func parseRecordSet(r metal.RecordSet) ([]dns.RR, error) {
	owner, ok := ownerOf(r)
	if !ok {
		return nil, metal.Errorf(metal.Invalid, "record set %s: %q is not a name in zone %q", r.Type, r.Name, r.Zone)
	}
	if !slices.Contains(metal.RecordTypes[:], r.Type) {
		return nil, metal.Errorf(metal.Invalid, "record set %s: type %q is none of %s", r.Name, r.Type, strings.Join(metal.RecordTypes[:], ", "))
	}
	if r.Type == "CNAME" && len(r.Spec.Values) > 1 {
		return nil, metal.Errorf(metal.Invalid, "record set %s: a CNAME record is alone; got %d values", r.Name, len(r.Spec.Values))
	}
	zone, _ := parseName(r.Zone)
	size := 0
	var list []dns.RR
	for _, value := range r.Spec.Values {
		rr, err := parseValue(owner.text(), zone.text(), r.Type, value)
		if err != nil {
			return nil, err
		}
		size += dns.Len(rr)
		list = append(list, rr)
	}
	if size > maxRecordSet {
		return nil, metal.Errorf(metal.Invalid, "record set %s %s has %d bytes; %d is the most that one answer can carry", r.Name, r.Type, size, maxRecordSet)
	}
	return list, nil
}

// parseValue reads one record.
func parseValue(owner, zone, rrtype, value string) (dns.RR, error) {
	invalid := func(cause error) error {
		return metal.Errorf(metal.Invalid, "record set %s: %q is not the data of one %s record as in a zone file: %w", owner, value, rrtype, cause)
	}
	if strings.ContainsAny(value, "\r\n") {
		return nil, metal.Errorf(metal.Invalid, "record set %s: the value %q has more than one line", owner, value)
	}
	parser := dns.NewZoneParser(strings.NewReader(owner+" 0 IN "+rrtype+" "+value+"\n"), zone, "")
	rr, ok := parser.Next()
	if err := parser.Err(); err != nil {
		return nil, invalid(err)
	}
	if !ok || rr.Header().Rrtype != dns.StringToType[rrtype] {
		return nil, metal.Errorf(metal.Invalid, "record set %s: %q is no data of a %s record", owner, value, rrtype)
	}
	if _, err := dns.PackRR(rr, make([]byte, dns.Len(rr)+1), 0, nil, false); err != nil {
		return nil, invalid(err)
	}
	return rr, nil
}

// ownerOf is the name of a record set.
func ownerOf(r metal.RecordSet) (name, bool) {
	if r.Name == "@" || r.Name == "" {
		return parseName(r.Zone)
	}
	return parseName(r.Name + "." + strings.TrimPrefix(dns.Fqdn(r.Zone), "."))
}
