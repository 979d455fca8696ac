package neighbour

import (
	"context"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/metalform/terraform-provider-metal/server/internal/netns"
)

var (
	testXID4   = [4]byte{1, 2, 3, 4}
	testXID6   = [3]byte{1, 2, 3}
	testClient = hardware{2, 0, 0, 0, 0, 0x77}
)

// offerFrame is an offer of 10.0.0.50 by 10.0.0.2, changed.
func offerFrame(change func(*dhcpv4.DHCPv4)) []byte {
	request, err := dhcpv4.FromBytes(discover(testXID4, testClient))
	if err != nil {
		panic(err)
	}
	m, err := dhcpv4.NewReplyFromRequest(request, dhcpv4.WithMessageType(dhcpv4.MessageTypeOffer),
		dhcpv4.WithYourIP(net.IPv4(10, 0, 0, 50)), dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(10, 0, 0, 2))))
	if err != nil {
		panic(err)
	}
	if change != nil {
		change(m)
	}
	return datagram4(they, serverPort4, clientPort4, m.ToBytes())
}

// advertiseFrame is an ADVERTISE of 2001:db8::50 by fe80::2, changed.
func advertiseFrame(change func(*dhcpv6.Message)) []byte {
	request, err := dhcpv6.MessageFromBytes(solicit(testXID6, testClient))
	if err != nil {
		panic(err)
	}
	m, err := dhcpv6.NewAdvertiseFromSolicit(request, dhcpv6.WithServerID(&dhcpv6.DUIDEN{EnterpriseNumber: 1}),
		dhcpv6.WithIANA(dhcpv6.OptIAAddress{IPv6Addr: net.ParseIP("2001:db8::50")}))
	if err != nil {
		panic(err)
	}
	if change != nil {
		change(m)
	}
	return datagram6(they, netip.MustParseAddrPort("[fe80::2]:547"), netip.MustParseAddrPort("[fe80::1]:546"), m.ToBytes())
}

func TestOffersAreJudged(t *testing.T) {
	found := &Rogue{Server: addr("10.0.0.2"), Hardware: they.mac(), Offered: addr("10.0.0.50")}
	tests := map[string]struct {
		change func(*dhcpv4.DHCPv4)
		want   *Rogue
	}{
		"an offer":                        {nil, found},
		"an offer of no address":          {func(m *dhcpv4.DHCPv4) { m.YourIPAddr = net.IPv4zero }, &Rogue{Server: addr("10.0.0.2"), Hardware: they.mac()}},
		"a server that names itself zero": {func(m *dhcpv4.DHCPv4) { m.UpdateOption(dhcpv4.OptServerIdentifier(net.IPv4zero)) }, &Rogue{Server: addr("0.0.0.0"), Hardware: they.mac(), Offered: addr("10.0.0.50")}},
		"a server without a name":         {func(m *dhcpv4.DHCPv4) { m.Options.Del(dhcpv4.OptionServerIdentifier) }, &Rogue{Server: addr("0.0.0.0"), Hardware: they.mac(), Offered: addr("10.0.0.50")}},
		"an offer to somebody else":       {func(m *dhcpv4.DHCPv4) { m.TransactionID[0]++ }, nil},
		"an offer to another card":        {func(m *dhcpv4.DHCPv4) { m.ClientHWAddr = net.HardwareAddr(we[:]) }, nil},
		"an ACK":                          {func(m *dhcpv4.DHCPv4) { m.UpdateOption(dhcpv4.OptMessageType(dhcpv4.MessageTypeAck)) }, nil},
		"a request":                       {func(m *dhcpv4.DHCPv4) { m.OpCode = dhcpv4.OpcodeBootRequest }, nil},
		"BOOTP":                           {func(m *dhcpv4.DHCPv4) { m.Options.Del(dhcpv4.OptionDHCPMessageType) }, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, ok := judgeOffer(offerFrame(test.change), testXID4, testClient)
			checkRogue(t, got, ok, test.want)
		})
	}
}

func TestAdvertisementsAreJudged(t *testing.T) {
	found := &Rogue{Server: addr("fe80::2"), Hardware: they.mac(), Offered: addr("2001:db8::50")}
	tests := map[string]struct {
		change func(*dhcpv6.Message)
		want   *Rogue
	}{
		"an ADVERTISE":               {nil, found},
		"no address to give":         {func(m *dhcpv6.Message) { m.Options.Del(dhcpv6.OptionIANA) }, &Rogue{Server: addr("fe80::2"), Hardware: they.mac()}},
		"an answer to somebody else": {func(m *dhcpv6.Message) { m.TransactionID[0]++ }, nil},
		"without the client's name":  {func(m *dhcpv6.Message) { m.Options.Del(dhcpv6.OptionClientID) }, nil},
		"with another client's name": {func(m *dhcpv6.Message) { m.UpdateOption(dhcpv6.OptClientID(&dhcpv6.DUIDEN{})) }, nil},
		"without the server's name":  {func(m *dhcpv6.Message) { m.Options.Del(dhcpv6.OptionServerID) }, nil},
		"a REPLY":                    {func(m *dhcpv6.Message) { m.MessageType = dhcpv6.MessageTypeReply }, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, ok := judgeAdvertise(advertiseFrame(test.change), testXID6, testClient)
			checkRogue(t, got, ok, test.want)
		})
	}
}

func checkRogue(t *testing.T, got Rogue, ok bool, want *Rogue) {
	t.Helper()
	switch {
	case ok != (want != nil):
		t.Errorf("got %+v, %v; want %+v", got, ok, want)
	case ok && got != *want:
		t.Errorf("got %+v; want %+v", got, *want)
	}
}

func TestOurOwnProbesCanBeRecognised(t *testing.T) {
	four, err := dhcpv4.FromBytes(discover(testXID4, testClient))
	if err != nil {
		t.Fatal(err)
	}
	if !four.IsBroadcast() || four.MessageType() != dhcpv4.MessageTypeDiscover {
		t.Errorf("got %s; want a DISCOVER with the broadcast flag", four.Summary())
	}
	six, err := dhcpv6.MessageFromBytes(solicit(testXID6, testClient))
	if err != nil {
		t.Fatal(err)
	}
	if six.GetOneOption(dhcpv6.OptionRapidCommit) != nil {
		t.Error("the SOLICIT asks for Rapid Commit")
	}
	d := NewDetector(1, nobody, nil)
	if d.client[0]&3 != 2 {
		t.Errorf("got the card %s; want a locally administered one", d.client.mac())
	}
	ids := map[string]struct {
		id   []byte
		want bool
	}{
		"DHCPv4":                   {four.Options.Get(dhcpv4.OptionClientIdentifier), true},
		"DHCPv6":                   {six.Options.ClientID().ToBytes(), true},
		"none":                     {nil, false},
		"a card":                   {[]byte{1, 0x52, 0x54, 0, 0, 0, 1}, false},
		"a DUID-LL with IAID":      {[]byte{255, 0, 0, 0, 1, 0, 3, 0, 1, 0x52, 0x54, 0, 0, 0, 1}, false},
		"the type of RFC 4361":     {[]byte{255, 0, 0, 0, 1}, false},
		"another enterprise":       {append([]byte{0, 2, 0, 0, 0, 9}, marker...), false},
		"another of the examples'": {[]byte{0, 2, 0, 0, 0x7e, 0xd9, 'x'}, false},
	}
	for name, test := range ids {
		if got := IsProbe(test.id); got != test.want {
			t.Errorf("%s: got %v; want %v", name, got, test.want)
		}
	}
}

func FuzzIsProbe(f *testing.F) {
	f.Add([]byte{255, 0, 0, 0, 1, 0, 2, 0, 0, 0x7e, 0xd9})
	f.Add(probeDUID(testClient[:]))
	f.Fuzz(func(t *testing.T, id []byte) {
		if IsProbe(id) && !strings.Contains(string(id), marker) {
			t.Errorf("%x is taken for a probe", id)
		}
	})
}

func TestDnsmasqIsFoundAsARogue(t *testing.T) {
	netns.Need(t, "dnsmasq")
	us, peer, link := pairOfHosts(t)
	// It pings what it offers, as it does unless told otherwise, which takes it 3 s.
	peer.Start(t, "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--user=root",
		"--interface=eth0", "--bind-interfaces", "--log-facility=-", "--log-dhcp", "--pid-file=", "--dhcp-leasefile="+filepath.Join(t.TempDir(), "leases"),
		"--dhcp-range=10.0.0.50,10.0.0.60,1h", "--dhcp-range=2001:db8::50,2001:db8::60,1h").Says(t, "sockets bound exclusively")

	var looked []Rogue
	first := NewDetector(link, nobody, nil)
	netns.Until(t, "one server is heard by DHCPv4 and one by DHCPv6", func() bool {
		us.Must(t, func() (err error) {
			looked, err = first.look(t.Context())
			return err
		})
		return len(looked) == 2
	})
	for i, want := range []struct{ server, first, last string }{
		{"10.0.0.2", "10.0.0.50", "10.0.0.60"}, {"fe80::5054:ff:fe00:2", "2001:db8::50", "2001:db8::60"},
	} {
		got := looked[i]
		if got.Offered.Less(addr(want.first)) || addr(want.last).Less(got.Offered) {
			t.Errorf("got the offer %s; want one from %s to %s", got.Offered, want.first, want.last)
		}
		got.Offered = netip.Addr{}
		if diff := cmp.Diff(Rogue{Link: link, Server: addr(want.server), Hardware: "52:54:00:00:00:02"}, got, cmp.Comparer(sameAddr)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}

	// The same servers, declared. It answers the same card at once now, since it remembers for 30 s what it pinged.
	heard := make(chan netip.Addr, 64)
	told := make(chan []Rogue, 64)
	d := NewDetector(link, func(a netip.Addr) bool { heard <- a; return true }, func(_ context.Context, rogues []Rogue) { told <- rogues })
	d.client = first.client
	ctx, cancel := context.WithCancel(t.Context())
	ended := background(us, func() error { return d.Run(ctx, time.Millisecond) })
	for missing := map[netip.Addr]bool{addr("10.0.0.2"): true, addr("fe80::5054:ff:fe00:2"): true}; len(missing) > 0; {
		select {
		case a := <-heard:
			delete(missing, a)
		case <-time.After(netns.Patience):
			t.Fatalf("waited %s for the answers of %v", netns.Patience, missing)
		}
	}
	if rogues := <-told; len(rogues) != 0 {
		t.Errorf("declared servers: got %+v; want none", rogues)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run: got %v; want nil", err)
	}
}

func TestTheDetectorEndsWithItsInterface(t *testing.T) {
	us, _, link := pairOfHosts(t)
	d := NewDetector(link, nobody, func(context.Context, []Rogue) {})
	d.patient = 20 * time.Millisecond
	ended := background(us, func() error { return d.Run(t.Context(), time.Millisecond) })
	us.Run(t, "ip link del eth0")
	select {
	case err := <-ended:
		if err == nil {
			t.Error("got nil; want an error")
		}
	case <-time.After(netns.Patience):
		t.Fatalf("waited %s for the end of Run", netns.Patience)
	}
}
