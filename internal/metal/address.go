package metal

import (
	"net/netip"
	"time"
)

// AddrRange is a range of addresses, both ends included.
type AddrRange struct {
	First netip.Addr `json:"first"`
	Last  netip.Addr `json:"last"`
}

// Contains says whether an address lies in the range. The zero address lies in none.
func (r AddrRange) Contains(a netip.Addr) bool {
	return a.IsValid() && a.BitLen() == r.First.BitLen() && !a.Less(r.First) && !r.Last.Less(a)
}

// RangeKind is what the addresses of a range are for.
type RangeKind string

const (
	// RangeDynamic is for clients that nobody declared: DHCP leases come from it.
	RangeDynamic RangeKind = "dynamic"
	// RangeReserved is for nobody: others manage it. Only an address that is asked for by name is given out of it.
	RangeReserved RangeKind = "reserved"
)

// An IPRange sets a range of a subnet's addresses apart.
type IPRange struct {
	Name      string      `json:"name"`
	Spec      IPRangeSpec `json:"spec"`
	CreatedAt time.Time   `json:"created_at"`
	Revision  int64       `json:"revision"`
}

// IPRangeSpec is what a person declares of a range.
type IPRangeSpec struct {
	Subnet      string      `json:"subnet"`
	First       netip.Addr  `json:"first" doc:"First address"`
	Last        netip.Addr  `json:"last" doc:"Last address, included"`
	Kind        RangeKind   `json:"kind,omitempty" doc:"dynamic: for DHCP clients that nobody declared; reserved: for nobody" enum:"dynamic,reserved" default:"dynamic"`
	Description string      `json:"description,omitempty" maxLength:"1024"`
	Options     DHCPOptions `json:"options,omitzero" doc:"What clients of this range are told beyond what the subnet says, or otherwise"`
}

// A Reservation keeps one address for one client, known by its MAC address or its DUID.
type Reservation struct {
	Name      string          `json:"name"`
	Spec      ReservationSpec `json:"spec"`
	Addr      netip.Addr      `json:"address" doc:"The address that is kept"`
	FQDN      string          `json:"fqdn,omitempty" doc:"The DNS name that answers for it"`
	CreatedAt time.Time       `json:"created_at"`
	Revision  int64           `json:"revision"`
}

// ReservationSpec is what a person declares of a reservation.
type ReservationSpec struct {
	Subnet   string      `json:"subnet"`
	Addr     netip.Addr  `json:"address,omitzero" doc:"Address to keep; absent: the next free one"`
	MAC      MAC         `json:"mac,omitempty" doc:"Client's MAC address. Neither this nor duid: the address is only kept"`
	DUID     string      `json:"duid,omitempty" doc:"Client's DHCP unique identifier in hex (RFC 8415, 11), for IPv6" pattern:"^([0-9a-f]{2}){3,130}$"`
	Hostname string      `json:"hostname,omitempty" doc:"Host name told to the client and known to DNS; absent: none"`
	Options  DHCPOptions `json:"options,omitzero" doc:"What this client is told beyond what the subnet says, or otherwise"`
}

// A Device is a thing on the network that metald does not provision: a switch, a PDU, a printer.
type Device struct {
	Name      string       `json:"name"`
	Spec      DeviceSpec   `json:"spec"`
	Addresses []Assignment `json:"addresses" doc:"Its addresses, in the order of interfaces"`
	FQDN      string       `json:"fqdn,omitempty" doc:"The DNS name that answers for its first address"`
	CreatedAt time.Time    `json:"created_at"`
	Revision  int64        `json:"revision"`
}

// DeviceSpec is what a person declares of a device. Its name is its host name.
type DeviceSpec struct {
	Interfaces  []DeviceInterface `json:"interfaces,omitempty" doc:"Its network interfaces"`
	Domain      string            `json:"domain,omitempty" doc:"Domain of its name; absent: that of its first subnet"`
	Description string            `json:"description,omitempty" maxLength:"1024"`
	Tags        []string          `json:"tags,omitempty"`
}

// DeviceInterface is a NIC of a device and the address that it is to have.
type DeviceInterface struct {
	MAC    MAC        `json:"mac,omitempty" doc:"MAC address; absent: the address is configured by hand on the device"`
	Subnet string     `json:"subnet,omitempty" doc:"Subnet to have an address of its own on; absent: leases only"`
	Addr   netip.Addr `json:"address,omitzero" doc:"That address; absent: the next free one"`
}

// An Assignment is an address that belongs to a machine, a device or a reservation for as long as that exists. One of
// MachineID, Device and Reservation is set.
type Assignment struct {
	Subnet      string     `json:"subnet"`
	Addr        netip.Addr `json:"address"`
	MachineID   string     `json:"machine_id,omitempty"`
	Device      string     `json:"device,omitempty"`
	Reservation string     `json:"reservation,omitempty"`
	MAC         MAC        `json:"mac,omitempty" doc:"NIC that it is for; none for what a deployment declares of its network"`
	DUID        string     `json:"duid,omitempty" doc:"DHCPv6 client that it is for, in hex"`
}

// Owner says in words whose address it is, as in "machine m-0123456789ab".
func (a Assignment) Owner() string {
	switch {
	case a.MachineID != "":
		return "machine " + a.MachineID
	case a.Device != "":
		return "device " + a.Device
	default:
		return "reservation " + a.Reservation
	}
}

// A Sighting is an address that was seen in use on the wire.
type Sighting struct {
	Subnet string     `json:"subnet"`
	Addr   netip.Addr `json:"address"`
	MAC    MAC        `json:"mac,omitempty"`
	SeenAt time.Time  `json:"seen_at"`
}

// AddressUse is one address or run of addresses of a subnet and what it is for: what an operator looks at before
// taking one.
type AddressUse struct {
	AddrRange
	Use string `json:"use" enum:"free,dynamic,reserved,gateway,server,assigned,leased,seen"`
	Who string `json:"who,omitempty" doc:"Owner, client or what was seen"`
	MAC MAC    `json:"mac,omitempty"`
}
