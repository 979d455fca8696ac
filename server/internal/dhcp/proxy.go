package dhcp

import (
	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// proxy answers on port 67 where another server gives the addresses (PXE 2.1, 2.2): a booting client gets an OFFER
// without an address beside that of the other server. Everything else is between the client and that server.
func proxy(pkt *dhcpv4.DHCPv4, v View) Answer {
	if kindOf(pkt) != dhcpv4.MessageTypeDiscover {
		return silent("addresses come from another server on this network")
	}
	return bootAnswer(pkt, v, dhcpv4.MessageTypeOffer)
}

// respondBoot decides what pkt, which came to port 4011, deserves: a client that knows us for a boot server asks for
// its file there (PXE 2.1, 2.2 and 2.4). No address is given, and nothing stored.
func respondBoot(pkt *dhcpv4.DHCPv4, v View) Answer {
	switch kind := kindOf(pkt); {
	case pkt.OpCode != dhcpv4.OpcodeBootRequest:
		return silent("not a request")
	case v.Subnet == nil:
		return silent("no subnet of ours")
	case v.Subnet.Spec.DHCP.Mode != metal.DHCPProxy && !v.Subnet.Spec.DHCP.Serves():
		return silent("DHCP is not served on this network")
	case kind != dhcpv4.MessageTypeRequest && kind != dhcpv4.MessageTypeInform:
		return silent("message type " + kind.String() + " is not for a boot server")
	}
	return bootAnswer(pkt, v, dhcpv4.MessageTypeAck)
}

// bootAnswer names a boot file and nothing else.
func bootAnswer(pkt *dhcpv4.DHCPv4, v View, kind dhcpv4.MessageType) Answer {
	client := bootClient(pkt)
	if !client.PXE && !client.HTTP {
		return silent("addresses come from another server on this network, and the client boots nothing")
	}
	reply := blank(pkt, v, kind)
	if kind == dhcpv4.MessageTypeAck {
		reply.ClientIPAddr = pkt.ClientIPAddr
	}
	echo(pkt, reply, codeRelay, codeClientID, codeUUID)
	bootOptions(pkt, reply, v)
	if len(reply.Options[codeBootFile]) == 0 {
		return silent("there is no boot file for this kind of client")
	}
	if _, named := reply.Options[codeClass]; !named {
		// Only this tells an offer of a ProxyDHCP server from a broken one; iPXE, too, looks for it.
		reply.Options[codeClass] = []byte(classPXE)
	}
	if item := bootItem(pkt); item != nil && client.PXE {
		reply.Options[codeVendor] = append(item, discoveryControl...)
	}
	fit(pkt, reply, v)
	return Answer{Reply: reply, Why: "boot file for a client with an address from elsewhere"}
}

// bootItem returns the choice of boot server type and layer that a client repeats to us, with its tag: without it in
// the answer the client takes that for another's (PXE 2.1, 2.4, tag 71).
func bootItem(pkt *dhcpv4.DHCPv4) []byte {
	const tag, end, size = 71, 255, 4
	list := pkt.Options[codeVendor]
	for len(list) >= 2 && list[0] != end {
		if list[0] == 0 { // padding
			list = list[1:]
			continue
		}
		n := 2 + int(list[1])
		if n > len(list) {
			return nil
		}
		if list[0] == tag && n == 2+size {
			return append([]byte(nil), list[:n]...)
		}
		list = list[n:]
	}
	return nil
}
