package dhcp

import (
	"encoding/hex"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Sub-options of the relay agent's information.
const (
	agentCircuit  = 1  // RFC 3046, 3.1
	agentRemote   = 2  // RFC 3046, 3.2
	agentLink     = 5  // RFC 3527
	agentOverride = 11 // RFC 5107
)

// agentOption returns a sub-option of option 82; nil where the relay agent sent none, or a list that is cut off.
func agentOption(pkt *dhcpv4.DHCPv4, code byte) []byte {
	list := pkt.Options[codeRelay]
	for len(list) >= 2 {
		size := int(list[1])
		if len(list) < 2+size {
			return nil
		}
		if list[0] == code {
			return list[2 : 2+size]
		}
		list = list[2+size:]
	}
	return nil
}

// identity is the server identifier of a reply: the relay agent's, where that wants to see the client's unicast
// packets too (RFC 5107, 5); else our own address.
func identity(pkt *dhcpv4.DHCPv4, v View) netip.Addr {
	if address(pkt.GatewayIPAddr).IsValid() {
		if override := address(agentOption(pkt, agentOverride)); override.IsValid() {
			return override
		}
	}
	return v.Server
}

// network is an address on the network that the relay agent or the client selects, other than by where the packet
// comes from; zero for none. The agent's word is the better one. A client without an agent cannot speak for one.
func network(pkt *dhcpv4.DHCPv4) netip.Addr {
	if address(pkt.GatewayIPAddr).IsValid() {
		if link := address(agentOption(pkt, agentLink)); link.IsValid() {
			return link
		}
	}
	return address(pkt.Options[codeSelection])
}

// queryOf reads who asks from where out of a packet that was sent to the address to. A client that renews, releases or
// informs itself sends from its own address to ours, past any relay agent: then its address tells its network (RFC
// 2131, 4.3.2). One that broadcasts is on our own network, whatever address it believes to have.
func queryOf(pkt *dhcpv4.DHCPv4, to, ours netip.Addr) Query {
	q := Query{
		MAC: metal.MACOf(pkt.ClientHWAddr), Client: Client(pkt), Via: ours, Ours: ours,
		Relay: address(pkt.GatewayIPAddr), Wanted: address(pkt.Options[codeWanted]),
		Circuit: hex.EncodeToString(agentOption(pkt, agentCircuit)), Remote: hex.EncodeToString(agentOption(pkt, agentRemote)),
	}
	client := address(pkt.ClientIPAddr)
	if selected := network(pkt); selected.IsValid() {
		q.Via = selected
	} else if q.Relay.IsValid() {
		q.Via = q.Relay
	} else if to == ours && client.IsValid() {
		q.Via = client
	}
	if !q.Wanted.IsValid() {
		q.Wanted = client
	}
	return q
}

// unfit says why a packet is not to be answered, whatever the store knows; empty for one that may be.
func unfit(pkt *dhcpv4.DHCPv4, ours netip.Addr) string {
	const mostHops = 16 // RFC 1542, 4.1.1
	relay := address(pkt.GatewayIPAddr)
	switch hw := pkt.ClientHWAddr; {
	case pkt.OpCode != dhcpv4.OpcodeBootRequest:
		return "not a request"
	case len(hw) != 6, hw[0]&1 != 0, [6]byte(hw) == [6]byte{}: // no NIC has a group address; an answer to one would go to many hosts
		return "the client has no Ethernet address"
	case pkt.HopCount > mostHops:
		return "it went through more relay agents than there may be"
	case relay == ours && relay.IsValid():
		return "the relay agent claims our own address"
	case relay.IsMulticast(), relay.IsLoopback(), relay.IsValid() && relay.As4() == [4]byte{255, 255, 255, 255}:
		return "the relay agent's address is no host's"
	}
	return ""
}
