package metal

import (
	"net/netip"
	"time"
)

// DHCPMode is how metald serves DHCP on a subnet.
type DHCPMode string

const (
	// DHCPOff leaves every DHCP packet of the subnet unanswered.
	DHCPOff DHCPMode = "off"
	// DHCPAuthoritative gives addresses, and refuses those of other networks (RFC 2131, 4.3.2).
	DHCPAuthoritative DHCPMode = "authoritative"
	// DHCPProxy leaves addresses to the site's own server and tells machines only what to boot (PXE 2.1, 2.2).
	DHCPProxy DHCPMode = "proxy"
)

// DHCPSpec says whether and how metald serves DHCP on a subnet, by DHCPv4 or DHCPv6 as its family is.
type DHCPSpec struct {
	Mode DHCPMode `json:"mode,omitempty" doc:"authoritative: give addresses; proxy: addresses come from the site's own server, boot from metald; off" enum:"authoritative,proxy,off" default:"off"`
	// Ranges are given to clients that nobody declared.
	Ranges []AddrRange `json:"ranges,omitempty" doc:"Dynamic ranges for clients that nobody declared, beside those declared as ip-ranges"`
	// LeaseSeconds is how long such a client may keep an address; 0 means 600.
	LeaseSeconds int         `json:"lease_seconds,omitempty" doc:"Lease time in seconds" default:"600" minimum:"60"`
	Options      DHCPOptions `json:"options,omitzero" doc:"What clients are told beside addresses and servers"`
	// Delegation is IPv6 only.
	Delegation *PrefixPool `json:"delegation,omitempty" doc:"Prefixes that routers among the clients may have (DHCPv6 IA_PD)"`
}

// Serves says whether addresses are given out.
func (s DHCPSpec) Serves() bool { return s.Mode == DHCPAuthoritative }

// PrefixPool is a network that is handed out in prefixes of one length (RFC 8415, 6.3).
type PrefixPool struct {
	CIDR   netip.Prefix `json:"cidr" doc:"Network that the prefixes come from" format:"cidr"`
	Length int          `json:"length" doc:"Length of each" minimum:"1" maximum:"128"`
}

// DHCPOptions are what a client is told. Those of a reservation or machine win over those of its range, and those over
// the subnet's; each field for itself, custom options by code.
type DHCPOptions struct {
	MTU        int          `json:"mtu,omitempty" doc:"Interface MTU in bytes (26); absent: the VLAN's" minimum:"68" maximum:"65535"`
	BootServer string       `json:"boot_server,omitempty" doc:"TFTP server of another boot service (66); with it metald names no boot file of its own"`
	BootFile   string       `json:"boot_file,omitempty" doc:"Boot file of another boot service (67, 59 in IPv6)"`
	Syslog     []netip.Addr `json:"syslog,omitempty" doc:"Log servers (7)"`
	TimeZone   string       `json:"time_zone,omitempty" doc:"Time zone by its tz database name (101, 42 in IPv6)"`
	WPAD       string       `json:"wpad,omitempty" doc:"URL of a proxy configuration (252)"`
	Custom     []DHCPOption `json:"custom,omitempty" doc:"Any other option by its code"`
}

// DHCPOption is any option, by code and type.
type DHCPOption struct {
	Code  int    `json:"code" minimum:"1" maximum:"65535" doc:"Option code: to 254 in DHCPv4"`
	Type  string `json:"type" doc:"How the value is written" enum:"ip,ips,uint8,uint16,uint32,bool,text,fqdn,hex"`
	Value string `json:"value" doc:"Value: addresses separated by commas, a number, true or false, text, a domain name, or hex digits" maxLength:"1024"`
}

// A Lease is an address, or in IPv6 a prefix, that a client without an assignment holds for a time (RFC 2131,
// RFC 8415).
type Lease struct {
	Subnet   string     `json:"subnet"`
	Addr     netip.Addr `json:"address"`
	Bits     int        `json:"prefix_length,omitempty" doc:"Length of a delegated prefix; absent for an address"`
	MAC      MAC        `json:"mac,omitempty"`
	ClientID string     `json:"client_id,omitempty" doc:"DHCP option 61, or the DUID, in hex; or empty"`
	IAID     uint32     `json:"iaid,omitempty" doc:"Identity association of a DHCPv6 client"`
	Hostname string     `json:"hostname,omitempty"`
	Relay    netip.Addr `json:"relay,omitzero" doc:"Relay agent that the client asked through"`
	Circuit  string     `json:"circuit_id,omitempty" doc:"Circuit id that the relay agent told, in hex (RFC 3046)"`
	Remote   string     `json:"remote_id,omitempty" doc:"Remote id that the relay agent told, in hex"`
	// Offered is true between OFFER and REQUEST; declined is an address a client found in use.
	State     LeaseState `json:"state"`
	StartedAt time.Time  `json:"started_at,omitzero" doc:"When the client got it first"`
	ExpiresAt time.Time  `json:"expires_at"`
}

// LeaseState is where a lease is between offer and expiry.
type LeaseState string

const (
	LeaseOffered  LeaseState = "offered"
	LeaseActive   LeaseState = "active"
	LeaseDeclined LeaseState = "declined"
)
