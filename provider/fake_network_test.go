package main

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// network is what the fake keeps of it.
type network struct {
	fabrics      map[string]metal.Fabric
	spaces       map[string]metal.Space
	vlans        map[string]metal.VLAN
	ranges       map[string]metal.IPRange
	reservations map[string]metal.Reservation
	routes       map[string]metal.StaticRoute
	devices      map[string]metal.Device
	zones        map[string]metal.Zone
	records      map[string]metal.RecordSet
	dnsKeys      map[string]metal.DNSKey
	dnsSecrets   map[string]string
}

// serveNamed serves the four endpoints of a kind of things that are known by name.
func serveNamed[In, T, Body any](
	f *fake, kind string, list api.Endpoint[api.ListByNamesRequest, api.List[T]], get api.Endpoint[api.ByName, T], put api.Endpoint[In, T],
	remove api.Endpoint[api.DeleteByNameRequest, api.None], all *map[string]T, make func(name string, body Body) T,
) {
	*all = map[string]T{}
	on(f, list, func(r *http.Request) (api.List[T], error) { return page(r, "names", *all, every), nil })
	on(f, get, func(r *http.Request) (T, error) { return lookup(*all, kind, r) })
	on(f, put, func(r *http.Request) (T, error) {
		body, err := bodyOf[Body](r)
		if err == nil {
			(*all)[r.PathValue("name")] = make(r.PathValue("name"), body)
		}
		return (*all)[r.PathValue("name")], err
	})
	on(f, remove, func(r *http.Request) (api.None, error) {
		_, err := lookup(*all, kind, r)
		delete(*all, r.PathValue("name"))
		return api.None{}, err
	})
}

func (f *fake) serveNetwork() {
	n := &f.network
	serveNamed(f, "fabric", api.ListFabrics, api.GetFabric, api.PutFabric, api.DeleteFabric, &n.fabrics, func(name string, s metal.FabricSpec) metal.Fabric {
		return metal.Fabric{Name: name, Spec: s}
	})
	serveNamed(f, "space", api.ListSpaces, api.GetSpace, api.PutSpace, api.DeleteSpace, &n.spaces, func(name string, s metal.SpaceSpec) metal.Space {
		return metal.Space{Name: name, Spec: s}
	})
	serveNamed(f, "VLAN", api.ListVLANs, api.GetVLAN, api.PutVLAN, api.DeleteVLAN, &n.vlans, func(name string, s metal.VLANSpec) metal.VLAN {
		return metal.VLAN{Name: name, Spec: s}
	})
	serveNamed(f, "range", api.ListRanges, api.GetRange, api.PutRange, api.DeleteRange, &n.ranges, func(name string, s metal.IPRangeSpec) metal.IPRange {
		return metal.IPRange{Name: name, Spec: s}
	})
	serveNamed(f, "reservation", api.ListReservations, api.GetReservation, api.PutReservation, api.DeleteReservation, &n.reservations,
		func(name string, s metal.ReservationSpec) metal.Reservation {
			out := metal.Reservation{Name: name, Spec: s, Addr: s.Addr}
			if !s.Addr.IsValid() {
				out.Addr = netip.MustParseAddr("10.31.0.2")
			}
			if s.Hostname != "" {
				out.FQDN = s.Hostname + ".fleet.test"
			}
			return out
		})
	serveNamed(f, "route", api.ListStaticRoutes, api.GetStaticRoute, api.PutStaticRoute, api.DeleteStaticRoute, &n.routes,
		func(name string, s metal.StaticRouteSpec) metal.StaticRoute {
			return metal.StaticRoute{Name: name, Spec: s}
		})
	serveNamed(f, "device", api.ListDevices, api.GetDevice, api.PutDevice, api.DeleteDevice, &n.devices, func(name string, s metal.DeviceSpec) metal.Device {
		out := metal.Device{Name: name, Spec: s, FQDN: name + ".fleet.test"}
		for _, i := range s.Interfaces {
			out.Addresses = append(out.Addresses, metal.Assignment{Subnet: i.Subnet, Addr: i.Addr, MAC: i.MAC, Device: name})
		}
		return out
	})
	serveNamed(f, "key", api.ListDNSKeys, api.GetDNSKey, api.PutDNSKey, api.DeleteDNSKey, &n.dnsKeys, func(name string, b api.DNSKeyBody) metal.DNSKey {
		if n.dnsSecrets == nil {
			n.dnsSecrets = map[string]string{}
		}
		if b.Secret != nil {
			n.dnsSecrets[name] = *b.Secret
		}
		return metal.DNSKey{Name: name, Algorithm: b.Algorithm}
	})
	f.serveZones()
}

func (f *fake) serveZones() {
	n := &f.network
	n.zones, n.records = map[string]metal.Zone{}, map[string]metal.RecordSet{}
	on(f, api.ListZones, func(r *http.Request) (api.List[metal.Zone], error) { return page(r, "names", n.zones, every), nil })
	on(f, api.GetZone, func(r *http.Request) (metal.Zone, error) { return n.zones[r.PathValue("zone")], nil })
	on(f, api.PutZone, func(r *http.Request) (metal.Zone, error) {
		spec, err := bodyOf[metal.ZoneSpec](r)
		n.zones[r.PathValue("zone")] = metal.Zone{Name: r.PathValue("zone"), Spec: spec}
		return n.zones[r.PathValue("zone")], err
	})
	on(f, api.DeleteZone, func(r *http.Request) (api.None, error) {
		delete(n.zones, r.PathValue("zone"))
		return api.None{}, nil
	})
	key := func(r *http.Request) string {
		return r.PathValue("zone") + "/" + r.PathValue("name") + "/" + r.PathValue("type")
	}
	on(f, api.ListRecordSets, func(r *http.Request) (api.List[metal.RecordSet], error) {
		return page(r, "keys", n.records, every), nil
	})
	on(f, api.GetRecordSet, func(r *http.Request) (metal.RecordSet, error) { return n.records[key(r)], nil })
	on(f, api.PutRecordSet, func(r *http.Request) (metal.RecordSet, error) {
		spec, err := bodyOf[metal.RecordSetSpec](r)
		for i, v := range spec.Values { // as the server does: names in full
			if r.PathValue("type") == "CNAME" && !strings.HasSuffix(v, ".") {
				spec.Values[i] = v + "." + r.PathValue("zone") + "."
			}
		}
		n.records[key(r)] = metal.RecordSet{
			Zone: r.PathValue("zone"), Name: r.PathValue("name"), Type: r.PathValue("type"), Spec: spec, FQDN: r.PathValue("name") + "." + r.PathValue("zone"),
		}
		return n.records[key(r)], err
	})
	on(f, api.DeleteRecordSet, func(r *http.Request) (api.None, error) {
		delete(n.records, key(r))
		return api.None{}, nil
	})
}
