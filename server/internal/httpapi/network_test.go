package httpapi_test

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// network is a fleet that answers for things of the network with what it was asked.
type network struct {
	*fleet
	asked []any
}

func (n *network) PutVLAN(_ context.Context, in api.PutVLANRequest) (metal.VLAN, error) {
	n.asked = append(n.asked, in)
	return metal.VLAN{Name: in.Name, Spec: in.Body, Revision: 3}, nil
}

func (n *network) GetVLAN(_ context.Context, in api.ByName) (metal.VLAN, error) {
	return metal.VLAN{Name: in.Name, Revision: 3}, nil
}

func (n *network) PutZone(_ context.Context, in api.PutZoneRequest) (metal.Zone, error) {
	n.asked = append(n.asked, in)
	return metal.Zone{Name: in.Zone, Spec: in.Body}, nil
}

func (n *network) PutRecordSet(_ context.Context, in api.PutRecordSetRequest) (metal.RecordSet, error) {
	n.asked = append(n.asked, in)
	return metal.RecordSet{Zone: in.Zone, Name: in.Name, Type: in.Type, Spec: in.Body}, nil
}

func (n *network) PutReservation(_ context.Context, in api.PutReservationRequest) (metal.Reservation, error) {
	n.asked = append(n.asked, in)
	return metal.Reservation{Name: in.Name, Spec: in.Body, Addr: netip.MustParseAddr("10.0.0.9"), Revision: 1}, nil
}

func (n *network) DeleteLease(_ context.Context, in api.DeleteLeaseRequest) (api.None, error) {
	n.asked = append(n.asked, in)
	return api.None{}, nil
}

func (n *network) PutDNSKey(_ context.Context, in api.PutDNSKeyRequest) (metal.DNSKey, error) {
	n.asked = append(n.asked, in)
	return metal.DNSKey{Name: in.Name, Algorithm: in.Body.Algorithm}, nil
}

func (n *network) ImportLeases(_ context.Context, in api.ImportLeasesRequest) (api.ImportedLeases, error) {
	n.asked = append(n.asked, len(in.Body.Text))
	return api.ImportedLeases{Taken: 1}, nil
}

func TestNamesWithSlashesCrossTheWire(t *testing.T) {
	n := &network{fleet: &fleet{}}
	r := serve(t, n)
	zone := api.ByZone{Zone: "64/26.2.0.192.in-addr.arpa"}
	if z, err := r.client.PutZone(t.Context(), api.PutZoneRequest{ByZone: zone}); err != nil || z.Name != zone.Zone || z.Spec.TTL != 60 {
		t.Errorf("zone: got %+v, %v; want its name and the default TTL", z, err)
	}
	want := api.PutRecordSetRequest{ByRecordSet: api.ByRecordSet{ByZone: zone, Name: "*.a/b", Type: "TXT"}, Body: metal.RecordSetSpec{Values: []string{"ä, \"b\""}}}
	if _, err := r.client.PutRecordSet(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, n.asked[1]); diff != "" {
		t.Errorf("record set (-want +got):\n%s", diff)
	}
	if err := r.client.DeleteLease(t.Context(), api.DeleteLeaseRequest{ByName: api.ByName{Name: "six"}, Address: "2001:db8::1"}); err != nil {
		t.Fatal(err)
	}
	if got := n.asked[2].(api.DeleteLeaseRequest).Address; got != "2001:db8::1" {
		t.Errorf("lease: got %s; want its address", got)
	}
}

func TestThingsOfTheNetworkHaveDefaultsAndBounds(t *testing.T) {
	n := &network{fleet: &fleet{}}
	r := serve(t, n)
	v, err := r.client.PutVLAN(t.Context(), api.PutVLANRequest{ByName: api.ByName{Name: "v"}, Precondition: api.Precondition{IfMatch: `"2"`}, Body: metal.VLANSpec{VID: 4094}})
	if err != nil || v.Spec.Fabric != "default" || v.Spec.MTU != 1500 || n.asked[0].(api.PutVLANRequest).IfMatch != `"2"` {
		t.Errorf("VLAN: got %+v, %v; want the defaults and the precondition", v, err)
	}
	if answer := r.ask(t, http.MethodGet, "/v1/vlans/v", "", "If-None-Match", `"3"`); answer.StatusCode != http.StatusNotModified {
		t.Errorf("a VLAN that the caller has: got %d; want 304", answer.StatusCode)
	}
	for path, body := range map[string]string{
		"/v1/vlans/v":           `{"vid":4095}`,
		"/v1/vlans/w":           `{}`,
		"/v1/ip-reservations/r": `{"subnet":"s","duid":"xyz"}`,
		"/v1/ip-reservations/m": `{"subnet":"s","mac":"hello"}`,
		"/v1/ip-reservations/a": `{"subnet":"s","address":"10.0.0"}`,
		"/v1/subnets/s":         `{"cidr":"10.0.0.0/24","dhcp":{"mode":"on"}}`,
		"/v1/subnets/o":         `{"cidr":"10.0.0.0/24","dhcp":{"enabled":true}}`,
		"/v1/dns/zones/example.com/records/www/HINFO": `{"values":["x"]}`,
		"/v1/dns/zones/example.com/records/www/A":     `{"values":[]}`,
		"/v1/dns/keys/k": `{"algorithm":"hmac-md5"}`,
		"/v1/dns/zones/example.com/records/www/A?x=y":         `{"values":["192.0.2.1"]}`,
		"/v1/dns/zones/" + strings.Repeat("a", 254):           `{}`,
		"/v1/dns/zones/example.com/records/@/MX":              `{"values":["10 a"],"ttl":-1}`,
		"/v1/static-routes/UPPER":                             `{"subnet":"s","destination":"10.0.0.0/8","gateway":"10.0.0.1"}`,
		"/v1/ip-reservations/colour?colour=red":               `{"subnet":"s"}`,
		"/v1/dns/zones/example.com/records/www/AAAA?":         `{"values":["x"],"colour":"red"}`,
		"/v1/ip-reservations/long-" + strings.Repeat("x", 80): `{"subnet":"s"}`,
	} {
		before := len(n.asked)
		if answer := r.ask(t, http.MethodPut, path, body, "Content-Type", "application/json"); answer.StatusCode != http.StatusUnprocessableEntity || len(n.asked) != before {
			t.Errorf("%s %s: got %d; want 422, and the fleet not asked", path, body, answer.StatusCode)
		}
	}
	got, err := r.client.PutReservation(t.Context(), api.PutReservationRequest{ByName: api.ByName{Name: "r"}, Body: metal.ReservationSpec{Subnet: "s", MAC: "52:54:00:12:34:56"}})
	if err != nil || got.Addr.String() != "10.0.0.9" || got.Spec.Addr.IsValid() {
		t.Errorf("a reservation of the next address: got %+v, %v", got, err)
	}
}

func TestASecretIsNeitherAnsweredNorLogged(t *testing.T) {
	r := serve(t, &network{fleet: &fleet{}})
	const key = "c2VjcmV0IHNlY3JldCBzZWNyZXQh"
	for _, body := range []string{`{"secret":"` + key + `"}`, `{"secret":"` + key + `","colour":"red"}`, `{"secret":["` + key + `"]}`} {
		answer := r.ask(t, http.MethodPut, "/v1/dns/keys/k", body, "Content-Type", "application/json")
		text := make([]byte, 4096)
		n, _ := answer.Body.Read(text)
		if strings.Contains(string(text[:n]), key) {
			t.Errorf("%s: got %d %s; want no secret", body, answer.StatusCode, text[:n])
		}
	}
	if strings.Contains(r.log.String(), key) {
		t.Error("the log has the secret in it")
	}
}

func TestALargeLeaseFileFits(t *testing.T) {
	n := &network{fleet: &fleet{}}
	r := serve(t, n)
	file := strings.Repeat("lease 10.0.0.1 {\n}\n", 1<<18)
	if _, err := r.client.ImportLeases(t.Context(), api.ImportLeasesRequest{Body: api.ImportLeasesBody{Format: "isc", Text: file}}); err != nil {
		t.Fatal(err)
	}
	if n.asked[0] != len(file) {
		t.Errorf("got %d bytes; want %d", n.asked[0], len(file))
	}
	if _, err := r.client.ImportLeases(t.Context(), api.ImportLeasesRequest{Body: api.ImportLeasesBody{Format: "dnsmasq"}}); metal.CodeOf(err) != metal.Invalid {
		t.Errorf("a format that is none: got %v; want invalid", err)
	}
}
