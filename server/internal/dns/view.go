// Package dns tells the names and addresses of machines: it is authoritative for the server's own zones and for the
// reverse zones of its subnets, and forwards the rest where it is told to. What it knows comes from a View; what it
// answers is a pure function of request and View.
package dns

import "net/netip"

// View is one consistent picture of what the server knows. Names are fully qualified, in lower case and with the
// trailing dot. Its methods are called by many goroutines at once, several times for each request, and must be quick.
type View interface {
	// Lookup returns the addresses of the machine, lease or static record with this name. exists is also true for a
	// name without addresses that has names below it, an empty non-terminal (RFC 8020).
	Lookup(name string) (addrs []netip.Addr, exists bool)
	// Reverse returns the name of an address.
	Reverse(addr netip.Addr) (name string, ok bool)
	// Serial grows with every change (RFC 1982).
	Serial() uint32
	// Zones are the forward zones, the root not among them.
	Zones() []string
	// Subnets are the networks whose reverse zones are ours: see reverseLabels.
	Subnets() []netip.Prefix
}

// Self is the server, as its zones tell of it.
type Self struct {
	NS    string       // its name: fully qualified, in lower case, with the trailing dot
	Addrs []netip.Addr // of that name, unless the View knows them
	TTL   uint32       // of what is answered, in seconds
}

const (
	// negativeTTL is how long a resolver may remember that something does not exist, in seconds. It is short since
	// people ask for a machine's name before the machine has it.
	negativeTTL = 10

	// Timers of secondary servers (RFC 1035, section 3.3.13), in seconds; there are none, as no zone is transferred.
	refresh = 3600
	retry   = 600
	expire  = 7 * 86400

	// ednsSize is the largest datagram that is sent, in bytes: it passes every link without being fragmented
	// (DNS Flag Day 2020). plainSize holds without EDNS (RFC 1035, section 4.2.1).
	ednsSize  = 1232
	plainSize = 512
)
