package main

import (
	"encoding/base64"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestWhatNetworkCommandsPrint(t *testing.T) {
	serve(t, network{&fleet{}})
	for line, want := range map[string]string{
		"fabrics list":                        "NAME     DESCRIPTION\ndefault\n",
		"vlans show storage":                  "name:                   storage\nfabric:                 default\nVLAN id:                12\nMTU:                    9000\nspace:                  inner\nrouter advertisements:  prefixes, managed\ncreated:                2026-01-02 03:04:05\n",
		"vlans delete storage":                "storage is deleted\n",
		"ranges show pool":                    "name:       pool\nsubnet:     boot\nfirst:      10.0.0.100\nlast:       10.0.0.150\nkind:       dynamic\nboot file:  x.efi\noption:     [43 hex 0102]\n",
		"reservations list":                   "NAME     SUBNET  ADDRESS   MAC                DUID  DNS NAME\nprinter  boot    10.0.0.9  52:54:00:12:34:99        printer.lab\n",
		"devices show switch":                 "name:       switch\nDNS name:   switch.lab\ninterface:  52:54:00:12:34:98, 10.0.0.2 in boot\ninterface:  52:54:00:12:34:97\ntags:       rack1\ncreated:    2026-01-02 03:04:05\n",
		"subnets addresses boot":              "FIRST     LAST        USE      MAC  WHO\n10.0.0.1              gateway\n10.0.0.2  10.0.0.254  free\n",
		"subnets addresses boot --free":       "FIRST     LAST        USE   MAC  WHO\n10.0.0.2  10.0.0.254  free\n",
		"leases list":                         "ADDRESS            MAC                HOSTNAME  STATE   EXPIRES              SUBNET\n10.0.0.100         52:54:00:12:34:96  laptop    active  2026-01-02 03:04:05  boot\n2001:db8:100::/56                               active  2026-01-02 03:04:05  six\n",
		"leases delete boot 10.0.0.100":       "the lease of 10.0.0.100 is taken\n",
		"dns zones list":                      "NAME         SERIAL  TTL  NAME SERVERS  TRANSFER KEYS  UPDATE KEYS\nexample.com      77   60\n",
		"dns zones delete example.com":        "example.com is deleted\n",
		"dns records list example.com":        "ZONE         NAME  TYPE  TTL  VALUES\nexample.com  @     MX    300  10 mail.example.com., 20 mail.example.net.\n",
		"dns records show example.com www a":  "name:   www.example.com\nzone:   example.com\ntype:   A\nvalue:  192.0.2.1\nvalue:  192.0.2.2\n",
		"dns records delete example.com * mx": "MX * in example.com is deleted\n",
		"dns keys show there":                 "name:       there\nalgorithm:  hmac-sha256\ncreated:    2026-01-02 03:04:05\n",
	} {
		if code, out, errOut := metalctl(t, line); code != 0 || errOut != "" || out != want {
			t.Errorf("%s: got exit code %d, %s\n%s\nwant\n%s", line, code, errOut, out, want)
		}
	}
	_, out, _ := metalctl(t, "vlans show storage -o json")
	var v metal.VLAN
	if err := json.Unmarshal([]byte(out), &v); err != nil || !cmp.Equal(v, network{}.vlan()) {
		t.Errorf("as JSON: got %s, %v; want the API's document", out, err)
	}
	if code, out, _ := metalctl(t, "__complete dns records list e"); code != 0 || !strings.HasPrefix(out, "example.com\n") {
		t.Errorf("completion: got %q; want the zone", out)
	}
	if code, out, _ := metalctl(t, "__complete vlans set s"); code != 0 || !strings.HasPrefix(out, "storage\n") {
		t.Errorf("completion: got %q; want the VLAN", out)
	}
}

func TestFlagsBecomeSpecs(t *testing.T) {
	pool := metal.IPRangeSpec{
		Subnet: "boot", First: addr("10.0.0.100"), Last: addr("10.0.0.160"), Kind: metal.RangeReserved,
		Options: metal.DHCPOptions{BootFile: "x.efi", MTU: 1400, Syslog: []netip.Addr{addr("10.0.0.3")}, Custom: []metal.DHCPOption{{Code: 15, Type: "fqdn", Value: "a.b"}, {Code: 6, Type: "ips", Value: "1.1.1.1,2.2.2.2"}}},
	}
	storage := network{}.vlan().Spec
	storage.MTU, storage.Space, storage.RA.Managed, storage.RA.Router = 1500, "", false, true
	device := metal.DeviceSpec{Tags: []string{"a", "b"}, Interfaces: []metal.DeviceInterface{{MAC: "52:54:00:12:34:01", Subnet: "boot", Addr: addr("10.0.0.5")}, {Subnet: "six"}}}
	zone := metal.ZoneSpec{TTL: 300, NegativeTTL: 10, NameServers: []string{}, Transfer: metal.TransferSpec{
		Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Keys: []string{"k"}, Notify: []string{"10.0.0.2", "[2001:db8::2]:53"},
	}, Update: metal.UpdateSpec{Keys: []string{"u"}}}
	zone.NameServers = nil
	name := func(n string) api.ByName { return api.ByName{Name: n} }
	etag := func(n string) api.Precondition { return api.Precondition{IfMatch: `"` + n + `"`} }
	for line, want := range map[string]any{
		"fabrics set paris --description here":                           api.PutFabricRequest{ByName: name("paris"), Body: metal.FabricSpec{Description: "here"}},
		"spaces set inner":                                               api.PutSpaceRequest{ByName: name("inner")},
		"vlans set storage --mtu 1500 --space= --managed=false --router": api.PutVLANRequest{ByName: name("storage"), Precondition: etag("4"), Body: storage},
		"ranges set pool --last 10.0.0.160 --kind reserved --mtu 1400 --syslog 10.0.0.3 --option 15:fqdn:a.b --option 6:ips:1.1.1.1,2.2.2.2": api.PutRangeRequest{ByName: name("pool"), Precondition: etag("2"), Body: pool},
		"reservations set printer --subnet boot --mac 5254.0012.3499 --hostname p":                                                           api.PutReservationRequest{ByName: name("printer"), Body: metal.ReservationSpec{Subnet: "boot", MAC: "52:54:00:12:34:99", Hostname: "p"}},
		"reservations set six --subnet six --address 2001:db8::9 --duid 0003aabb":                                                            api.PutReservationRequest{ByName: name("six"), Body: metal.ReservationSpec{Subnet: "six", Addr: addr("2001:db8::9"), DUID: "0003aabb"}},
		"routes set lab --subnet boot --to 10.9.0.0/16 --via 10.0.0.2 --metric 5":                                                            api.PutStaticRouteRequest{ByName: name("lab"), Body: metal.StaticRouteSpec{Subnet: "boot", Destination: netip.MustParsePrefix("10.9.0.0/16"), Gateway: addr("10.0.0.2"), Metric: 5}},
		"devices set pdu --interface mac=52:54:00:12:34:01,subnet=boot,address=10.0.0.5 --interface subnet=six --tag a,b":                    api.PutDeviceRequest{ByName: name("pdu"), Body: device},
		"leases delete boot 10.0.0.100": api.DeleteLeaseRequest{ByName: name("boot"), Address: "10.0.0.100"},
		"dns zones set 64/26.2.0.192.in-addr.arpa --ttl 300 --name-server= --transfer-to 10.0.0.0/8 --transfer-key k --notify 10.0.0.2 --notify [2001:db8::2]:53 --update-key u": api.PutZoneRequest{ByZone: api.ByZone{Zone: "64/26.2.0.192.in-addr.arpa"}, Precondition: etag("6"), Body: zone},
		"dns records set 64/26.2.0.192.in-addr.arpa 0/27 ns ns1 ns2 --ttl 60":                                                                                                    api.PutRecordSetRequest{ByRecordSet: api.ByRecordSet{ByZone: api.ByZone{Zone: "64/26.2.0.192.in-addr.arpa"}, Name: "0/27", Type: "NS"}, Body: metal.RecordSetSpec{TTL: 60, Values: []string{"ns1", "ns2"}}},
		"dns records delete example.com @ TXT":        api.DeleteRecordSetRequest{ByRecordSet: api.ByRecordSet{ByZone: api.ByZone{Zone: "example.com"}, Name: "@", Type: "TXT"}},
		"dns zones delete 64/26.2.0.192.in-addr.arpa": api.DeleteZoneRequest{ByZone: api.ByZone{Zone: "64/26.2.0.192.in-addr.arpa"}},
	} {
		f := network{&fleet{}}
		serve(t, f)
		if code, _, errOut := metalctl(t, line); code != 0 {
			t.Errorf("%s: got exit code %d, %s", line, code, errOut)
			continue
		}
		equal := []cmp.Option{cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })}
		if diff := cmp.Diff(want, f.created[len(f.created)-1], equal...); diff != "" {
			t.Errorf("%s (-want +got):\n%s", line, diff)
		}
	}
}

func TestFlagsThatCannotBeAreRefused(t *testing.T) {
	serve(t, network{&fleet{}})
	for line, want := range map[string]string{
		"subnets set boot --dhcp":                           "flag needs an argument: --dhcp",
		"subnets set boot --dhcp on":                        `"on" is none of [authoritative proxy off]`,
		"subnets set boot --delegate 2001:db8::/40":         "has no length",
		"subnets set boot --vlan x":                         `"x" is not a number`,
		"ranges set pool --option 43":                       "write it as in 43:hex:0102",
		"reservations set x --mac hello":                    "is not a MAC address",
		"devices set x --interface colour=red":              "none of mac=, subnet= and address=",
		"devices set x --interface mac=hello":               "is not a MAC address",
		"vlans set storage --managed=perhaps":               "invalid syntax",
		"leases import /nonexistent/leases":                 "no such file",
		"dns records set example.com www":                   "requires at least 4 arg(s)",
		"dns keys add there":                                "there is a key there already",
		"dns keys add new --secret-file /nonexistent/file":  "no such file",
		"dns records show example.com www HINFO":            "path.type",
		"routes set lab --to 10.9.0.0":                      "no '/'",
		"subnets addresses boot --free --used":              "unknown flag: --used",
		"leases import - --format=isc --dry-run --limit=10": "unknown flag: --limit",
	} {
		if code, out, errOut := metalctl(t, line); code != 1 || out != "" || !strings.Contains(errOut, want) {
			t.Errorf("%s: got exit code %d, %s%s; want 1 and %q", line, code, out, errOut, want)
		}
	}
}

func TestLeaseFilesAreSentAsTheyAre(t *testing.T) {
	f := network{&fleet{}}
	serve(t, f)
	content := "lease 10.0.0.100 {\n  binding state active;\n}\n"
	file := filepath.Join(t.TempDir(), "dhcpd.leases")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errOut := metalctl(t, "leases import --dry-run "+file)
	if code != 0 || out != "3 leases would be taken over, 1 had ended, 1 refused\n" || errOut != "10.9.0.1: it is in no subnet\n" {
		t.Errorf("got exit code %d, %q, %q", code, out, errOut)
	}
	if got, want := f.created[0].(api.ImportLeasesRequest).Body, (api.ImportLeasesBody{Format: "isc", Text: content, DryRun: true}); got != want {
		t.Errorf("sent: got %+v; want %+v", got, want)
	}
	if code, out, errOut := metalctl(t, "leases import - --format kea -o json"); code != 0 || !strings.Contains(out, `"taken": 3`) || errOut != "" {
		t.Errorf("as JSON: got exit code %d, %s%s", code, out, errOut)
	}
	if got := f.created[1].(api.ImportLeasesRequest).Body; got.Format != "kea" || got.Text != secret+"\n" {
		t.Errorf("from standard input: got %+v", got)
	}
}

func TestATSIGKeyIsMadeAndToldOnce(t *testing.T) {
	f := network{&fleet{}}
	serve(t, f)
	code, out, errOut := metalctl(t, "dns keys add transfer")
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(out))
	if code != 0 || errOut != "" || err != nil || len(raw) != 32 {
		t.Fatalf("got exit code %d, %q%s; want 32 bytes in base64", code, out, errOut)
	}
	sent := f.created[0].(api.PutDNSKeyRequest)
	if sent.Name != "transfer" || sent.Body.Algorithm != "hmac-sha256" || *sent.Body.Secret != strings.TrimSpace(out) {
		t.Errorf("sent: got %+v; want what was printed", sent)
	}
	_, again, _ := metalctl(t, "dns keys add other --algorithm hmac-sha512 -o json")
	var told struct{ Name, Algorithm, Secret string }
	if err := json.Unmarshal([]byte(again), &told); err != nil || told.Secret == strings.TrimSpace(out) || told.Secret == "" || told.Algorithm != "hmac-sha512" {
		t.Errorf("another: got %s, %v; want another secret", again, err)
	}
	code, out, _ = metalctl(t, "dns keys add given --secret-file -")
	if code != 0 || out != "key given is made\n" || *f.created[2].(api.PutDNSKeyRequest).Body.Secret != secret {
		t.Errorf("a secret that is there already: got exit code %d, %q; want it sent and not printed", code, out)
	}
}
