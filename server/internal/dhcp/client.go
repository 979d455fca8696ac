package dhcp

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// clientID returns option 61 in hex; empty where the client sends none.
func clientID(pkt *dhcpv4.DHCPv4) string {
	return hex.EncodeToString(pkt.Options[codeClientID])
}

// Client returns what a lease is kept under: the client identifier, or the hardware address where there is none
// (RFC 2131, 2.1).
func Client(pkt *dhcpv4.DHCPv4) string {
	if id := clientID(pkt); id != "" {
		return id
	}
	return string(metal.MACOf(pkt.ClientHWAddr))
}

// kindOf returns the message type; none where there is no such option, as in BOOTP.
func kindOf(pkt *dhcpv4.DHCPv4) dhcpv4.MessageType {
	if value := pkt.Options[codeMessageType]; len(value) == 1 {
		return dhcpv4.MessageType(value[0])
	}
	return dhcpv4.MessageTypeNone
}

// newLease is what is stored of an address that a client is offered or given now.
func newLease(pkt *dhcpv4.DHCPv4, v View, addr netip.Addr, state metal.LeaseState, now, until time.Time) *metal.Lease {
	l := &metal.Lease{
		Subnet: v.Subnet.Name, Addr: addr, MAC: metal.MACOf(pkt.ClientHWAddr), ClientID: clientID(pkt),
		Hostname: nameOf(pkt), State: state, ExpiresAt: until, Relay: address(pkt.GatewayIPAddr),
		Circuit: hex.EncodeToString(agentOption(pkt, agentCircuit)), Remote: hex.EncodeToString(agentOption(pkt, agentRemote)),
	}
	if old := v.Lease; old != nil && old.Addr == addr && old.ExpiresAt.After(now) {
		l.StartedAt = old.StartedAt
		if !l.Relay.IsValid() && len(pkt.Options[codeRelay]) == 0 {
			l.Relay, l.Circuit, l.Remote = old.Relay, old.Circuit, old.Remote // a renewal goes past the relay agent
		}
	}
	if state == metal.LeaseActive && l.StartedAt.IsZero() {
		l.StartedAt = now
	}
	return l
}

// nameOf returns the host name that a client gives itself, where it could be a DNS label; else nothing. A client that
// sends its full name (RFC 4702, 3.1) sends no other; the first label is its host name.
func nameOf(pkt *dhcpv4.DHCPv4) string {
	const (
		header  = 3 // flags and two result codes that nobody reads any more
		inLabel = 4 // flag E: the name is in DNS form, and not plain text
	)
	full := pkt.Options[codeFQDN]
	if len(full) <= header {
		return hostname(pkt.HostName())
	}
	name := full[header:]
	if full[0]&inLabel != 0 {
		size := int(name[0])
		if size >= len(name) {
			return ""
		}
		return hostname(string(name[1 : 1+size]))
	}
	first, _, _ := strings.Cut(string(name), ".")
	return hostname(first)
}

// hostname keeps a name that a stranger sent where it could be a DNS label (RFC 1123, 2.1); else nothing.
func hostname(s string) string {
	const most = 63
	odd := strings.ContainsFunc(s, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-')
	})
	if odd || len(s) > most || strings.HasPrefix(s, "-") || strings.HasSuffix(s, "-") {
		return ""
	}
	return s
}
