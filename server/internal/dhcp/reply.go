package dhcp

import (
	"encoding/hex"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/boot"
)

const (
	optionUUID  = dhcpv4.GenericOptionCode(97)  // RFC 4578, 2.3
	optionIPXE  = dhcpv4.GenericOptionCode(175) // iPXE's encapsulated options
	optionPXE43 = dhcpv4.GenericOptionCode(43)
)

// compose makes a reply with what every client is told of its network.
func compose(pkt *dhcpv4.DHCPv4, v View, kind dhcpv4.MessageType) *dhcpv4.DHCPv4 {
	s := v.Subnet.Spec
	reply := &dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootReply, HWType: pkt.HWType, TransactionID: pkt.TransactionID, Flags: pkt.Flags,
		ClientIPAddr: net.IPv4zero, YourIPAddr: net.IPv4zero, ServerIPAddr: net.IPv4zero,
		GatewayIPAddr: pkt.GatewayIPAddr, ClientHWAddr: pkt.ClientHWAddr, Options: dhcpv4.Options{},
	}
	if kind == dhcpv4.MessageTypeAck {
		reply.ClientIPAddr = pkt.ClientIPAddr // RFC 2131, table 3: an OFFER has zero
	}
	set := func(o dhcpv4.Option) { reply.UpdateOption(o) }
	set(dhcpv4.OptMessageType(kind))
	set(dhcpv4.OptServerIdentifier(v.Server.AsSlice()))
	set(dhcpv4.OptSubnetMask(net.CIDRMask(s.CIDR.Bits(), 32)))
	if s.Gateway.IsValid() {
		set(dhcpv4.OptRouter(s.Gateway.AsSlice()))
	}
	set(dhcpv4.OptDNS(ips(s.DNS, v.Server)...))
	set(dhcpv4.OptNTPServers(ips(s.NTP, v.Server)...))
	if v.Domain != "" {
		set(dhcpv4.OptDomainName(v.Domain))
	}
	if v.Hostname != "" {
		set(dhcpv4.OptHostName(v.Hostname))
	}
	echo(pkt, reply, dhcpv4.OptionRelayAgentInformation, dhcpv4.OptionClientIdentifier, optionUUID)
	return reply
}

// echo copies options that a reply must repeat: the relay agent's information (RFC 3046, 2.2), the client identifier
// (RFC 6842, 3), and the machine's UUID, which some PXE ROMs look for.
func echo(pkt, reply *dhcpv4.DHCPv4, codes ...dhcpv4.OptionCode) {
	for _, code := range codes {
		if value := pkt.Options.Get(code); value != nil {
			reply.UpdateOption(dhcpv4.OptGeneric(code, value))
		}
	}
}

// grant makes an OFFER or ACK of an address.
func grant(pkt *dhcpv4.DHCPv4, v View, kind dhcpv4.MessageType, addr netip.Addr) *dhcpv4.DHCPv4 {
	reply := compose(pkt, v, kind)
	reply.YourIPAddr = addr.AsSlice()
	t := life(v)
	reply.UpdateOption(dhcpv4.OptIPAddressLeaseTime(t))
	reply.UpdateOption(dhcpv4.OptRenewTimeValue(t / 2))
	reply.UpdateOption(dhcpv4.OptRebindingTimeValue(t * 7 / 8))
	bootOptions(pkt, reply, v)
	fit(pkt, reply)
	return reply
}

// fit leaves out what the client can do without, least needed first, until the reply is no longer than the client
// takes: the size in its option 57, which counts the IP and UDP headers, and 576 bytes without (RFC 2131, 2).
func fit(pkt, reply *dhcpv4.DHCPv4) {
	const headers, least = 28, 576
	room := least - headers
	if size, err := pkt.MaxMessageSize(); err == nil {
		room = max(room, int(size)-headers)
	}
	optional := []dhcpv4.OptionCode{dhcpv4.OptionTFTPServerName, dhcpv4.OptionNTPServers, dhcpv4.OptionDomainName, dhcpv4.OptionHostName}
	if reply.BootFileName != "" {
		optional = append(optional, dhcpv4.OptionBootfileName) // the header has it too
	}
	for _, code := range optional {
		if len(reply.ToBytes()) <= room {
			return
		}
		reply.DeleteOption(code)
	}
}

// bootOptions name the boot file to a client that asks for one.
func bootOptions(pkt, reply *dhcpv4.DHCPv4, v View) {
	client := bootClient(pkt)
	named := boot.NameFor(client, v.BootURL)
	if named.File == "" {
		return
	}
	reply.ServerIPAddr = v.Server.AsSlice()
	const headerRoom = 127 // the field of 128 bytes ends with a zero (RFC 2131, 2)
	if len(named.File) <= headerRoom {
		reply.BootFileName = named.File
	}
	reply.UpdateOption(dhcpv4.OptBootFileName(named.File))
	switch {
	case named.HTTP:
		reply.UpdateOption(dhcpv4.OptClassIdentifier("HTTPClient"))
	case named.TFTP:
		reply.UpdateOption(dhcpv4.OptClassIdentifier("PXEClient"))
		reply.UpdateOption(dhcpv4.OptTFTPServerName(v.Server.String()))
		// PXE 2.1, 2.3: discovery control 8 means: boot the file named here, look for no boot server.
		reply.UpdateOption(dhcpv4.OptGeneric(optionPXE43, []byte{6, 1, 8, 255}))
	}
	if client.IPXE {
		// no-pxedhcp: without it iPXE waits 3 s for a ProxyDHCP server.
		reply.UpdateOption(dhcpv4.OptGeneric(optionIPXE, []byte{176, 1, 1}))
	}
}

func bootClient(pkt *dhcpv4.DHCPv4) boot.Client {
	c := boot.Client{MAC: metal.MACOf(pkt.ClientHWAddr)}
	class := pkt.ClassIdentifier()
	c.PXE, c.HTTP = strings.HasPrefix(class, "PXEClient"), strings.HasPrefix(class, "HTTPClient")
	if archs := pkt.ClientArch(); len(archs) > 0 {
		c.Arch = uint16(archs[0])
	}
	// iPXE sends its user class as plain text, not in the form of RFC 3004; UserClass reads both.
	c.IPXE = slices.Contains(pkt.UserClass(), "iPXE") || pkt.Options.Has(optionIPXE) && c.PXE
	return c
}

// refuse makes a NAK: the client begins anew at once.
func refuse(pkt *dhcpv4.DHCPv4, v View, why string) Answer {
	reply := &dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootReply, HWType: pkt.HWType, TransactionID: pkt.TransactionID, Flags: pkt.Flags,
		ClientIPAddr: net.IPv4zero, YourIPAddr: net.IPv4zero, ServerIPAddr: net.IPv4zero,
		GatewayIPAddr: pkt.GatewayIPAddr, ClientHWAddr: pkt.ClientHWAddr, Options: dhcpv4.Options{},
	}
	if address(pkt.GatewayIPAddr).IsValid() {
		reply.SetBroadcast() // the relay agent is to broadcast it: the client has no address (RFC 2131, 4.3.2)
	}
	reply.UpdateOption(dhcpv4.OptMessageType(dhcpv4.MessageTypeNak))
	reply.UpdateOption(dhcpv4.OptServerIdentifier(v.Server.AsSlice()))
	reply.UpdateOption(dhcpv4.OptMessage(why))
	echo(pkt, reply, dhcpv4.OptionRelayAgentInformation, dhcpv4.OptionClientIdentifier) // and no more: RFC 2131, table 3
	return Answer{Reply: reply, Why: "refused: " + why}
}

func ips(list []netip.Addr, fallback netip.Addr) []net.IP {
	if len(list) == 0 {
		return []net.IP{fallback.AsSlice()}
	}
	out := make([]net.IP, len(list))
	for i, a := range list {
		out[i] = a.AsSlice()
	}
	return out
}

// clientID returns option 61 in hex; empty where the client sends none.
func clientID(pkt *dhcpv4.DHCPv4) string {
	return hex.EncodeToString(pkt.Options.Get(dhcpv4.OptionClientIdentifier))
}

// Client returns what a lease is kept under: the client identifier, or the hardware address where there is none
// (RFC 2131, 2.1).
func Client(pkt *dhcpv4.DHCPv4) string {
	if id := clientID(pkt); id != "" {
		return id
	}
	return string(metal.MACOf(pkt.ClientHWAddr))
}
