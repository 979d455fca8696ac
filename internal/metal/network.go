package metal

import (
	"net/netip"
	"time"
)

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
	DHCP    DHCPSpec     `json:"dhcp,omitzero"`
}

// DHCPSpec says whether and how metald serves DHCP on a subnet.
type DHCPSpec struct {
	Enabled bool `json:"enabled,omitempty" doc:"Serve DHCP on this subnet"`
	// Ranges are given to clients that nobody declared.
	Ranges []AddrRange `json:"ranges,omitempty" doc:"Dynamic ranges for clients that nobody declared"`
	// LeaseSeconds is how long such a client may keep an address; 0 means 600.
	LeaseSeconds int `json:"lease_seconds,omitempty" doc:"Lease time in seconds" default:"600" minimum:"60"`
}

// AddrRange is a range of addresses, both ends included.
type AddrRange struct {
	First netip.Addr `json:"first"`
	Last  netip.Addr `json:"last"`
}

// SubnetUse counts the addresses of a subnet.
type SubnetUse struct {
	Total    int64 `json:"total" doc:"Usable addresses (capped at 2^53)"`
	Assigned int64 `json:"assigned" doc:"Belong to machines"`
	Leased   int64 `json:"leased" doc:"Held by other clients now"`
	Free     int64 `json:"free"`
}

// An Assignment is an address that belongs to a machine for as long as the machine exists.
type Assignment struct {
	Subnet    string     `json:"subnet"`
	Addr      netip.Addr `json:"address"`
	MachineID string     `json:"machine_id"`
	MAC       MAC        `json:"mac"`
}

// A Lease is an address that a client without an assignment holds for a time (RFC 2131).
type Lease struct {
	Subnet   string     `json:"subnet"`
	Addr     netip.Addr `json:"address"`
	MAC      MAC        `json:"mac"`
	ClientID string     `json:"client_id,omitempty" doc:"DHCP option 61 in hex, or empty"`
	Hostname string     `json:"hostname,omitempty"`
	// Offered is true between OFFER and REQUEST; declined is an address a client found in use.
	State     LeaseState `json:"state"`
	ExpiresAt time.Time  `json:"expires_at"`
}

// LeaseState is where a lease is between offer and expiry.
type LeaseState string

const (
	LeaseOffered  LeaseState = "offered"
	LeaseActive   LeaseState = "active"
	LeaseDeclined LeaseState = "declined"
)
