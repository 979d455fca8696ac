package api

import (
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// PutFabricRequest makes or changes a fabric.
type PutFabricRequest struct {
	ByName
	Precondition
	Body metal.FabricSpec
}

// PutSpaceRequest makes or changes a space.
type PutSpaceRequest struct {
	ByName
	Precondition
	Body metal.SpaceSpec
}

// PutVLANRequest makes or changes a VLAN. Its fabric and id do not change while subnets are on it.
type PutVLANRequest struct {
	ByName
	Precondition
	Body metal.VLANSpec
}

// PutRangeRequest makes or changes a range. One that overlaps another of its subnet is a conflict.
type PutRangeRequest struct {
	ByName
	Precondition
	Body metal.IPRangeSpec
}

// PutReservationRequest makes or changes a reservation. Without an address it gets the next free one at first, and
// keeps it. An address that somebody has is a conflict that names who.
type PutReservationRequest struct {
	ByName
	Precondition
	Body metal.ReservationSpec
}

// PutStaticRouteRequest makes or changes a route.
type PutStaticRouteRequest struct {
	ByName
	Precondition
	Body metal.StaticRouteSpec
}

// PutDeviceRequest makes or changes a device. Interfaces that keep their MAC address, or their place where they have
// none, keep the address that they were given.
type PutDeviceRequest struct {
	ByName
	Precondition
	Body metal.DeviceSpec
}

// ListAddressesRequest asks how the addresses of a subnet are used.
type ListAddressesRequest struct {
	ByName
	Page
	Free bool `query:"free" doc:"Only the free runs"`
}

// DeleteLeaseRequest takes a lease from its client, which learns of it when it renews.
type DeleteLeaseRequest struct {
	ByName
	Address string `path:"address" doc:"Leased address"`
}

// ImportLeasesRequest takes over leases of another DHCP server.
type ImportLeasesRequest struct {
	Body ImportLeasesBody
}

// ImportLeasesBody is a lease file as that server wrote it.
type ImportLeasesBody struct {
	Format string `json:"format" enum:"isc,kea" doc:"isc: dhcpd.leases; kea: the memfile CSV of Kea, of either family"`
	Text   string `json:"text" maxLength:"67108864" doc:"Content of the file"`
	DryRun bool   `json:"dry_run,omitempty" doc:"Say what would be taken over, and do nothing"`
}

// ImportedLeases is what came of it.
type ImportedLeases struct {
	Taken   int      `json:"taken" doc:"Leases that were taken over"`
	Expired int      `json:"expired" doc:"Leases left out because they had ended"`
	Refused []string `json:"refused,omitempty" doc:"Leases left out for a reason, with it (100 at most)"`
}

const network = "network"

// Endpoints of the network.
var (
	ListFabrics  = Endpoint[ListByNamesRequest, List[metal.Fabric]]{"ListFabrics", "GET", "/v1/fabrics", 200, "List fabrics", network}
	GetFabric    = Endpoint[ByName, metal.Fabric]{"GetFabric", "GET", "/v1/fabrics/{name}", 200, "Read a fabric", network}
	PutFabric    = Endpoint[PutFabricRequest, metal.Fabric]{"PutFabric", "PUT", "/v1/fabrics/{name}", 200, "Make or change a fabric", network}
	DeleteFabric = Endpoint[DeleteByNameRequest, None]{"DeleteFabric", "DELETE", "/v1/fabrics/{name}", 204, "Delete a fabric without VLANs and subnets", network}

	ListSpaces  = Endpoint[ListByNamesRequest, List[metal.Space]]{"ListSpaces", "GET", "/v1/spaces", 200, "List spaces", network}
	GetSpace    = Endpoint[ByName, metal.Space]{"GetSpace", "GET", "/v1/spaces/{name}", 200, "Read a space", network}
	PutSpace    = Endpoint[PutSpaceRequest, metal.Space]{"PutSpace", "PUT", "/v1/spaces/{name}", 200, "Make or change a space", network}
	DeleteSpace = Endpoint[DeleteByNameRequest, None]{"DeleteSpace", "DELETE", "/v1/spaces/{name}", 204, "Delete a space without VLANs", network}

	ListVLANs  = Endpoint[ListByNamesRequest, List[metal.VLAN]]{"ListVLANs", "GET", "/v1/vlans", 200, "List VLANs", network}
	GetVLAN    = Endpoint[ByName, metal.VLAN]{"GetVLAN", "GET", "/v1/vlans/{name}", 200, "Read a VLAN", network}
	PutVLAN    = Endpoint[PutVLANRequest, metal.VLAN]{"PutVLAN", "PUT", "/v1/vlans/{name}", 200, "Make or change a VLAN", network}
	DeleteVLAN = Endpoint[DeleteByNameRequest, None]{"DeleteVLAN", "DELETE", "/v1/vlans/{name}", 204, "Delete a VLAN without subnets", network}

	ListRanges  = Endpoint[ListByNamesRequest, List[metal.IPRange]]{"ListRanges", "GET", "/v1/ip-ranges", 200, "List ranges", network}
	GetRange    = Endpoint[ByName, metal.IPRange]{"GetRange", "GET", "/v1/ip-ranges/{name}", 200, "Read a range", network}
	PutRange    = Endpoint[PutRangeRequest, metal.IPRange]{"PutRange", "PUT", "/v1/ip-ranges/{name}", 200, "Make or change a range", network}
	DeleteRange = Endpoint[DeleteByNameRequest, None]{"DeleteRange", "DELETE", "/v1/ip-ranges/{name}", 204, "Delete a range", network}

	ListReservations  = Endpoint[ListByNamesRequest, List[metal.Reservation]]{"ListReservations", "GET", "/v1/ip-reservations", 200, "List reservations", network}
	GetReservation    = Endpoint[ByName, metal.Reservation]{"GetReservation", "GET", "/v1/ip-reservations/{name}", 200, "Read a reservation", network}
	PutReservation    = Endpoint[PutReservationRequest, metal.Reservation]{"PutReservation", "PUT", "/v1/ip-reservations/{name}", 200, "Make or change a reservation", network}
	DeleteReservation = Endpoint[DeleteByNameRequest, None]{"DeleteReservation", "DELETE", "/v1/ip-reservations/{name}", 204, "Delete a reservation", network}

	ListStaticRoutes  = Endpoint[ListByNamesRequest, List[metal.StaticRoute]]{"ListStaticRoutes", "GET", "/v1/static-routes", 200, "List static routes", network}
	GetStaticRoute    = Endpoint[ByName, metal.StaticRoute]{"GetStaticRoute", "GET", "/v1/static-routes/{name}", 200, "Read a static route", network}
	PutStaticRoute    = Endpoint[PutStaticRouteRequest, metal.StaticRoute]{"PutStaticRoute", "PUT", "/v1/static-routes/{name}", 200, "Make or change a static route", network}
	DeleteStaticRoute = Endpoint[DeleteByNameRequest, None]{"DeleteStaticRoute", "DELETE", "/v1/static-routes/{name}", 204, "Delete a static route", network}

	ListDevices  = Endpoint[ListByNamesRequest, List[metal.Device]]{"ListDevices", "GET", "/v1/devices", 200, "List devices", network}
	GetDevice    = Endpoint[ByName, metal.Device]{"GetDevice", "GET", "/v1/devices/{name}", 200, "Read a device", network}
	PutDevice    = Endpoint[PutDeviceRequest, metal.Device]{"PutDevice", "PUT", "/v1/devices/{name}", 200, "Make or change a device", network}
	DeleteDevice = Endpoint[DeleteByNameRequest, None]{"DeleteDevice", "DELETE", "/v1/devices/{name}", 204, "Forget a device", network}

	ListAddresses = Endpoint[ListAddressesRequest, List[metal.AddressUse]]{"ListAddresses", "GET", "/v1/subnets/{name}/addresses", 200, "Say what the addresses of a subnet are for, the free ones as runs", network}
	DeleteLease   = Endpoint[DeleteLeaseRequest, None]{"DeleteLease", "DELETE", "/v1/subnets/{name}/leases/{address}", 204, "Take a lease from its client", network}
	ImportLeases  = Endpoint[ImportLeasesRequest, ImportedLeases]{"ImportLeases", "POST", "/v1/lease-imports", 200, "Take over the leases of another DHCP server", network}
)
