package dhcp6

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

var netips = cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})

func TestQuestionsReadOutOfPackets(t *testing.T) {
	const solicit = dhcpv6.MessageTypeSolicit
	id := "00020000ab110102030405060708"
	peer := linkLocal.String()
	cases := []struct {
		name   string
		packet *Packet
		want   Query
	}{
		{"a client of our own link", client(solicit, na(1)),
			Query{Client: id, MAC: mac, Link: ours, IAs: []IA{{Kind: Address, IAID: 1}}}},
		{"one that names an address and a prefix", client(solicit, na(1, "fd00:31::5", "fd00:31::6"), pd(2, "fd00:40::/56")),
			Query{Client: id, MAC: mac, Link: ours, IAs: []IA{
				{Address, 1, []netip.Prefix{one("fd00:31::5"), one("fd00:31::6")}}, {Prefix, 2, []netip.Prefix{network("fd00:40::/56")}}}}},
		{"one that wants a prefix of some length", client(solicit, pd(2, "::/60")),
			Query{Client: id, MAC: mac, Link: ours, IAs: []IA{{Prefix, 2, []netip.Prefix{network("::/60")}}}}},
		{"one that does not say who it is", client(dhcpv6.MessageTypeInformationRequest, nameless),
			Query{MAC: mac, Link: ours}},
		{"one behind a relay agent", client(solicit, relayed("fd00:9::1", peer)),
			Query{Client: id, MAC: mac, Link: ip("fd00:9::1"), Relay: ip("fd00:9::1")}},
		{"one behind two: the one next to it tells the link", client(solicit, relayed("fd00:9::1", peer), relayed("fd00:8::1", "fd00:9::1")),
			Query{Client: id, MAC: mac, Link: ip("fd00:9::1"), Relay: ip("fd00:9::1")}},
		{"one behind a switch that relays (RFC 6221): the next agent tells the link", client(solicit, relayed("::", peer), relayed("fd00:8::1", peer)),
			Query{Client: id, MAC: mac, Link: ip("fd00:8::1"), Relay: ip("fd00:8::1")}},
		{"one behind a switch of our own link", client(solicit, relayed("::", peer)),
			Query{Client: id, MAC: mac, Link: ours, Relay: ip("fd00:99::1")}},
		{"an agent that tells its link-local address", client(solicit, relayed("fe80::9", peer)),
			Query{Client: id, MAC: mac, Link: ours, Relay: ip("fd00:99::1")}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p, err := Unwrap(wireOf(c.packet))
			if err != nil {
				t.Fatal(err)
			}
			p.From, p.To, p.IfIndex = c.packet.From, c.packet.To, c.packet.IfIndex
			c.want.Ours, c.want.IfIndex = ours, 2
			if diff := cmp.Diff(c.want, p.Query(ours), netips, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAMessageAsksForSoMuchAndNoMore(t *testing.T) {
	p := client(dhcpv6.MessageTypeSolicit)
	for i := range uint32(100) {
		na(i)(p)
	}
	if got := len(p.Query(ours).IAs); got != maxIAs {
		t.Errorf("got %d IAs; want %d", got, maxIAs)
	}
}

func TestTheMACIsThatOfTheInterfaceThatAsks(t *testing.T) {
	other := []byte{2, 0, 0, 0, 0, 9}
	duid := func(id dhcpv6.DUID) change {
		return func(p *Packet) { p.Message.UpdateOption(dhcpv6.OptClientID(id)) }
	}
	private := func(p *Packet) { p.From = netip.AddrPortFrom(ip("fe80::1234:5678:9abc:def0"), clientPort) }
	solicit := func(changes ...change) *Packet { return client(dhcpv6.MessageTypeSolicit, changes...) }
	cases := []struct {
		name   string
		packet *Packet
		want   metal.MAC
	}{
		{"a link-local address made of it", solicit(), mac},
		{"and not the one that the host's DUID was made of", solicit(duid(&dhcpv6.DUIDLL{HWType: iana.HWTypeEthernet, LinkLayerAddr: other})), mac},
		{"a random link-local address, and a DUID-LL", solicit(private, duid(&dhcpv6.DUIDLL{HWType: iana.HWTypeEthernet, LinkLayerAddr: other})), "02:00:00:00:00:09"},
		{"a random link-local address, and a DUID-LLT", solicit(private, duid(&dhcpv6.DUIDLLT{HWType: iana.HWTypeEthernet, LinkLayerAddr: other})), "02:00:00:00:00:09"},
		{"a random link-local address, and a DUID that tells none", solicit(private), ""},
		{"what the relay agent saw", solicit(relayed("fd00:9::1", "fe80::1234:5678:9abc:def0", dhcpv6.OptClientLinkLayerAddress(iana.HWTypeEthernet, other))), "02:00:00:00:00:09"},
		{"what only the agent next to the client may know", solicit(relayed("fd00:9::1", linkLocal.String()), relayed("fd00:8::1", "fe80::1", dhcpv6.OptClientLinkLayerAddress(iana.HWTypeEthernet, other))), mac},
		{"the client's address as the relay agent tells it", solicit(relayed("fd00:9::1", linkLocal.String())), mac},
		{"an address that is no Ethernet one", solicit(relayed("fd00:9::1", linkLocal.String(), dhcpv6.OptClientLinkLayerAddress(iana.HWTypeInfiniband, other))), mac},
		{"a group address is nobody's", solicit(private, duid(&dhcpv6.DUIDLL{HWType: iana.HWTypeEthernet, LinkLayerAddr: []byte{1, 0, 0, 0, 0, 9}})), ""},
		{"a client without any", solicit(private, nameless), ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := c.packet.mac(); got != c.want {
				t.Errorf("got %q; want %q", got, c.want)
			}
		})
	}
}

func TestAReplyGoesBackThroughEveryRelayAgent(t *testing.T) {
	port := dhcpv6.OptRelayPort(0)
	p := client(dhcpv6.MessageTypeSolicit, na(1),
		relayed("fd00:9::1", linkLocal.String(), dhcpv6.OptInterfaceID([]byte("vlan7")), dhcpv6.OptClientLinkLayerAddress(iana.HWTypeEthernet, []byte{2, 0, 0, 0, 0, 9})),
		relayed("fd00:8::1", "fd00:9::1", &dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionEchoRequest, OptionData: []byte{0, 38, 0, 9, 0, 40}},
			&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionRelayAgentSubscriberID, OptionData: []byte("acme")}, port))
	read, err := dhcpv6.RelayMessageFromBytes(p.Wrap(Respond(p, view(), now).Reply))
	if err != nil {
		t.Fatal(err)
	}
	if read.MessageType != dhcpv6.MessageTypeRelayReply || read.HopCount != 1 || read.LinkAddr.String() != "fd00:8::1" || read.PeerAddr.String() != "fd00:9::1" {
		t.Errorf("the first agent gets %s; want its own header back", read)
	}
	if got := read.GetOneOption(dhcpv6.OptionRelayAgentSubscriberID); got == nil || string(got.ToBytes()) != "acme" {
		t.Errorf("got %v; want the option that the agent asks back", got)
	}
	if read.Options.RelayPort() == nil || len(read.Options.Get(dhcpv6.OptionRelayMsg)) != 1 {
		t.Errorf("got %s; want the port option and one message", read.Summary())
	}
	inner := read.Options.RelayMessage().(*dhcpv6.RelayMessage)
	if inner.HopCount != 0 || inner.LinkAddr.String() != "fd00:9::1" || inner.PeerAddr.String() != linkLocal.String() {
		t.Errorf("the second agent gets %s; want its own header back", inner)
	}
	if got := string(inner.Options.InterfaceID()); got != "vlan7" {
		t.Errorf("got interface %q; want vlan7", got)
	}
	if inner.GetOneOption(dhcpv6.OptionClientLinkLayerAddr) != nil {
		t.Error("the client's address is sent back, and nobody asked for it")
	}
	if got := inner.Options.RelayMessage().Type(); got != dhcpv6.MessageTypeAdvertise {
		t.Errorf("got %s for the client; want the ADVERTISE", got)
	}
}

func TestRepliesGoWhereTheRFCsSay(t *testing.T) {
	solicit := dhcpv6.MessageTypeSolicit
	from := func(s string) change { return func(p *Packet) { p.From = netip.MustParseAddrPort(s) } }
	for _, c := range []struct {
		name   string
		packet *Packet
		want   string
	}{
		{"a client", client(solicit), "[fe80::5054:ff:fe00:1]:546"},
		{"a client that sends from an odd port", client(solicit, from("[fe80::7]:40000")), "[fe80::7]:546"},
		{"a relay agent", client(solicit, relayed("fd00:9::1", "fe80::7")), "[fd00:99::1]:547"},
		{"a relay agent that sends from an odd port", client(solicit, relayed("fd00:9::1", "fe80::7"), from("[fd00:9::1]:40000")), "[fd00:9::1]:547"},
		{"a relay agent that wants its port back", client(solicit, relayed("fd00:9::1", "fe80::7", dhcpv6.OptRelayPort(0)), from("[fd00:9::1]:40000")), "[fd00:9::1]:40000"},
	} {
		if got := c.packet.Destination().String(); got != c.want {
			t.Errorf("%s: got %s; want %s", c.name, got, c.want)
		}
	}
}

func TestDatagramsThatAreNotForAServer(t *testing.T) {
	deep := client(dhcpv6.MessageTypeSolicit)
	for range maxRelays + 1 {
		relayed("fd00:9::1", "fe80::7")(deep)
	}
	wire := wireOf(client(dhcpv6.MessageTypeSolicit, na(1)))
	toAgent := wireOf(client(dhcpv6.MessageTypeSolicit, relayed("fd00:9::1", "fe80::7")))
	toAgent[0] = byte(dhcpv6.MessageTypeRelayReply)
	for _, c := range []struct {
		name string
		wire []byte
	}{
		{"nothing", nil},
		{"half a header", wire[:3]},
		{"half an option", wire[:len(wire)-1]},
		{"an agent's header alone", bytes.Repeat([]byte{12}, 34)},
		{"half an agent's header", []byte{12, 0, 0}},
		{"a server's answer to an agent", toAgent},
		{"more agents than there may be", wireOf(deep)},
	} {
		if p, err := Unwrap(c.wire); err == nil {
			t.Errorf("%s: got %+v; want an error", c.name, p)
		}
	}
}

func TestTheClientIsFoundWithoutReadingTheRest(t *testing.T) {
	id := clientDUID.ToBytes()
	deepest := client(dhcpv6.MessageTypeSolicit, na(1))
	for range maxRelays {
		relayed("fd00:9::1", "fe80::7", dhcpv6.OptInterfaceID([]byte("x")))(deepest)
	}
	tooDeep := client(dhcpv6.MessageTypeSolicit)
	for range maxRelays + 1 {
		relayed("fd00:9::1", "fe80::7")(tooDeep)
	}
	for _, c := range []struct {
		name   string
		packet *Packet
		want   []byte
	}{
		{"a client", client(dhcpv6.MessageTypeSolicit), id},
		{"one behind an agent", client(dhcpv6.MessageTypeSolicit, relayed("fd00:9::1", "fe80::7")), id},
		{"one behind as many as there may be", deepest, id},
		{"one behind more", tooDeep, nil},
		{"one that does not say", client(dhcpv6.MessageTypeInformationRequest, nameless), nil},
	} {
		if got := duidOf(wireOf(c.packet)); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %x; want %x", c.name, got, c.want)
		}
	}
}
