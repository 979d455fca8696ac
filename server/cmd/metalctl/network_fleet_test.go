package main

import (
	"context"
	"net/netip"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// network is a fleet with one network thing of each kind. What is written to it, it keeps.
type network struct{ *fleet }

var notFound = metal.Errorf(metal.NotFound, "there is no such thing")

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func one[T any](item T) (api.List[T], error) { return api.List[T]{Items: []T{item}}, nil }

func (n network) vlan() metal.VLAN {
	return metal.VLAN{Name: "storage", Revision: 4, CreatedAt: at, Spec: metal.VLANSpec{Fabric: "default", VID: 12, MTU: 9000, Space: "inner", RA: metal.RouterAd{Enabled: true, Managed: true}}}
}

func (n network) ListFabrics(context.Context, api.ListByNamesRequest) (api.List[metal.Fabric], error) {
	return one(metal.Fabric{Name: "default"})
}

func (n network) GetFabric(context.Context, api.ByName) (metal.Fabric, error) {
	return metal.Fabric{}, notFound
}

func (n network) PutFabric(_ context.Context, in api.PutFabricRequest) (metal.Fabric, error) {
	n.note(in)
	return metal.Fabric{Name: in.Name}, nil
}

func (n network) GetSpace(context.Context, api.ByName) (metal.Space, error) {
	return metal.Space{}, notFound
}

func (n network) PutSpace(_ context.Context, in api.PutSpaceRequest) (metal.Space, error) {
	n.note(in)
	return metal.Space{Name: in.Name}, nil
}

func (n network) ListVLANs(context.Context, api.ListByNamesRequest) (api.List[metal.VLAN], error) {
	return one(n.vlan())
}

func (n network) GetVLAN(context.Context, api.ByName) (metal.VLAN, error) { return n.vlan(), nil }

func (n network) PutVLAN(_ context.Context, in api.PutVLANRequest) (metal.VLAN, error) {
	n.note(in)
	return metal.VLAN{Name: in.Name}, nil
}

func (n network) DeleteVLAN(_ context.Context, in api.DeleteByNameRequest) (api.None, error) {
	n.note(in)
	return api.None{}, nil
}

func (n network) GetRange(context.Context, api.ByName) (metal.IPRange, error) {
	return metal.IPRange{Name: "pool", Revision: 2, Spec: metal.IPRangeSpec{
		Subnet: "boot", First: addr("10.0.0.100"), Last: addr("10.0.0.150"), Kind: metal.RangeDynamic,
		Options: metal.DHCPOptions{BootFile: "x.efi", Custom: []metal.DHCPOption{{Code: 43, Type: "hex", Value: "0102"}}},
	}}, nil
}

func (n network) PutRange(_ context.Context, in api.PutRangeRequest) (metal.IPRange, error) {
	n.note(in)
	return metal.IPRange{Name: in.Name}, nil
}

func (n network) ListReservations(context.Context, api.ListByNamesRequest) (api.List[metal.Reservation], error) {
	return one(metal.Reservation{Name: "printer", Addr: addr("10.0.0.9"), FQDN: "printer.lab", Spec: metal.ReservationSpec{Subnet: "boot", MAC: "52:54:00:12:34:99"}})
}

func (n network) GetReservation(context.Context, api.ByName) (metal.Reservation, error) {
	return metal.Reservation{}, notFound
}

func (n network) PutReservation(_ context.Context, in api.PutReservationRequest) (metal.Reservation, error) {
	n.note(in)
	return metal.Reservation{Name: in.Name}, nil
}

func (n network) GetStaticRoute(context.Context, api.ByName) (metal.StaticRoute, error) {
	return metal.StaticRoute{}, notFound
}

func (n network) PutStaticRoute(_ context.Context, in api.PutStaticRouteRequest) (metal.StaticRoute, error) {
	n.note(in)
	return metal.StaticRoute{Name: in.Name}, nil
}

func (n network) GetDevice(_ context.Context, in api.ByName) (metal.Device, error) {
	if in.Name != "switch" {
		return metal.Device{}, notFound
	}
	return metal.Device{
		Name: "switch", Revision: 3, FQDN: "switch.lab", CreatedAt: at, Addresses: []metal.Assignment{{Subnet: "boot", Addr: addr("10.0.0.2")}},
		Spec: metal.DeviceSpec{Tags: []string{"rack1"}, Interfaces: []metal.DeviceInterface{{MAC: "52:54:00:12:34:98", Subnet: "boot"}, {MAC: "52:54:00:12:34:97"}}},
	}, nil
}

func (n network) PutDevice(_ context.Context, in api.PutDeviceRequest) (metal.Device, error) {
	n.note(in)
	return metal.Device{Name: in.Name}, nil
}

func (n network) ListAddresses(_ context.Context, in api.ListAddressesRequest) (api.List[metal.AddressUse], error) {
	if in.After == "" && !in.Free { // two pages
		return api.List[metal.AddressUse]{Next: "10.0.0.1", Items: []metal.AddressUse{{AddrRange: metal.AddrRange{First: addr("10.0.0.1"), Last: addr("10.0.0.1")}, Use: "gateway"}}}, nil
	}
	return one(metal.AddressUse{AddrRange: metal.AddrRange{First: addr("10.0.0.2"), Last: addr("10.0.0.254")}, Use: "free"})
}

func (n network) ListLeases(context.Context, api.ListLeasesRequest) (api.List[metal.Lease], error) {
	return api.List[metal.Lease]{Items: []metal.Lease{
		{Subnet: "boot", Addr: addr("10.0.0.100"), MAC: "52:54:00:12:34:96", Hostname: "laptop", State: metal.LeaseActive, ExpiresAt: at},
		{Subnet: "six", Addr: addr("2001:db8:100::"), Bits: 56, State: metal.LeaseActive, ExpiresAt: at},
	}}, nil
}

func (n network) DeleteLease(_ context.Context, in api.DeleteLeaseRequest) (api.None, error) {
	n.note(in)
	return api.None{}, nil
}

func (n network) ImportLeases(_ context.Context, in api.ImportLeasesRequest) (api.ImportedLeases, error) {
	n.note(in)
	return api.ImportedLeases{Taken: 3, Expired: 1, Refused: []string{"10.9.0.1: it is in no subnet"}}, nil
}

func (n network) ListZones(context.Context, api.ListByNamesRequest) (api.List[metal.Zone], error) {
	return one(metal.Zone{Name: "example.com", Serial: 77, Spec: metal.ZoneSpec{TTL: 60, NegativeTTL: 10}})
}

func (n network) GetZone(_ context.Context, in api.ByZone) (metal.Zone, error) {
	if in.Zone != "64/26.2.0.192.in-addr.arpa" {
		return metal.Zone{}, notFound
	}
	return metal.Zone{Name: in.Zone, Revision: 6, Serial: 77, Spec: metal.ZoneSpec{TTL: 60, NegativeTTL: 10, NameServers: []string{"ns2.example.com"}}}, nil
}

func (n network) PutZone(_ context.Context, in api.PutZoneRequest) (metal.Zone, error) {
	n.note(in)
	return metal.Zone{Name: in.Zone}, nil
}

func (n network) DeleteZone(_ context.Context, in api.DeleteZoneRequest) (api.None, error) {
	n.note(in)
	return api.None{}, nil
}

func (n network) ListRecordSets(context.Context, api.ListRecordSetsRequest) (api.List[metal.RecordSet], error) {
	return one(metal.RecordSet{Zone: "example.com", Name: "@", Type: "MX", FQDN: "example.com", Spec: metal.RecordSetSpec{TTL: 300, Values: []string{"10 mail.example.com.", "20 mail.example.net."}}})
}

func (n network) GetRecordSet(_ context.Context, in api.ByRecordSet) (metal.RecordSet, error) {
	n.note(in)
	return metal.RecordSet{Zone: in.Zone, Name: in.Name, Type: in.Type, FQDN: "www.example.com", Spec: metal.RecordSetSpec{Values: []string{"192.0.2.1", "192.0.2.2"}}}, nil
}

func (n network) PutRecordSet(_ context.Context, in api.PutRecordSetRequest) (metal.RecordSet, error) {
	n.note(in)
	return metal.RecordSet{FQDN: "www.example.com", Type: in.Type}, nil
}

func (n network) DeleteRecordSet(_ context.Context, in api.DeleteRecordSetRequest) (api.None, error) {
	n.note(in)
	return api.None{}, nil
}

func (n network) GetDNSKey(_ context.Context, in api.ByName) (metal.DNSKey, error) {
	if in.Name != "there" {
		return metal.DNSKey{}, notFound
	}
	return metal.DNSKey{Name: in.Name, Algorithm: "hmac-sha256", CreatedAt: at}, nil
}

func (n network) PutDNSKey(_ context.Context, in api.PutDNSKeyRequest) (metal.DNSKey, error) {
	n.note(in)
	return metal.DNSKey{Name: in.Name, Algorithm: in.Body.Algorithm}, nil
}
