package metal

import (
	"net/netip"
	"time"
)

// DefaultFabric is the fabric that is always there.
const DefaultFabric = "default"

// A Fabric is a set of switches within which a VLAN id means one layer-2 network. Two fabrics may use the same ids and
// the same addresses.
type Fabric struct {
	Name      string     `json:"name"`
	Spec      FabricSpec `json:"spec"`
	CreatedAt time.Time  `json:"created_at"`
	Revision  int64      `json:"revision"`
}

// FabricSpec is what a person declares of a fabric.
type FabricSpec struct {
	Description string `json:"description,omitempty" maxLength:"1024"`
}

// A Space is a set of VLANs between which traffic is routed freely: what an allocation may ask for by name.
type Space struct {
	Name      string    `json:"name"`
	Spec      SpaceSpec `json:"spec"`
	CreatedAt time.Time `json:"created_at"`
	Revision  int64     `json:"revision"`
}

// SpaceSpec is what a person declares of a space.
type SpaceSpec struct {
	Description string `json:"description,omitempty" maxLength:"1024"`
}

// A VLAN is one layer-2 network of a fabric. The untagged one, 0, is always there; others are declared.
type VLAN struct {
	Name      string    `json:"name"`
	Spec      VLANSpec  `json:"spec"`
	CreatedAt time.Time `json:"created_at"`
	Revision  int64     `json:"revision"`
}

// VLANSpec is what a person declares of a VLAN.
type VLANSpec struct {
	Fabric      string   `json:"fabric,omitempty" doc:"Fabric it is on" default:"default"`
	VID         int      `json:"vid" doc:"802.1Q id within the fabric; 0 is untagged" minimum:"0" maximum:"4094"`
	MTU         int      `json:"mtu,omitempty" doc:"Largest packet in bytes that all of its links carry" default:"1500" minimum:"576" maximum:"9216"`
	Space       string   `json:"space,omitempty" doc:"Space it belongs to"`
	Description string   `json:"description,omitempty" maxLength:"1024"`
	RA          RouterAd `json:"router_advertisements,omitzero"`
}

// RouterAd says what metald's router advertisements tell the hosts of a VLAN (RFC 4861, RFC 8106). metald answers
// solicitations in any case, as no router, so that firmware does not wait; it does so with what is set here. Prefixes
// that are not advertised any more are withdrawn at once.
type RouterAd struct {
	Enabled    bool `json:"enabled,omitempty" doc:"Advertise the prefixes of the VLAN's IPv6 subnets"`
	Managed    bool `json:"managed,omitempty" doc:"M flag: addresses come by DHCPv6"`
	Other      bool `json:"other,omitempty" doc:"O flag: other settings come by DHCPv6"`
	Autonomous bool `json:"autonomous,omitempty" doc:"A flag: hosts make addresses of the prefix by themselves (SLAAC)"`
	Router     bool `json:"router,omitempty" doc:"metald's host is a router: hosts make it their default one"`
}

// A Subnet is an IP network on one VLAN of one fabric, and what its clients are told.
type Subnet struct {
	Name      string     `json:"name"`
	Spec      SubnetSpec `json:"spec"`
	Use       SubnetUse  `json:"use" doc:"How its addresses are used"`
	CreatedAt time.Time  `json:"created_at"`
	Revision  int64      `json:"revision"`
}

// SubnetSpec is what a person declares of a subnet.
type SubnetSpec struct {
	CIDR    netip.Prefix `json:"cidr" doc:"Network in CIDR form, host bits zero" format:"cidr"`
	Fabric  string       `json:"fabric,omitempty" doc:"Layer-2 fabric" default:"default"`
	VLAN    int          `json:"vlan,omitempty" doc:"VLAN id within the fabric; 0 is untagged" minimum:"0" maximum:"4094"`
	Gateway netip.Addr   `json:"gateway,omitzero" doc:"Default router handed to clients"`
	DNS     []netip.Addr `json:"dns,omitempty" doc:"Name servers handed to clients; empty: metald itself"`
	NTP     []netip.Addr `json:"ntp,omitempty" doc:"Time servers handed to clients; empty: metald itself"`
	Domain  string       `json:"domain,omitempty" doc:"Domain of the machines' names; empty: the server's"`
	Search  []string     `json:"search,omitempty" doc:"Domains that clients try for short names; empty: the domain"`
	DHCP    DHCPSpec     `json:"dhcp,omitzero"`
}

// SubnetUse counts the addresses of a subnet. Total is Reserved + Dynamic + Assigned + Free; leases are within Dynamic.
type SubnetUse struct {
	Total    int64 `json:"total" doc:"Usable addresses (capped at 2^53)"`
	Assigned int64 `json:"assigned" doc:"Belong to machines, devices and reservations, outside of the ranges"`
	Dynamic  int64 `json:"dynamic" doc:"In the dynamic ranges"`
	Reserved int64 `json:"reserved" doc:"In reserved ranges, or the gateway's or a server's"`
	Leased   int64 `json:"leased" doc:"Held by other clients now"`
	Free     int64 `json:"free" doc:"Can still be assigned"`
}

// A StaticRoute is a route that hosts of a subnet are told of (RFC 3442), beside the one to their gateway.
type StaticRoute struct {
	Name      string          `json:"name"`
	Spec      StaticRouteSpec `json:"spec"`
	CreatedAt time.Time       `json:"created_at"`
	Revision  int64           `json:"revision"`
}

// StaticRouteSpec is what a person declares of a route.
type StaticRouteSpec struct {
	Subnet      string       `json:"subnet" doc:"Subnet whose hosts are told"`
	Destination netip.Prefix `json:"destination" doc:"Network that it leads to" format:"cidr"`
	Gateway     netip.Addr   `json:"gateway" doc:"Router, an address of the subnet"`
	Metric      int          `json:"metric,omitempty" doc:"Preference where several lead there; lower wins" minimum:"0"`
}
