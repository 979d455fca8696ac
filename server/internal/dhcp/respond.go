// Package dhcp serves DHCPv4 (RFC 2131) to machines and to every other client. Respond decides what one packet
// deserves from what the store knew when it arrived; the server stores what must be stored, and sends only then.
package dhcp

import (
	"net/netip"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// View is what the store knew about one packet when it arrived.
type View struct {
	// Subnet is the one the client is on; nil: none of ours, or DHCP is not served there.
	Subnet *metal.Subnet
	// Server is our own address as that client knows us: the server identifier.
	Server netip.Addr
	// Assigned is the address that belongs to the client's machine on this subnet; zero for none.
	Assigned netip.Addr
	// Hostname is the machine's name; Domain that of the subnet.
	Hostname, Domain string
	// Lease is what a client without a machine holds or last held here; nil for nothing.
	Lease *metal.Lease
	// LeaseFree says that the address of an expired lease is still nobody else's.
	LeaseFree bool
	// Free is an address that such a client could get now; zero when the ranges are full.
	Free netip.Addr
	// BootURL is the base URL of the boot server.
	BootURL string
}

// Answer is everything one packet causes. Lease is stored, and Drop forgotten, before Reply is sent.
type Answer struct {
	Reply *dhcpv4.DHCPv4 // nil: stay silent
	Lease *metal.Lease   // nil: nothing to store
	Drop  netip.Addr     // zero: nothing to forget
	Why   string         // for the log
}

const (
	offerLife   = 30 * time.Second // an offer is held against double offering for so long
	quarantine  = time.Hour        // a declined address is given to nobody
	defaultLife = 600 * time.Second
)

// Respond decides what pkt deserves. It touches no socket, clock or database.
func Respond(pkt *dhcpv4.DHCPv4, v View, now time.Time) Answer {
	if pkt.OpCode != dhcpv4.OpcodeBootRequest {
		return silent("not a request")
	}
	if v.Subnet == nil || !v.Subnet.Spec.DHCP.Enabled {
		return silent("DHCP is not served on this network")
	}
	switch pkt.MessageType() {
	case dhcpv4.MessageTypeDiscover:
		return discover(pkt, v, now)
	case dhcpv4.MessageTypeRequest:
		return request(pkt, v, now)
	case dhcpv4.MessageTypeDecline:
		return decline(pkt, v, now)
	case dhcpv4.MessageTypeRelease:
		return release(pkt, v)
	case dhcpv4.MessageTypeInform:
		return inform(pkt, v)
	default:
		return silent("message type " + pkt.MessageType().String() + " is not for a server")
	}
}

func silent(why string) Answer { return Answer{Why: why} }

// discover offers the machine's own address, else what the client holds or held, else a free one.
func discover(pkt *dhcpv4.DHCPv4, v View, now time.Time) Answer {
	if v.Assigned.IsValid() {
		return Answer{Reply: grant(pkt, v, dhcpv4.MessageTypeOffer, v.Assigned), Why: "offer the machine's own address"}
	}
	addr := v.Free
	if held(v, now) {
		addr = v.Lease.Addr
	}
	if !addr.IsValid() {
		return silent("no address is left in the dynamic ranges of subnet " + v.Subnet.Name)
	}
	lease := newLease(pkt, v, addr, metal.LeaseOffered, now.Add(offerLife))
	if v.Lease != nil && v.Lease.Addr == addr && v.Lease.State == metal.LeaseActive && v.Lease.ExpiresAt.After(lease.ExpiresAt) {
		lease = nil // a client that asks anew keeps the longer hold it has
	}
	return Answer{Reply: grant(pkt, v, dhcpv4.MessageTypeOffer, addr), Lease: lease, Why: "offer"}
}

// held says whether the client may have the address of its lease again.
func held(v View, now time.Time) bool {
	return v.Lease != nil && v.Lease.State != metal.LeaseDeclined && (v.Lease.ExpiresAt.After(now) || v.LeaseFree) &&
		v.Subnet.Spec.CIDR.Contains(v.Lease.Addr)
}

// request tells the four kinds of REQUEST apart (RFC 2131, 4.3.2).
func request(pkt *dhcpv4.DHCPv4, v View, now time.Time) Answer {
	chosen := address(pkt.ServerIdentifier())
	wanted := address(pkt.RequestedIPAddress())
	if chosen.IsValid() && chosen != v.Server {
		if v.Lease != nil && v.Lease.State == metal.LeaseOffered {
			return Answer{Drop: v.Lease.Addr, Why: "the client chose another server"}
		}
		return silent("the client chose another server")
	}
	if !wanted.IsValid() {
		wanted = address(pkt.ClientIPAddr) // renewing or rebinding
	}
	if !wanted.IsValid() {
		return silent("the request names no address")
	}
	switch {
	case v.Assigned.IsValid():
		if wanted != v.Assigned {
			return refuse(pkt, v, "this machine's own address is "+v.Assigned.String())
		}
		return Answer{Reply: grant(pkt, v, dhcpv4.MessageTypeAck, wanted), Why: "the machine's own address"}
	case held(v, now) && v.Lease.Addr == wanted:
		lease := newLease(pkt, v, wanted, metal.LeaseActive, now.Add(life(v)))
		return Answer{Reply: grant(pkt, v, dhcpv4.MessageTypeAck, wanted), Lease: lease, Why: "lease"}
	case v.Lease != nil || chosen.IsValid():
		return refuse(pkt, v, "you do not hold "+wanted.String())
	case !v.Subnet.Spec.CIDR.Contains(wanted):
		return refuse(pkt, v, wanted.String()+" is not on this network")
	default: // no record of this client: another server may have one (RFC 2131, 4.3.2)
		return silent("no record of this client")
	}
}

// decline puts an address that the client found in use aside.
func decline(pkt *dhcpv4.DHCPv4, v View, now time.Time) Answer {
	addr := address(pkt.RequestedIPAddress())
	if v.Lease == nil || v.Lease.Addr != addr {
		return silent("declined " + addr.String() + ", which the client does not hold: another host uses the machine's address")
	}
	lease := *v.Lease
	lease.State, lease.ExpiresAt = metal.LeaseDeclined, now.Add(quarantine)
	return Answer{Lease: &lease, Why: "declined: another host uses " + addr.String()}
}

func release(pkt *dhcpv4.DHCPv4, v View) Answer {
	if v.Lease == nil || v.Lease.Addr != address(pkt.ClientIPAddr) || v.Lease.State == metal.LeaseDeclined {
		return silent("released what it does not hold")
	}
	return Answer{Drop: v.Lease.Addr, Why: "released"}
}

// inform answers a client that has an address from elsewhere: no address, no lease time (RFC 2131, 4.3.5).
func inform(pkt *dhcpv4.DHCPv4, v View) Answer {
	reply := compose(pkt, v, dhcpv4.MessageTypeAck)
	return Answer{Reply: reply, Why: "inform"}
}

func newLease(pkt *dhcpv4.DHCPv4, v View, addr netip.Addr, state metal.LeaseState, until time.Time) *metal.Lease {
	return &metal.Lease{
		Subnet: v.Subnet.Name, Addr: addr, MAC: metal.MACOf(pkt.ClientHWAddr), ClientID: clientID(pkt),
		Hostname: hostname(pkt.HostName()), State: state, ExpiresAt: until,
	}
}

func life(v View) time.Duration {
	if s := v.Subnet.Spec.DHCP.LeaseSeconds; s > 0 {
		return time.Duration(s) * time.Second
	}
	return defaultLife
}

// hostname keeps what could be a DNS label of a name that a stranger sent.
func hostname(s string) string {
	const most = 63
	label := []byte(s[:min(len(s), most)])
	ok := !slices.ContainsFunc(label, func(c byte) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-')
	})
	if !ok {
		return ""
	}
	return string(label)
}

func address(ip []byte) netip.Addr {
	a, ok := netip.AddrFromSlice(ip)
	if a = a.Unmap(); !ok || a.IsUnspecified() || !a.Is4() {
		return netip.Addr{}
	}
	return a
}
