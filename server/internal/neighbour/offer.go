package neighbour

import (
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
)

const (
	clientPort4 = 68
	serverPort4 = 67
	clientPort6 = 546
	serverPort6 = 547
)

// allServers is All_DHCP_Relay_Agents_and_Servers (RFC 8415, section 7.1).
func allServers() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte{0: 0xff, 1: 2, 13: 1, 15: 2}), serverPort6)
}

// discover is a DHCPDISCOVER of the made-up card. Its broadcast flag has servers answer so that this host hears it
// (RFC 2131, section 4.1).
func discover(xid [4]byte, client hardware) []byte {
	id := append([]byte{255}, client[2:6]...)
	m := &dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootRequest, HWType: iana.HWTypeEthernet, TransactionID: xid, ClientHWAddr: client[:],
		Options: dhcpv4.Options{},
	}
	m.SetBroadcast()
	m.UpdateOption(dhcpv4.OptMessageType(dhcpv4.MessageTypeDiscover))
	m.UpdateOption(dhcpv4.OptClientIdentifier(append(id, probeDUID(client[:])...)))
	m.UpdateOption(dhcpv4.OptParameterRequestList(dhcpv4.OptionSubnetMask, dhcpv4.OptionRouter))
	return m.ToBytes()
}

// judgeOffer says which server a frame comes from, where it is an offer to our DHCPDISCOVER.
func judgeOffer(frame []byte, xid [4]byte, client hardware) (Rogue, bool) {
	from, payload, ok := payload4(frame, clientPort4)
	if !ok {
		return Rogue{}, false
	}
	m, err := dhcpv4.FromBytes(payload)
	if err != nil || m.OpCode != dhcpv4.OpcodeBootReply || m.MessageType() != dhcpv4.MessageTypeOffer ||
		m.TransactionID != xid || string(m.ClientHWAddr) != string(client[:]) {
		return Rogue{}, false
	}
	rogue := Rogue{Server: from, Hardware: sender(frame).mac()}
	if id, ok := netip.AddrFromSlice(m.ServerIdentifier()); ok && unicast(id.Unmap()) {
		rogue.Server = id.Unmap()
	}
	if offered, ok := netip.AddrFromSlice(m.YourIPAddr); ok && unicast(offered.Unmap()) {
		rogue.Offered = offered.Unmap()
	}
	return rogue, true
}

// solicit is a SOLICIT for one address, without Rapid Commit: nothing is given to us by the answer alone (RFC 8415,
// section 18.2.1).
func solicit(xid [3]byte, client hardware) []byte {
	m := &dhcpv6.Message{MessageType: dhcpv6.MessageTypeSolicit, TransactionID: xid}
	m.AddOption(dhcpv6.OptClientID(&dhcpv6.DUIDEN{EnterpriseNumber: enterprise, EnterpriseIdentifier: append([]byte(marker), client[:]...)}))
	m.AddOption(dhcpv6.OptElapsedTime(0))
	m.AddOption(&dhcpv6.OptIANA{IaId: [4]byte(client[2:6])})
	return m.ToBytes()
}

// judgeAdvertise says which server a frame comes from, where it is an answer to our SOLICIT. A server that has no address
// to give answers too, and counts.
func judgeAdvertise(frame []byte, xid [3]byte, client hardware) (Rogue, bool) {
	from, payload, ok := payload6(frame, clientPort6)
	if !ok {
		return Rogue{}, false
	}
	m, err := dhcpv6.MessageFromBytes(payload)
	if err != nil || m.MessageType != dhcpv6.MessageTypeAdvertise || m.TransactionID != xid || m.Options.ServerID() == nil {
		return Rogue{}, false
	}
	if id := m.Options.ClientID(); id == nil || string(id.ToBytes()) != string(probeDUID(client[:])) {
		return Rogue{}, false
	}
	rogue := Rogue{Server: from, Hardware: sender(frame).mac()}
	if ia := m.Options.OneIANA(); ia != nil {
		if a := ia.Options.OneAddress(); a != nil {
			if offered, ok := netip.AddrFromSlice(a.IPv6Addr); ok && unicast(offered) {
				rogue.Offered = offered
			}
		}
	}
	return rogue, true
}
