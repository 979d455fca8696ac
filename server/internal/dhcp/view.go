package dhcp

import (
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Query says whose packet it is, and from which network.
type Query struct {
	MAC    metal.MAC
	Client string // what a lease is kept under, as Client returns it
	// Via is an address on the client's network. First of these that is known: the one that the relay agent selects
	// (RFC 3527) or the client does (RFC 3011); the relay agent's own (giaddr); the client's where it speaks to us
	// without broadcasting; else our own on the interface that the packet came by.
	Via netip.Addr
	// Relay is the relay agent's address; zero for none. No client may get it.
	Relay netip.Addr
	// Ours is our own address on that interface.
	Ours netip.Addr
	// Wanted is the address the client asks for; zero for none.
	Wanted netip.Addr
	// Circuit and Remote are what the relay agent tells of where the client is attached, in hex (RFC 3046, 3.1 and
	// 3.2); empty for nothing.
	Circuit, Remote string
}

// View is what the store knew about one packet when it arrived.
type View struct {
	// Subnet is the one the client is on; of several on one VLAN, the one of its assignment, its lease or the address
	// that it asks for, in this order. Nil: none of ours.
	Subnet *metal.Subnet
	// Server is our own address as that client knows us: the server identifier.
	Server netip.Addr
	// Assigned is the address that belongs to the client's machine, device or reservation on this subnet; zero for
	// none.
	Assigned netip.Addr
	// Hostname is the client's name as declared, Domain that of the subnet, Search what short names are tried in.
	Hostname, Domain string
	Search           []string
	// MTU is that of the VLAN, in bytes; 0 where it is not known.
	MTU int
	// Routes are the static ones of the subnet, without that to its gateway.
	Routes []metal.StaticRoute
	// Options are those of the subnet, the range and the client, the latter winning.
	Options metal.DHCPOptions
	// Lease is what a client without an assignment holds or last held here; nil for nothing.
	Lease *metal.Lease
	// LeaseFree says that the address of Lease, expired or not, lies in a dynamic range and is nobody else's.
	LeaseFree bool
	// Free is an address that such a client could get now; zero when the ranges are full. It need not be set where
	// Lease is unexpired and LeaseFree.
	Free netip.Addr
	// BootURL is the base URL of the boot server.
	BootURL string
	// SecureBoot says that UEFI gets loaders that firmware with Secure Boot runs.
	SecureBoot bool
}

// Answer is everything one packet causes. The lease on Drop is forgotten first, then Lease stored, and only then
// Reply sent.
type Answer struct {
	Reply *dhcpv4.DHCPv4 // nil: stay silent
	Lease *metal.Lease   // nil: nothing to store. A declined one is kept under no client: nobody has the address
	Drop  netip.Addr     // zero: nothing to forget
	Why   string         // for the log
	Fault bool           // Why is something that a person should look into
}

// Store keeps leases.
type Store interface {
	// Exchange shows decide one moment of the facts, stores what it answers, and calls done with that exactly once:
	// itself where there is nothing to store, else from whoever made it durable. With an error nothing was stored,
	// and nothing may be promised. decide may be called more than once, with what was known at different moments;
	// the last answer counts. done never blocks.
	Exchange(q Query, decide func(View, time.Time) Answer, done func(Answer, error))
}
