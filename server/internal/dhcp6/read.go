package dhcp6

import (
	"encoding/binary"
	"fmt"
	"net"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
)

// The codec reads the options of a message as deep as they go and all domain names in them. Compressed names, which no
// DHCPv6 message may have (RFC 8415, 10), cost it 1.4 s for one datagram of 3.9 kB, by 600 labels that 1,300 pointers
// point to. So it is given, level by level, only what a server must understand, and everything else stays bytes.

// message reads what a client sends.
func message(payload []byte) (*dhcpv6.Message, error) {
	const header = 4
	if len(payload) < header {
		return nil, fmt.Errorf("a message of %d bytes; want %d at least", len(payload), header)
	}
	m := &dhcpv6.Message{MessageType: dhcpv6.MessageType(payload[0]), TransactionID: dhcpv6.TransactionID(payload[1:header])}
	return m, m.Options.FromBytesWithParser(payload[header:], clientOption)
}

// relay reads what a relay agent sends, without what is in it.
func relay(payload []byte) (*dhcpv6.RelayMessage, error) {
	const link, peer = 2, 2 + net.IPv6len
	if len(payload) < dhcpv6.RelayHeaderSize {
		return nil, fmt.Errorf("a relay agent's message of %d bytes; want %d at least", len(payload), dhcpv6.RelayHeaderSize)
	}
	head := append([]byte(nil), payload[:dhcpv6.RelayHeaderSize]...)
	m := &dhcpv6.RelayMessage{MessageType: dhcpv6.MessageType(head[0]), HopCount: head[1], LinkAddr: head[link:peer:peer], PeerAddr: head[peer:]}
	return m, m.Options.FromBytesWithParser(payload[dhcpv6.RelayHeaderSize:], relayOption)
}

func clientOption(code dhcpv6.OptionCode, data []byte) (dhcpv6.Option, error) {
	switch code {
	case dhcpv6.OptionClientID, dhcpv6.OptionServerID, dhcpv6.OptionClientArchType:
		return dhcpv6.ParseOption(code, data)
	case dhcpv6.OptionORO, dhcpv6.OptionUserClass, dhcpv6.OptionVendorClass:
		return lenient(code, data)
	case dhcpv6.OptionIANA, dhcpv6.OptionIATA, dhcpv6.OptionIAPD:
		return identity(code, data)
	}
	return asBytes(code, data)
}

func relayOption(code dhcpv6.OptionCode, data []byte) (dhcpv6.Option, error) {
	switch code {
	case dhcpv6.OptionInterfaceID:
		return dhcpv6.ParseOption(code, data)
	case dhcpv6.OptionRemoteID, dhcpv6.OptionClientLinkLayerAddr, dhcpv6.OptionRelayPort:
		return lenient(code, data)
	}
	return asBytes(code, data)
}

// lenient reads an option that a client is served without, too: one that is malformed stays bytes.
func lenient(code dhcpv6.OptionCode, data []byte) (dhcpv6.Option, error) {
	if o, err := dhcpv6.ParseOption(code, data); err == nil {
		return o, nil
	}
	return asBytes(code, data)
}

func asBytes(code dhcpv6.OptionCode, data []byte) (dhcpv6.Option, error) {
	return &dhcpv6.OptionGeneric{OptionCode: code, OptionData: append([]byte(nil), data...)}, nil
}

// identity reads an identity association (RFC 8415, 21.4, 21.5 and 21.21). T1 and T2 of a client are only wishes.
func identity(code dhcpv6.OptionCode, data []byte) (dhcpv6.Option, error) {
	size := 12
	if code == dhcpv6.OptionIATA {
		size = 4
	}
	if len(data) < size {
		return nil, fmt.Errorf("%s of %d bytes; want %d at least", code, len(data), size)
	}
	var inner dhcpv6.Options
	if err := inner.FromBytesWithParser(data[size:], identityOption); err != nil {
		return nil, err
	}
	id := [4]byte(data)
	switch code {
	case dhcpv6.OptionIANA:
		return &dhcpv6.OptIANA{IaId: id, Options: dhcpv6.IdentityOptions{Options: inner}}, nil
	case dhcpv6.OptionIATA:
		return &dhcpv6.OptIATA{IaId: id, Options: dhcpv6.IdentityOptions{Options: inner}}, nil
	default:
		return &dhcpv6.OptIAPD{IaId: id, Options: dhcpv6.PDOptions{Options: inner}}, nil
	}
}

// identityOption reads an address or prefix (RFC 8415, 21.6 and 21.22), without the options in it.
func identityOption(code dhcpv6.OptionCode, data []byte) (dhcpv6.Option, error) {
	seconds := func(at int) time.Duration { return time.Duration(binary.BigEndian.Uint32(data[at:])) * time.Second }
	switch {
	case code == dhcpv6.OptionIAAddr && len(data) >= 24:
		return &dhcpv6.OptIAAddress{IPv6Addr: append(net.IP(nil), data[:16]...), PreferredLifetime: seconds(16), ValidLifetime: seconds(20)}, nil
	case code == dhcpv6.OptionIAPrefix && len(data) >= 25:
		n := &net.IPNet{IP: append(net.IP(nil), data[9:25]...), Mask: net.CIDRMask(int(data[8]), 128)}
		return &dhcpv6.OptIAPrefix{PreferredLifetime: seconds(0), ValidLifetime: seconds(4), Prefix: n}, nil
	case code == dhcpv6.OptionIAAddr, code == dhcpv6.OptionIAPrefix:
		return nil, fmt.Errorf("%s of %d bytes; want 24 for an address, 25 for a prefix", code, len(data))
	}
	return asBytes(code, data)
}

// clientName reads the Client FQDN option (RFC 4704, 4): its flags and the first label of its name, which may be all
// there is.
func clientName(m *dhcpv6.Message) (flags uint8, label string, ok bool) {
	o := m.Options.GetOne(dhcpv6.OptionFQDN)
	if o == nil {
		return 0, "", false
	}
	data := o.ToBytes()
	if len(data) == 0 {
		return 0, "", false
	}
	const longest = 63
	if flags, data = data[0], data[1:]; len(data) > 0 && data[0] <= longest && len(data) > int(data[0]) {
		label = string(data[1 : 1+data[0]])
	}
	return flags, label, true
}
