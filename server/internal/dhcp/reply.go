package dhcp

import (
	"encoding/binary"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// usualOptions is how many a reply has room for at once. With room for one more, Go's map is twice as large.
const usualOptions = 14

// blank makes a reply of a kind with nothing in it but what links it to its request.
func blank(pkt *dhcpv4.DHCPv4, v View, kind dhcpv4.MessageType) *dhcpv4.DHCPv4 {
	reply := &dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootReply, HWType: pkt.HWType, TransactionID: pkt.TransactionID, Flags: pkt.Flags,
		ClientIPAddr: net.IPv4zero, YourIPAddr: net.IPv4zero, ServerIPAddr: net.IPv4zero,
		GatewayIPAddr: pkt.GatewayIPAddr, ClientHWAddr: pkt.ClientHWAddr, Options: make(dhcpv4.Options, usualOptions),
	}
	reply.Options[codeMessageType] = []byte{byte(kind)}
	reply.Options[codeServer] = identity(pkt, v).AsSlice()
	return reply
}

// compose makes a reply with what every client is told of its network.
func compose(pkt *dhcpv4.DHCPv4, v View, kind dhcpv4.MessageType) *dhcpv4.DHCPv4 {
	reply := blank(pkt, v, kind)
	if kind == dhcpv4.MessageTypeAck {
		reply.ClientIPAddr = pkt.ClientIPAddr // RFC 2131, table 3: an OFFER has zero
	}
	tellNetwork(pkt, reply, v)
	echo(pkt, reply, codeRelay, codeClientID, codeUUID, codeSelection)
	return reply
}

// echo copies options that a reply must repeat: the relay agent's information (RFC 3046, 2.2), the client identifier
// (RFC 6842, 3), the subnet that was selected (RFC 3011, 3), and the machine's UUID, which some PXE ROMs look for.
func echo(pkt, reply *dhcpv4.DHCPv4, codes ...uint8) {
	for _, code := range codes {
		if value := pkt.Options[code]; value != nil {
			reply.Options[code] = value
		}
	}
}

// grant makes an OFFER or ACK of an address.
func grant(pkt *dhcpv4.DHCPv4, v View, kind dhcpv4.MessageType, addr netip.Addr) *dhcpv4.DHCPv4 {
	reply := compose(pkt, v, kind)
	reply.YourIPAddr = addr.AsSlice()
	t := life(v)
	reply.Options[codeLeaseTime] = seconds(t)
	reply.Options[codeRenewal] = seconds(t / 2)
	reply.Options[codeRebinding] = seconds(t * 7 / 8)
	if kind == dhcpv4.MessageTypeAck && kindOf(pkt) == dhcpv4.MessageTypeDiscover {
		reply.Options[codeRapidCommit] = nil // RFC 4039, 4: it has no value
	}
	bootOptions(pkt, reply, v)
	fit(pkt, reply, v)
	return reply
}

func seconds(t time.Duration) []byte {
	return binary.BigEndian.AppendUint32(nil, uint32(t/time.Second))
}

// fit leaves out what the client can do without, least needed first, until the reply is no longer than the client
// takes: the size in its option 57, which counts the IP and UDP headers, and 576 bytes without (RFC 2131, 2). It is
// never more than one Ethernet frame holds, whatever the client says: PXE ROMs put no fragments together.
func fit(pkt, reply *dhcpv4.DHCPv4, v View) {
	const headers, least, most = 28, 576, 1500
	room := least - headers
	if size := pkt.Options[codeMostBytes]; len(size) == 2 {
		room = min(max(room, int(binary.BigEndian.Uint16(size))-headers), most-headers)
	}
	excess := length(reply) - room
	if excess <= 0 {
		return
	}
	var optional []uint8
	for i := len(v.Options.Custom) - 1; i >= 0; i-- {
		switch code := v.Options.Custom[i].Code; code {
		case codeRouter, codeDNS, codeVendor, codeRoutes: // without these a client may not work at all
		default:
			optional = append(optional, uint8(code))
		}
	}
	optional = append(optional, codeWPAD, codeTimeZone, codeSyslog, codeRoutesWindows, codeFQDN, codeSearch, codeBootServer, codeNTP,
		codeDomain, codeHostName)
	if reply.BootFileName != "" {
		optional = append(optional, codeBootFile) // the header has it too
	}
	for _, code := range optional {
		if value, told := reply.Options[code]; told && excess > 0 {
			excess -= space(value)
			delete(reply.Options, code)
		}
	}
}

// length is that of a reply on the wire, without padding: header and cookie, options, end.
func length(reply *dhcpv4.DHCPv4) int {
	n := 240 + 1
	for _, value := range reply.Options {
		n += space(value)
	}
	return n
}

// space is what a value takes with its code and length, which are there again for every 255 bytes (RFC 3396).
func space(value []byte) int {
	return len(value) + 2*max(1, (len(value)+254)/255)
}

// refuse makes a NAK: the client begins anew at once.
func refuse(pkt *dhcpv4.DHCPv4, v View, why string) Answer {
	reply := blank(pkt, v, dhcpv4.MessageTypeNak)
	if address(pkt.GatewayIPAddr).IsValid() {
		reply.SetBroadcast() // the relay agent is to broadcast it: the client has no address (RFC 2131, 4.3.2)
	}
	reply.Options[codeMessage] = []byte(why)
	echo(pkt, reply, codeRelay, codeClientID) // and no more: RFC 2131, table 3
	return Answer{Reply: reply, Why: "refused: " + why}
}
