package dhcp6

import (
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Kind is what an identity association is for (RFC 8415, 12).
type Kind int

const (
	// Address is an IA_NA: addresses of the client's interface.
	Address Kind = iota + 1
	// Prefix is an IA_PD: networks that the client, a router, hands on.
	Prefix
)

// IA is one identity association of a client: what a lease is kept under, together with the client.
type IA struct {
	Kind Kind
	IAID uint32
	// Wanted is what the client has or would like; addresses have a length of 128. A prefix may be a mere length,
	// as in ::/56.
	Wanted []netip.Prefix
}

// Query says who asks for what, and from which network.
type Query struct {
	Client string    // the client's DUID in hex (RFC 8415, 11); empty where an INFORMATION-REQUEST tells none
	MAC    metal.MAC // of the interface that asks, as far as it can be known; else empty
	// Link is an address on the client's network: what the relay agent nearest to it says (RFC 8415, 13.1), else our
	// own on the interface that the packet came by. Zero: only IfIndex tells.
	Link netip.Addr
	// Relay is the address of the relay agent nearest to the client; zero for none. No client may get it.
	Relay netip.Addr
	// Ours is our own address on the interface IfIndex, which the packet came by; zero where it is only link-local.
	Ours    netip.Addr
	IfIndex int
	// IAs are at most maxIAs, each once.
	IAs []IA
}

// Hold is what the store knows of one identity association.
type Hold struct {
	// Lease is what it holds or last held on this link; nil for nothing.
	Lease *metal.Lease
	// LeaseFree says that what Lease is of, expired or not, lies in a dynamic range or prefix pool of the link and is
	// nobody else's.
	LeaseFree bool
	// Free is what such a client could get now, in the subnet named FreeIn; zero when nothing is left. No two Holds of
	// one View have the same. It need not be set where Lease is unexpired and LeaseFree.
	Free   netip.Prefix
	FreeIn string
}

// View is what the store knew about one packet when it arrived.
type View struct {
	// Subnet is the one whose settings the client is told; nil: none of ours.
	Subnet *metal.Subnet
	// OnLink are the networks of all IPv6 subnets of the client's link.
	OnLink []netip.Prefix
	// Server is our own address as that client knows us; zero where we have none that is more than link-local.
	Server netip.Addr
	// DUID is our own. The server fills it in, not the store.
	DUID dhcpv6.DUID
	// Assigned are the addresses of the link that belong to the client's machine, device or reservation, by its DUID
	// or MAC address.
	Assigned []netip.Addr
	// Holds are what is known of each of the Query's IAs, in their order.
	Holds []Hold
	// Hostname is the client's name as declared, Domain that of the subnet, Search what short names are tried in.
	Hostname, Domain string
	Search           []string
	// Options are those of the subnet, the range and the client, the latter winning.
	Options metal.DHCPOptions
	// BootURL is the base URL of the boot server, as in http://[fd00:31::1]:7080.
	BootURL string
	// SecureBoot says that UEFI gets loaders that firmware with Secure Boot runs.
	SecureBoot bool
}

// Answer is everything one packet causes. The leases of Drop are forgotten first, then Leases stored, and only then
// Reply sent.
type Answer struct {
	Reply  *dhcpv6.Message // nil: stay silent
	Leases []metal.Lease   // a declined one is kept under no client: nobody has the address
	Drop   []metal.Lease
	Why    string // for the log
	Fault  bool   // Why is something that a person should look into
}

// Store keeps leases.
type Store interface {
	// Exchange shows decide one moment of the facts, stores what it answers, and calls done with that exactly once:
	// itself where there is nothing to store, else from whoever made it durable. With an error nothing was stored,
	// and nothing may be promised. decide may be called more than once, with what was known at different moments;
	// the last answer counts. done never blocks.
	Exchange(q Query, decide func(View, time.Time) Answer, done func(Answer, error))
}
