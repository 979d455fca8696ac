package fleet_test

import (
	"encoding/base64"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/fleet"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

func (r *rig) zone(t testing.TB, name string, spec metal.ZoneSpec) (metal.Zone, error) {
	t.Helper()
	return r.PutZone(t.Context(), api.PutZoneRequest{ByZone: api.ByZone{Zone: name}, Body: spec})
}

func (r *rig) records(t testing.TB, zone, name, kind string, values ...string) (metal.RecordSet, error) {
	t.Helper()
	return r.PutRecordSet(t.Context(), api.PutRecordSetRequest{ByRecordSet: api.ByRecordSet{ByZone: api.ByZone{Zone: zone}, Name: name, Type: kind}, Body: metal.RecordSetSpec{Values: values}})
}

func deleteZone(name string) api.DeleteZoneRequest {
	return api.DeleteZoneRequest{ByZone: api.ByZone{Zone: name}}
}

func TestZonesAreDeclaredUnderNamesThatZonesHave(t *testing.T) {
	r := start(t, func(c *fleet.Config) { c.Serial = func(zone string) uint32 { return uint32(len(zone)) } })
	for name, want := range map[string]string{
		"Example.COM.": "example.com", "lan": "lan", "fleet.test": "fleet.test", "_msdcs.corp.example": "_msdcs.corp.example",
		"2.0.192.in-addr.arpa": "2.0.192.in-addr.arpa", "64/26.2.0.192.in-addr.arpa": "64/26.2.0.192.in-addr.arpa", "8.b.d.0.1.0.0.2.ip6.arpa": "8.b.d.0.1.0.0.2.ip6.arpa",
	} {
		z, err := r.zone(t, name, metal.ZoneSpec{})
		if err != nil || z.Name != want || z.Spec.TTL != 60 || z.Spec.NegativeTTL != 10 || z.Serial != uint32(len(want)) {
			t.Errorf("%s: got %+v, %v; want %s with the defaults and its serial", name, z, err, want)
		}
	}
	l, err := r.ListZones(t.Context(), api.ListByNamesRequest{})
	if err != nil || len(l.Items) != 7 || l.Items[0].Serial == 0 {
		t.Errorf("list: got %d, %v; want seven with serials", len(l.Items), err)
	}
	for _, name := range []string{"", ".", "a..b", "-a.b", "a-.b", "a b.c", "*.example.com", "exämple.com", strings.Repeat("a", 64) + ".b", strings.Repeat("a.", 127) + "bc", "a;b", "$x", "(a)"} {
		if _, err := r.zone(t, name, metal.ZoneSpec{}); metal.CodeOf(err) != metal.Invalid {
			t.Errorf("%q: got %v; want invalid", name, err)
		}
	}
	for want, spec := range map[string]metal.ZoneSpec{
		"TSIG key k, which does not exist": {Update: metal.UpdateSpec{Keys: []string{"k"}}},
		"is not a mail address":            {Mailbox: "Someone <a@b.c>"},
		"is not a network":                 {Transfer: metal.TransferSpec{Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}}},
		"is not a server to notify":        {Transfer: metal.TransferSpec{Notify: []string{"ns1.example.com"}}},
		"is no domain name":                {NameServers: []string{"ns 1"}},
	} {
		_, err := r.zone(t, "lan", spec)
		wantRefusal(t, want, err, metal.Invalid, want)
	}
	z, err := r.zone(t, "lan", metal.ZoneSpec{NameServers: []string{"NS2.Example.com."}, Mailbox: "it@example.com", Transfer: metal.TransferSpec{Notify: []string{"10.0.0.2", "[2001:db8::2]:5353"}}})
	if err != nil || z.Spec.NameServers[0] != "ns2.example.com" || z.Revision != 2 {
		t.Errorf("settings: got %+v, %v", z, err)
	}
	_, err = r.DeleteZone(t.Context(), deleteZone("LAN."))
	must(t, err)
}

func TestRecordSetsAreKeptInOneForm(t *testing.T) {
	r := start(t)
	_, err := r.zone(t, "example.com", metal.ZoneSpec{})
	must(t, err)
	_, err = r.zone(t, "2.0.192.in-addr.arpa", metal.ZoneSpec{})
	must(t, err)
	long := strings.Repeat("x", 300)
	for _, test := range []struct {
		name, kind   string
		values, want []string
	}{
		{"www", "A", []string{"192.0.2.1", " 192.0.2.2 ", "192.0.2.1"}, []string{"192.0.2.1", "192.0.2.2"}},
		{"@", "AAAA", []string{"2001:DB8:0::1"}, []string{"2001:db8::1"}},
		{"alias", "CNAME", []string{"WWW"}, []string{"WWW.example.com."}},
		{"other", "CNAME", []string{"www.example.net."}, []string{"www.example.net."}},
		{"@", "MX", []string{"10 mail", "20 mail.example.net."}, []string{"10 mail.example.com.", "20 mail.example.net."}},
		{"none", "MX", []string{"0 ."}, []string{"0 ."}},
		{"_sip._tcp", "SRV", []string{"0 5 5060 sip"}, []string{"0 5 5060 sip.example.com."}},
		{"@", "TXT", []string{"v=spf1 -all", `"quoted; (text)" "two"`, `say "hi"\`}, []string{`"v=spf1 -all"`, `"quoted; (text)" "two"`, `"say \"hi\"\\"`}},
		{"_dmarc", "TXT", []string{"v=DMARC1; p=none"}, []string{`"v=DMARC1; p=none"`}},
		{"long", "TXT", []string{long}, []string{`"` + long[:255] + `" "` + long[255:] + `"`}},
		{"@", "CAA", []string{`0 issue "ca.example.net"`}, []string{`0 issue "ca.example.net"`}},
		{"host", "SSHFP", []string{"4 2 " + strings.Repeat("AB", 32)}, []string{"4 2 " + strings.Repeat("AB", 32)}},
		{"sub", "NS", []string{"ns.sub", "ns.example.net."}, []string{"ns.sub.example.com.", "ns.example.net."}},
		{"*", "A", []string{"192.0.2.9"}, []string{"192.0.2.9"}},
		{"*.deep", "TXT", []string{"x"}, []string{`"x"`}},
		{"Upper.Example.com.", "A", []string{"192.0.2.3"}, []string{"192.0.2.3"}},
	} {
		got, err := r.records(t, "example.com", test.name, test.kind, test.values...)
		if err != nil {
			t.Errorf("%s %s: %v", test.name, test.kind, err)
			continue
		}
		if diff := cmp.Diff(test.want, got.Spec.Values); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", test.name, test.kind, diff)
		}
		again, err := r.records(t, "example.com", test.name, test.kind, got.Spec.Values...)
		if err != nil || again.Revision != 1 {
			t.Errorf("%s %s in its own form: got revision %d, %v; want 1", test.name, test.kind, again.Revision, err)
		}
	}
	_, err = r.records(t, "2.0.192.in-addr.arpa", "0/25", "NS", "ns.example.net.")
	must(t, err)
	got, err := r.records(t, "2.0.192.in-addr.arpa", "7", "CNAME", "7.0/25")
	if err != nil || got.Spec.Values[0] != "7.0/25.2.0.192.in-addr.arpa." || got.FQDN != "7.2.0.192.in-addr.arpa" {
		t.Errorf("a classless delegation: got %+v, %v", got, err)
	}
}

func TestWhatIsNoRecordIsRefused(t *testing.T) {
	r := start(t)
	_, err := r.zone(t, "example.com", metal.ZoneSpec{})
	must(t, err)
	_, err = r.records(t, "example.com", "www", "A", "192.0.2.1")
	must(t, err)
	_, err = r.records(t, "example.com", "alias", "CNAME", "www")
	must(t, err)
	for _, test := range []struct {
		what, name, kind string
		values           []string
		code             metal.Code
		want             string
	}{
		{"nothing", "x", "A", nil, metal.Invalid, "has no value"},
		{"an address of the other family", "x", "A", []string{"2001:db8::1"}, metal.Invalid, "not the value of a A record"},
		{"a name as an address", "x", "A", []string{"www"}, metal.Invalid, "written otherwise"},
		{"a second line", "x", "A", []string{"192.0.2.1\nevil A 192.0.2.2"}, metal.Invalid, "control character"},
		{"an include", "x", "A", []string{"192.0.2.1\n$INCLUDE /etc/passwd"}, metal.Invalid, "control character"},
		{"a comment", "x", "A", []string{"192.0.2.1 ; mine"}, metal.Invalid, "comments"},
		{"parentheses", "x", "MX", []string{"( 10 mail )"}, metal.Invalid, "parentheses"},
		{"a quote without an end", "x", "TXT", []string{`"open`}, metal.Invalid, "does not end"},
		{"a class and a type", "x", "A", []string{"IN TXT x"}, metal.Invalid, "written otherwise"},
		{"more than its fields", "x", "MX", []string{"10 mail 20 mail"}, metal.Invalid, "written otherwise"},
		{"an alias of two", "x", "CNAME", []string{"a", "b"}, metal.Invalid, "alias of 2 names"},
		{"an alias of the zone", "@", "CNAME", []string{"www"}, metal.Invalid, "cannot be an alias"},
		{"an alias of a name with records", "www", "CNAME", []string{"x"}, metal.Conflict, "it has A records"},
		{"records of an alias", "alias", "TXT", []string{"x"}, metal.Conflict, "it has CNAME records"},
		{"the zone's name servers", "@", "NS", []string{"ns1"}, metal.Conflict, "name_servers"},
		{"a delegated wildcard", "*", "NS", []string{"ns1"}, metal.Invalid, "wildcard"},
		{"another zone's name", "www.example.net.", "A", []string{"192.0.2.1"}, metal.Invalid, "not in zone"},
		{"a name that is none", "a b", "A", []string{"192.0.2.1"}, metal.Invalid, "no domain name"},
		{"a wildcard within", "a.*.b", "A", []string{"192.0.2.1"}, metal.Invalid, "no domain name"},
		{"a type that is none", "x", "HINFO", []string{"a b"}, metal.Invalid, "no record sets of type HINFO"},
		{"CAA flags", "x", "CAA", []string{`7 issue "x"`}, metal.Invalid, "0 or 128"},
		{"a short fingerprint", "x", "SSHFP", []string{"4 2 abcd"}, metal.Invalid, "fingerprint"},
		{"a target that is none", "x", "MX", []string{`10 a\.b..c`}, metal.Invalid, "MX"},
	} {
		_, err := r.records(t, "example.com", test.name, test.kind, test.values...)
		wantRefusal(t, test.what, err, test.code, test.want)
	}
	_, err = r.records(t, "example.net", "x", "A", "192.0.2.1")
	wantRefusal(t, "a zone that is not there", err, metal.Invalid, "not declared: make it first")
	_, err = r.DeleteZone(t.Context(), deleteZone("example.com"))
	wantRefusal(t, "deleting a zone with records", err, metal.Conflict, "it has 2 record sets")
	_, err = r.DeleteRecordSet(t.Context(), api.DeleteRecordSetRequest{ByRecordSet: api.ByRecordSet{ByZone: api.ByZone{Zone: "example.com"}, Name: "www", Type: "A"}, Precondition: api.Precondition{IfMatch: `"9"`}})
	wantRefusal(t, "deleting what was changed", err, metal.Conflict, "was changed since")
}

func TestNamesThatComeByThemselvesHaveNoRecordsOfTheirOwn(t *testing.T) {
	r := start(t)
	r.subnet(t, "s", "192.0.2.0/24", serves, func(s *metal.SubnetSpec) {
		s.Domain = "example.com"
		s.DHCP.Ranges = []metal.AddrRange{rng("192.0.2.100", "192.0.2.199")}
	})
	r.subnet(t, "six", "2001:db8::/64", func(s *metal.SubnetSpec) { s.Domain = "example.com" })
	for _, zone := range []string{"example.com", "2.0.192.in-addr.arpa", "0/25.2.0.192.in-addr.arpa", "8.b.d.0.1.0.0.2.ip6.arpa"} {
		_, err := r.zone(t, zone, metal.ZoneSpec{})
		must(t, err)
	}
	m := r.machine(t, "web", nicA)
	_, err := r.device(t, "switch", metal.DeviceSpec{Interfaces: []metal.DeviceInterface{{Subnet: "s", Addr: addr("192.0.2.9")}, {Subnet: "six", Addr: addr("2001:db8::9")}}})
	must(t, err)
	_, err = r.reserve(t, "r", metal.ReservationSpec{Subnet: "s", Addr: addr("192.0.2.10"), Hostname: "camera"})
	must(t, err)
	_, err = r.reserve(t, "nameless", metal.ReservationSpec{Subnet: "s", Addr: addr("192.0.2.11")})
	must(t, err)
	r.lease(t, "c", metal.Lease{Subnet: "s", Addr: addr("192.0.2.100"), MAC: nicB, Hostname: "Laptop"})
	for _, test := range []struct{ zone, name, kind, value, want string }{
		{"example.com", "web", "A", "192.0.2.77", "belongs to machine web"},
		{"example.com", "web", "CNAME", "x", "belongs to machine web"},
		{"example.com", "switch", "AAAA", "2001:db8::77", "belongs to device switch"},
		{"example.com", "camera", "A", "192.0.2.77", "belongs to reservation r"},
		{"example.com", "laptop", "A", "192.0.2.77", "belongs to the lease of 192.0.2.100"},
		{"2.0.192.in-addr.arpa", "1", "PTR", "x.example.com.", "192.0.2.1 belongs to machine web (" + m.ID},
		{"2.0.192.in-addr.arpa", "10", "PTR", "x.example.com.", "belongs to reservation r"},
		{"2.0.192.in-addr.arpa", "100", "PTR", "x.example.com.", "belongs to 02:00:00:00:00:0b (Laptop)"},
		{"0/25.2.0.192.in-addr.arpa", "9", "PTR", "x.example.com.", "belongs to device switch"},
		{"8.b.d.0.1.0.0.2.ip6.arpa", "9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0", "PTR", "x.example.com.", "belongs to device switch"},
	} {
		_, err := r.records(t, test.zone, test.name, test.kind, test.value)
		wantRefusal(t, test.kind+" of "+test.name, err, metal.Conflict, test.want)
	}
	for _, test := range []struct{ zone, name, kind, value string }{
		{"example.com", "web", "TXT", "x"}, {"example.com", "web", "MX", "10 web"}, {"example.com", "free", "A", "192.0.2.1"},
		{"2.0.192.in-addr.arpa", "11", "PTR", "x.example.com."}, {"2.0.192.in-addr.arpa", "50", "PTR", "x.example.com."},
		{"2.0.192.in-addr.arpa", "@", "TXT", "x"}, {"2.0.192.in-addr.arpa", "text", "PTR", "x.example.com."},
	} {
		if _, err := r.records(t, test.zone, test.name, test.kind, test.value); err != nil {
			t.Errorf("%s of %s: %v", test.kind, test.name, err)
		}
	}
	_, err = r.CreateMachine(t.Context(), api.CreateMachineRequest{Body: api.MachineBody{MachineSpec: metal.MachineSpec{Name: "free", MACs: []metal.MAC{nicC}}}})
	wantRefusal(t, "a machine with a name that has records", err, metal.Conflict, "free.example.com has A records of its own in zone example.com")
}

func TestRecordSetsAreListedByPageAndByKey(t *testing.T) {
	r := start(t)
	for _, zone := range []string{"example.com", "2.0.192.in-addr.arpa", "0/25.2.0.192.in-addr.arpa"} {
		_, err := r.zone(t, zone, metal.ZoneSpec{})
		must(t, err)
	}
	keys := []string{"0/25.2.0.192.in-addr.arpa/7/PTR", "2.0.192.in-addr.arpa/0/25/NS", "example.com/@/TXT", "example.com/a/A", "example.com/a/TXT"}
	for _, key := range keys {
		at := map[string]int{"0": 2, "2": 1, "e": 1}[key[:1]]
		parts := strings.Split(key, "/")
		zone, name, kind := strings.Join(parts[:at], "/"), strings.Join(parts[at:len(parts)-1], "/"), parts[len(parts)-1]
		value := map[string]string{"PTR": "x.", "NS": "ns.", "TXT": "x", "A": "192.0.2.1"}[kind]
		_, err := r.records(t, zone, name, kind, value)
		must(t, err)
	}
	read := func(in api.ListRecordSetsRequest) (got []string) {
		t.Helper()
		for {
			l, err := r.ListRecordSets(t.Context(), in)
			must(t, err)
			for _, x := range l.Items {
				got = append(got, x.Zone+"/"+x.Name+"/"+x.Type)
			}
			if in.After = l.Next; l.Next == "" {
				return got
			}
		}
	}
	for _, limit := range []int{1, 2, 500} {
		if got := read(api.ListRecordSetsRequest{Page: api.Page{Limit: limit}}); !slices.Equal(got, keys) {
			t.Errorf("all, %d a page: got %v; want %v", limit, got, keys)
		}
		if got := read(api.ListRecordSetsRequest{Page: api.Page{Limit: limit}, Zone: "Example.com."}); !slices.Equal(got, keys[2:]) {
			t.Errorf("a zone, %d a page: got %v; want %v", limit, got, keys[2:])
		}
	}
	if got := read(api.ListRecordSetsRequest{Keys: append(keys, "example.com/none/A", "nonsense")}); !slices.Equal(got, keys) {
		t.Errorf("by key: got %v; want %v", got, keys)
	}
	_, err := r.ListRecordSets(t.Context(), api.ListRecordSetsRequest{Zone: "none"})
	wantRefusal(t, "a zone that is not there", err, metal.NotFound, "no zone none")
}

func TestTheSecretOfATSIGKeyIsNeverTold(t *testing.T) {
	r := start(t)
	const plain = "0123456789abcdef0123456789abcdef"
	secret := base64.StdEncoding.EncodeToString([]byte(plain))
	put := func(name, algorithm string, secret *string) (metal.DNSKey, error) {
		return r.PutDNSKey(t.Context(), api.PutDNSKeyRequest{ByName: named(name), Body: api.DNSKeyBody{Algorithm: algorithm, Secret: secret}})
	}
	short, wrong := base64.StdEncoding.EncodeToString([]byte("short")), "not base64 at all"
	for name, err := range map[string]error{
		"no secret":        second(put("k", "", nil)),
		"a short one":      second(put("k", "", &short)),
		"one in plain":     second(put("k", "", &wrong)),
		"a weak algorithm": second(put("k", "hmac-md5", &secret)),
		"a bad name":       second(put("a..b", "", &secret)),
	} {
		if metal.CodeOf(err) != metal.Invalid || strings.Contains(err.Error(), wrong) || strings.Contains(err.Error(), short) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: got %v; want invalid, without the secret", name, err)
		}
	}
	k, err := put("k", "", &secret)
	if err != nil || k.Algorithm != "hmac-sha256" {
		t.Fatalf("got %+v, %v", k, err)
	}
	same, err := put("k", "hmac-sha256", &secret)
	if err != nil || same.Revision != 1 {
		t.Errorf("the same again: got revision %d, %v; want 1", same.Revision, err)
	}
	if changed, err := put("k", "hmac-sha512", nil); err != nil || changed.Revision != 2 {
		t.Errorf("another algorithm: got %+v, %v; want revision 2", changed, err)
	}
	must(t, r.db.Read(t.Context(), func(tx *store.Tx) error {
		kept, err := tx.DNSSecret("k")
		if kept.Reveal() != plain {
			t.Error("the secret is not the one that was given")
		}
		return err
	}))
	_, err = r.zone(t, "example.com", metal.ZoneSpec{Transfer: metal.TransferSpec{Keys: []string{"k"}}})
	must(t, err)
	_, err = r.DeleteDNSKey(t.Context(), byName("k"))
	wantRefusal(t, "deleting a key that a zone names", err, metal.Conflict, "zone example.com uses it")
	_, err = r.DeleteZone(t.Context(), deleteZone("example.com"))
	_, err2 := r.DeleteDNSKey(t.Context(), byName("k"))
	must(t, errors.Join(err, err2))
}

func second[T any](_ T, err error) error { return err }
