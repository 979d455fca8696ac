// Package dhcp serves DHCPv4 (RFC 2131) to machines and to every other client, and tells machines what to boot where
// another server gives the addresses (PXE 2.1). Respond decides what one packet deserves from what the store knew
// when it arrived; the server has stored what must be stored, and sends only then.
package dhcp

import (
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const (
	offerLife   = 30 * time.Second // an offer is held against double offering for so long
	quarantine  = time.Hour        // a declined address is given to nobody
	defaultLife = 600 * time.Second
)

// Respond decides what pkt, which came to port 67, deserves. It touches no socket, clock or database.
func Respond(pkt *dhcpv4.DHCPv4, v View, now time.Time) Answer {
	switch {
	case pkt.OpCode != dhcpv4.OpcodeBootRequest:
		return silent("not a request")
	case v.Subnet == nil:
		return silent("no subnet of ours")
	case v.Subnet.Spec.DHCP.Mode == metal.DHCPProxy:
		return proxy(pkt, v)
	case !v.Subnet.Spec.DHCP.Serves():
		return silent("DHCP is not served on this network")
	}
	// A client names a server in a REQUEST after several offers, in every DECLINE and in every RELEASE.
	if chosen := address(pkt.Options[codeServer]); chosen.IsValid() && chosen != v.Server && chosen != identity(pkt, v) {
		return elsewhere(pkt, v)
	}
	switch kindOf(pkt) {
	case dhcpv4.MessageTypeDiscover:
		return discover(pkt, v, now)
	case dhcpv4.MessageTypeRequest:
		return request(pkt, v, now)
	case dhcpv4.MessageTypeDecline:
		return decline(pkt, v, now)
	case dhcpv4.MessageTypeRelease:
		return release(pkt, v, now)
	case dhcpv4.MessageTypeInform:
		return inform(pkt, v)
	default:
		return silent("message type " + kindOf(pkt).String() + " is not for a server")
	}
}

func silent(why string) Answer { return Answer{Why: why} }

func fault(why string) Answer { return Answer{Why: why, Fault: true} }

// elsewhere takes back what was offered to a client that took another server's offer (RFC 2131, 3.1, 4).
func elsewhere(pkt *dhcpv4.DHCPv4, v View) Answer {
	a := silent("the client speaks to another server")
	if kindOf(pkt) == dhcpv4.MessageTypeRequest && v.Lease != nil && v.Lease.State == metal.LeaseOffered {
		a.Drop = v.Lease.Addr
	}
	return a
}

// discover offers the client's own address, else what it holds or held, else a free one. A client that asks for it is
// given the address at once (RFC 4039).
func discover(pkt *dhcpv4.DHCPv4, v View, now time.Time) Answer {
	kind, state, until, why := dhcpv4.MessageTypeOffer, metal.LeaseOffered, now.Add(offerLife), "offer"
	if _, rapid := pkt.Options[codeRapidCommit]; rapid {
		kind, state, until, why = dhcpv4.MessageTypeAck, metal.LeaseActive, now.Add(life(v)), "lease at once"
	}
	if v.Assigned.IsValid() {
		return Answer{Reply: grant(pkt, v, kind, v.Assigned), Why: why + ": the client's own address"}
	}
	addr := v.Free
	if held(v) {
		addr = v.Lease.Addr
	}
	if !addr.IsValid() {
		return fault("no address is left in the dynamic ranges of subnet " + v.Subnet.Name)
	}
	lease := newLease(pkt, v, addr, state, now, until)
	if state == metal.LeaseOffered && v.Lease != nil && v.Lease.Addr == addr && v.Lease.State == metal.LeaseActive && v.Lease.ExpiresAt.After(until) {
		lease = nil // a client that asks anew keeps the longer hold it has
	}
	return Answer{Reply: grant(pkt, v, kind, addr), Lease: lease, Why: why}
}

// held says whether the client may have the address of its lease again.
func held(v View) bool {
	return v.Lease != nil && v.Lease.State != metal.LeaseDeclined && v.LeaseFree
}

// request tells the four kinds of REQUEST apart (RFC 2131, 4.3.2).
func request(pkt *dhcpv4.DHCPv4, v View, now time.Time) Answer {
	wanted := address(pkt.Options[codeWanted])
	if !wanted.IsValid() {
		wanted = address(pkt.ClientIPAddr) // renewing or rebinding
	}
	if !wanted.IsValid() {
		return silent("the request names no address")
	}
	switch {
	case v.Assigned.IsValid():
		if wanted != v.Assigned {
			return refuse(pkt, v, "this client's own address is "+v.Assigned.String())
		}
		return Answer{Reply: grant(pkt, v, dhcpv4.MessageTypeAck, wanted), Why: "the client's own address"}
	case held(v) && v.Lease.Addr == wanted:
		lease := newLease(pkt, v, wanted, metal.LeaseActive, now, now.Add(life(v)))
		return Answer{Reply: grant(pkt, v, dhcpv4.MessageTypeAck, wanted), Lease: lease, Why: "lease"}
	case !held(v) && v.Free == wanted && pkt.Options.Has(dhcpv4.OptionServerIdentifier):
		// Our own offer, made before a restart or pushed out by others since: nobody else has got the address.
		lease := newLease(pkt, v, wanted, metal.LeaseActive, now, now.Add(life(v)))
		return Answer{Reply: grant(pkt, v, dhcpv4.MessageTypeAck, wanted), Lease: lease, Why: "lease of an offer that was forgotten"}
	case v.Lease != nil || pkt.Options.Has(dhcpv4.OptionServerIdentifier):
		return refuse(pkt, v, "you do not hold "+wanted.String())
	case !v.Subnet.Spec.CIDR.Contains(wanted):
		return refuse(pkt, v, wanted.String()+" is not on this network")
	default: // no record of this client: another server may have one (RFC 2131, 4.3.2)
		return silent("no record of this client")
	}
}

// decline puts an address that the client found in use aside. The row of the client is dropped and another kept
// under nobody, so that the client's next lease does not end the quarantine.
func decline(pkt *dhcpv4.DHCPv4, v View, now time.Time) Answer {
	addr := address(pkt.Options[codeWanted])
	switch {
	case !addr.IsValid():
		return silent("the client declines no address")
	case addr == v.Assigned:
		return fault("another host uses " + addr.String() + ", which is this client's own address: find it and take the address from it")
	case v.Lease == nil || v.Lease.Addr != addr || v.Lease.State == metal.LeaseDeclined:
		return silent("the client declines " + addr.String() + ", which it does not hold")
	}
	lease := *v.Lease
	lease.State, lease.ExpiresAt = metal.LeaseDeclined, now.Add(quarantine)
	return Answer{Drop: addr, Lease: &lease, Why: "another host uses " + addr.String() + ": nobody gets it for " + quarantine.String(), Fault: true}
}

// release ends a lease. It is kept, expired, so that the client may get the same address again (RFC 2131, 4.3.4).
func release(pkt *dhcpv4.DHCPv4, v View, now time.Time) Answer {
	if v.Lease == nil || v.Lease.Addr != address(pkt.ClientIPAddr) || v.Lease.State == metal.LeaseDeclined || !v.Lease.ExpiresAt.After(now) {
		return silent("the client releases what it does not hold")
	}
	lease := *v.Lease
	lease.ExpiresAt = now
	return Answer{Lease: &lease, Why: "released " + lease.Addr.String()}
}

// inform answers a client that has an address from elsewhere: no address, no lease time (RFC 2131, 4.3.5).
func inform(pkt *dhcpv4.DHCPv4, v View) Answer {
	reply := compose(pkt, v, dhcpv4.MessageTypeAck)
	bootOptions(pkt, reply, v)
	fit(pkt, reply, v)
	return Answer{Reply: reply, Why: "inform"}
}

// life is how long a client may keep an address. All ones in the option mean for ever (RFC 2131, 3.3).
func life(v View) time.Duration {
	const most = 1<<32 - 1
	if s := v.Subnet.Spec.DHCP.LeaseSeconds; s > 0 {
		return time.Duration(min(s, most)) * time.Second
	}
	return defaultLife
}

func address(ip []byte) netip.Addr {
	a, ok := netip.AddrFromSlice(ip)
	if a = a.Unmap(); !ok || a.IsUnspecified() || !a.Is4() {
		return netip.Addr{}
	}
	return a
}
