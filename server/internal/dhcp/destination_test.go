package dhcp

import (
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/insomniacslk/dhcp/dhcpv4"
)

func TestRepliesGoWhereTheClientHearsThem(t *testing.T) {
	relayed := dhcpv4.WithGatewayIP(ip("10.1.0.1").AsSlice())
	gives := func(kind dhcpv4.MessageType, addr string) *dhcpv4.DHCPv4 {
		return client(kind, dhcpv4.WithYourIP(ip(addr).AsSlice()))
	}
	offer, nak := gives(dhcpv4.MessageTypeOffer, "10.0.0.9"), gives(dhcpv4.MessageTypeNak, "0.0.0.0")
	inform := gives(dhcpv4.MessageTypeAck, "0.0.0.0")
	const d, q = dhcpv4.MessageTypeDiscover, dhcpv4.MessageTypeRequest
	cases := []struct {
		name       string
		pkt, reply *dhcpv4.DHCPv4
		to         string
		hardware   net.HardwareAddr
	}{
		{"by way of the relay agent", client(d, relayed), offer, "10.1.0.1:67", nil},
		{"a refusal by way of the relay agent", client(q, relayed), nak, "10.1.0.1:67", nil},
		{"a relayed client that has an address", client(q, relayed, having("10.0.0.9")), offer, "10.1.0.1:67", nil},
		{"to the address that the client has", client(q, having("10.0.0.9")), offer, "10.0.0.9:68", nil},
		{"to the address that the client has, though it asks for broadcast", client(q, having("10.0.0.9"), dhcpv4.WithBroadcast(true)), offer, "10.0.0.9:68", nil},
		{"a refusal to everybody, since the client may not use its address", client(q, having("10.0.0.9")), nak, "255.255.255.255:68", nil},
		{"to everybody where the client asks for that", client(d, dhcpv4.WithBroadcast(true)), offer, "255.255.255.255:68", nil},
		{"to the hardware address of a client that has no address yet", client(d), offer, "10.0.0.9:68", hw},
		{"to everybody where there is no address to send to", client(dhcpv4.MessageTypeInform), inform, "255.255.255.255:68", nil},
		{"to everybody where the hardware is no Ethernet", client(d, dhcpv4.WithHwAddr(make(net.HardwareAddr, 8))), offer, "255.255.255.255:68", nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := destinationOf(c.pkt, c.reply)
			if got.To.String() != c.to || got.Hardware.String() != c.hardware.String() {
				t.Errorf("got %s (%s); want %s (%s)", got.To, got.Hardware, c.to, c.hardware)
			}
		})
	}
}

// TestFramesAreWhatAnotherImplementationWrites compares our headers and checksums with gopacket's.
func TestFramesAreWhatAnotherImplementationWrites(t *testing.T) {
	from, to := netip.MustParseAddrPort("172.31.0.1:67"), netip.MustParseAddrPort("172.31.0.10:68")
	payloads := [][]byte{nil, {1}, {0xff, 0xff}, []byte("odd length"), client(dhcpv4.MessageTypeDiscover).ToBytes()}
	for i := range 1 << 12 { // some of these sum up to zero, which is written as all ones (RFC 768)
		payloads = append(payloads, []byte{byte(i >> 4), byte(i << 4)})
	}
	for _, payload := range payloads {
		ip4 := &layers.IPv4{
			Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, Flags: layers.IPv4DontFragment,
			SrcIP: from.Addr().AsSlice(), DstIP: to.Addr().AsSlice(),
		}
		udp := &layers.UDP{SrcPort: 67, DstPort: 68}
		if err := udp.SetNetworkLayerForChecksum(ip4); err != nil {
			t.Fatal(err)
		}
		b := gopacket.NewSerializeBuffer()
		if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ip4, udp, gopacket.Payload(payload)); err != nil {
			t.Fatal(err)
		}
		got := packetTo(from, to, payload)
		if got[26] == 0 && got[27] == 0 {
			t.Fatalf("payload % x: got no UDP checksum", payload)
		}
		if udp.Checksum == 0 {
			continue // gopacket leaves zero, which means none
		}
		if diff := cmp.Diff(b.Bytes(), got); diff != "" {
			t.Fatalf("payload % x, got + / want -:\n%s", payload, diff)
		}
	}
}

func TestAnswersOfTheBootServerGoBackToWhoAsked(t *testing.T) {
	otherwise := netip.MustParseAddrPort("255.255.255.255:68")
	const q = dhcpv4.MessageTypeRequest
	for _, c := range []struct {
		name, asker string
		pkt         *dhcpv4.DHCPv4
		want        string
	}{
		{"to the port that it came from", "172.31.0.9:4011", client(q, having("172.31.0.9")), "172.31.0.9:4011"},
		{"a client that leaves its address out of the packet", "172.31.0.9:68", client(q), "172.31.0.9:68"},
		{"a client without an address", "0.0.0.0:68", client(q), "255.255.255.255:68"},
		{"a sender that is not who the packet says", "10.0.0.66:53", client(q, having("172.31.0.9")), "255.255.255.255:68"},
		{"a relay agent", "10.1.0.1:67", client(q, relayed("10.1.0.1")), "255.255.255.255:68"},
	} {
		if got := bootDestination(c.pkt, netip.MustParseAddrPort(c.asker), otherwise).String(); got != c.want {
			t.Errorf("%s: got %s; want %s", c.name, got, c.want)
		}
	}
}
