package metal

import "iter"

// NetworkSpec is the machine's own network configuration after deployment. Mode says how the machine's own address,
// the one that its subnet keeps for it, comes to the primary element; without a declaration that is the NIC it boots
// from. An image needs netplan, NetworkManager or ifupdown for bonds, VLANs and bridges: cloud-init makes none with
// networkd alone. Interfaces, bonds, VLANs and bridges share one name space, and refer to each other by name.
type NetworkSpec struct {
	Mode       string             `json:"mode,omitempty" doc:"static: the machine's own address is written into the system; dhcp: it asks" enum:"static,dhcp" default:"static"`
	Interfaces []NetworkInterface `json:"interfaces,omitempty" doc:"NICs; the one the machine boots from is called boot0 and there without being declared" maxItems:"64"`
	Bonds      []NetworkBond      `json:"bonds,omitempty" maxItems:"32"`
	VLANs      []NetworkVLAN      `json:"vlans,omitempty" maxItems:"256"`
	Bridges    []NetworkBridge    `json:"bridges,omitempty" maxItems:"32"`
}

// NetworkLink is what every element has: a name and its addresses. An element without addresses is only brought up.
type NetworkLink struct {
	Name      string         `json:"name,omitempty" doc:"Name in the system: at most 15 characters"`
	Primary   bool           `json:"primary,omitempty" doc:"It has the machine's own address, gateway and name servers. Default: the NIC the machine boots from"`
	DHCP4     bool           `json:"dhcp4,omitempty"`
	DHCP6     bool           `json:"dhcp6,omitempty"`
	AcceptRA  *bool          `json:"accept_ra,omitempty" doc:"Whether router advertisements are heeded; default: as the system does"`
	Subnets   []string       `json:"subnets,omitempty" doc:"Names of subnets that the machine gets an address of its own on, here: the one reserved for it, or the next free one" maxItems:"16"`
	Addresses []string       `json:"addresses,omitempty" doc:"Addresses with the length of their subnet, as in 192.0.2.7/24" maxItems:"64"`
	MTU       int            `json:"mtu,omitempty" doc:"Bytes; 0: as the system does" minimum:"0" maximum:"65535"`
	Routes    []NetworkRoute `json:"routes,omitempty" maxItems:"64"`
	DNS       []string       `json:"dns,omitempty" doc:"Addresses of name servers" maxItems:"16"`
	Search    []string       `json:"search,omitempty" doc:"DNS search domains" maxItems:"16"`
}

// NetworkRoute is a static route.
type NetworkRoute struct {
	To     string `json:"to" doc:"Subnet; 0.0.0.0/0 and ::/0 are the default routes"`
	Via    string `json:"via" doc:"Address of the gateway"`
	Metric int    `json:"metric,omitempty" doc:"0: as the system does" minimum:"0" maximum:"2147483647"`
}

// NetworkInterface is a NIC, found by its MAC or by the name that the inventory has for it.
type NetworkInterface struct {
	NetworkLink
	MAC MAC    `json:"mac,omitempty" doc:"MAC address of the NIC"`
	NIC string `json:"nic,omitempty" doc:"Name of the NIC in the inventory"`
}

// NetworkBond joins NICs into one link, as Linux' bonding driver does. Delays and intervals are milliseconds.
type NetworkBond struct {
	NetworkLink
	Interfaces     []string `json:"interfaces" doc:"Names of interfaces" minItems:"1" maxItems:"16"`
	Mode           string   `json:"mode,omitempty" enum:"balance-rr,active-backup,balance-xor,broadcast,802.3ad,balance-tlb,balance-alb" default:"active-backup"`
	MIIMon         int      `json:"miimon,omitempty" doc:"Milliseconds between looks at the links; 0: 100" minimum:"0" maximum:"60000"`
	UpDelay        int      `json:"up_delay,omitempty" doc:"Milliseconds" minimum:"0" maximum:"600000"`
	DownDelay      int      `json:"down_delay,omitempty" doc:"Milliseconds" minimum:"0" maximum:"600000"`
	MinLinks       int      `json:"min_links,omitempty" doc:"Of 802.3ad" minimum:"0" maximum:"16"`
	LACPRate       string   `json:"lacp_rate,omitempty" doc:"Of 802.3ad" enum:"slow,fast"`
	XmitHashPolicy string   `json:"xmit_hash_policy,omitempty" doc:"Of balance-xor, 802.3ad, balance-tlb and balance-alb" enum:"layer2,layer3+4,layer2+3,encap2+3,encap3+4"`
	PrimaryPort    string   `json:"primary_port,omitempty" doc:"The interface to prefer, of active-backup, balance-tlb and balance-alb"`
}

// NetworkVLAN is a tagged network (IEEE 802.1Q) on another element.
type NetworkVLAN struct {
	NetworkLink
	ID   int    `json:"id" minimum:"1" maximum:"4094"`
	Link string `json:"link" doc:"Name of the interface, bond or bridge that carries it"`
}

// NetworkBridge is a bridge over other elements.
type NetworkBridge struct {
	NetworkLink
	Interfaces   []string `json:"interfaces,omitempty" doc:"Names of interfaces, bonds and VLANs" maxItems:"64"`
	STP          *bool    `json:"stp,omitempty" doc:"Spanning tree (IEEE 802.1D); default false"`
	ForwardDelay *int     `json:"forward_delay,omitempty" doc:"Seconds; with stp 2 to 30" minimum:"0" maximum:"30"`
	Priority     *int     `json:"priority,omitempty" minimum:"0" maximum:"65535"`
}

// Declared says whether more is said than the mode.
func (s NetworkSpec) Declared() bool {
	return len(s.Interfaces)+len(s.Bonds)+len(s.VLANs)+len(s.Bridges) > 0
}

// Links are all elements, as they are written. What is changed in one is changed in the declaration.
func (s NetworkSpec) Links() iter.Seq[*NetworkLink] {
	return func(yield func(*NetworkLink) bool) {
		for i := range s.Interfaces {
			if !yield(&s.Interfaces[i].NetworkLink) {
				return
			}
		}
		for i := range s.Bonds {
			if !yield(&s.Bonds[i].NetworkLink) {
				return
			}
		}
		for i := range s.VLANs {
			if !yield(&s.VLANs[i].NetworkLink) {
				return
			}
		}
		for i := range s.Bridges {
			if !yield(&s.Bridges[i].NetworkLink) {
				return
			}
		}
	}
}
