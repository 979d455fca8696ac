package dhcp

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func relayed(by string) dhcpv4.Modifier { return dhcpv4.WithGatewayIP(ip(by).AsSlice()) }

func TestTheQueryTellsTheClientsNetwork(t *testing.T) {
	const (
		d, q     = dhcpv4.MessageTypeDiscover, dhcpv4.MessageTypeRequest
		link     = "\x05\x04\x0a\x02\x00\x00"
		selected = "\x0a\x03\x00\x00"
	)
	everybody := ip("255.255.255.255")
	cases := []struct {
		name        string
		pkt         *dhcpv4.DHCPv4
		to          netip.Addr
		via, wanted string
	}{
		{"a broadcast is from our own network", client(d), everybody, "172.31.0.1", ""},
		{"a hint is wanted", client(d, wanting("172.31.0.9")), everybody, "172.31.0.1", "172.31.0.9"},
		{"a relay agent tells its network", client(d, relayed("10.1.0.1")), ours, "10.1.0.1", ""},
		{"a client that rebinds by broadcast is here, whatever address it has", client(q, having("10.1.0.9")), everybody, "172.31.0.1", "10.1.0.9"},
		{"a client that renews past the relay agent is where its address is", client(q, having("10.1.0.9")), ours, "10.1.0.9", "10.1.0.9"},
		{"a relay agent knows better than the client's address", client(q, relayed("10.1.0.1"), having("10.2.0.9")), ours, "10.1.0.1", "10.2.0.9"},
		{"a relay agent selects the network", client(d, relayed("10.1.0.1"), saying(82, link)), ours, "10.2.0.0", ""},
		{"a client without a relay agent cannot speak for one", client(d, saying(82, link)), everybody, "172.31.0.1", ""},
		{"a client selects the network", client(d, saying(118, selected)), everybody, "10.3.0.0", ""},
		{"a client selects the network behind a relay agent", client(d, relayed("10.1.0.1"), saying(118, selected)), ours, "10.3.0.0", ""},
		{"the relay agent's selection is the better one", client(d, relayed("10.1.0.1"), saying(82, link), saying(118, selected)), ours, "10.2.0.0", ""},
		{"a selection of nothing", client(d, relayed("10.1.0.1"), saying(82, "\x05\x04\x00\x00\x00\x00"), saying(118, "\x0a")), ours, "10.1.0.1", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			want := Query{MAC: "52:54:00:00:00:01", Client: "52:54:00:00:00:01", Via: ip(c.via), Ours: ours, Relay: address(c.pkt.GatewayIPAddr)}
			if c.wanted != "" {
				want.Wanted = ip(c.wanted)
			}
			if diff := cmp.Diff(want, queryOf(c.pkt, c.to, ours), equateIPs); diff != "" {
				t.Errorf("got + / want -:\n%s", diff)
			}
		})
	}
}

func TestTheQueryTellsWhereTheClientIsAttached(t *testing.T) {
	for said, want := range map[string][2]string{
		"\x01\x04eth1\x02\x03abc": {"65746831", "616263"}, "\x02\x01a": {"", "61"}, "\x01\x00": {"", ""}, "\x01\x05eth1": {"", ""},
		"\x02\x03abc\x01": {"", "616263"}, "\x09\x02zz\x01\x01a\x01\x01b": {"61", ""}, "": {"", ""},
	} {
		q := queryOf(client(dhcpv4.MessageTypeDiscover, saying(82, said)), ours, ours)
		if got := [2]string{q.Circuit, q.Remote}; got != want {
			t.Errorf("option 82 %q: got circuit and remote %q; want %q", said, got, want)
		}
	}
}

func TestPacketsThatNobodyShouldSend(t *testing.T) {
	change := func(act func(*dhcpv4.DHCPv4)) *dhcpv4.DHCPv4 {
		pkt := client(dhcpv4.MessageTypeDiscover)
		act(pkt)
		return pkt
	}
	cases := []struct {
		name string
		pkt  *dhcpv4.DHCPv4
		fit  bool
	}{
		{"a client's", client(dhcpv4.MessageTypeDiscover), true},
		{"a relay agent's", client(dhcpv4.MessageTypeDiscover, relayed("10.1.0.1")), true},
		{"one after 16 relay agents", change(func(d *dhcpv4.DHCPv4) { d.HopCount = 16 }), true},
		{"one after 17", change(func(d *dhcpv4.DHCPv4) { d.HopCount = 17 }), false},
		{"a relay agent with our own address", client(dhcpv4.MessageTypeDiscover, relayed("172.31.0.1")), false},
		{"a relay agent that is everybody", client(dhcpv4.MessageTypeDiscover, relayed("255.255.255.255")), false},
		{"a relay agent that is a group", client(dhcpv4.MessageTypeDiscover, relayed("224.0.0.1")), false},
		{"a relay agent on the loopback", client(dhcpv4.MessageTypeDiscover, relayed("127.0.0.1")), false},
		{"a reply", change(func(d *dhcpv4.DHCPv4) { d.OpCode = dhcpv4.OpcodeBootReply }), false},
		{"a hardware address that is a group's", change(func(d *dhcpv4.DHCPv4) { d.ClientHWAddr = []byte{1, 0, 0, 0, 0, 1} }), false},
		{"no hardware address", change(func(d *dhcpv4.DHCPv4) { d.ClientHWAddr = make([]byte, 6) }), false},
		{"a short hardware address", change(func(d *dhcpv4.DHCPv4) { d.ClientHWAddr = []byte{2} }), false},
		{"hardware that is no Ethernet", change(func(d *dhcpv4.DHCPv4) { d.ClientHWAddr = make([]byte, 16) }), false},
	}
	for _, c := range cases {
		if got := unfit(c.pkt, ours); (got == "") != c.fit {
			t.Errorf("%s: got %q; want it answered: %v", c.name, got, c.fit)
		}
	}
}

func TestARelayAgentsServerIdentifierTakesThePlaceOfOurs(t *testing.T) {
	const override = "\x0b\x04\x0a\x01\x00\x01"
	agent := []dhcpv4.Modifier{relayed("10.1.0.1"), saying(82, override)}
	with := func(options ...dhcpv4.Modifier) []dhcpv4.Modifier { return append(options, agent...) }
	cases := []struct {
		name string
		pkt  *dhcpv4.DHCPv4
		want string // option 54
		kind dhcpv4.MessageType
	}{
		{"an offer", client(dhcpv4.MessageTypeDiscover, agent...), "10.1.0.1", dhcpv4.MessageTypeOffer},
		{"a request that names it", client(dhcpv4.MessageTypeRequest, with(choosing("10.1.0.1"), wanting("172.31.0.150"))...), "10.1.0.1", dhcpv4.MessageTypeAck},
		{"a request that names us", client(dhcpv4.MessageTypeRequest, with(choosing("172.31.0.1"), wanting("172.31.0.150"))...), "10.1.0.1", dhcpv4.MessageTypeAck},
		{"a refusal", client(dhcpv4.MessageTypeRequest, with(choosing("10.1.0.1"), wanting("172.31.0.151"))...), "10.1.0.1", dhcpv4.MessageTypeNak},
		{"without a relay agent it is the client's invention", client(dhcpv4.MessageTypeDiscover, saying(82, override)), "172.31.0.1", dhcpv4.MessageTypeOffer},
	}
	for _, c := range cases {
		r := decided(t, c.pkt, view(offered))
		if got := r.ServerIdentifier().String(); got != c.want || r.MessageType() != c.kind {
			t.Errorf("%s: got %s from %s; want %s from %s", c.name, r.MessageType(), got, c.kind, c.want)
		}
	}
	other := client(dhcpv4.MessageTypeRequest, with(choosing("10.1.0.2"), wanting("172.31.0.150"))...)
	if got := outcomeOf(Respond(other, view(offered), now)); got != (outcome{Drop: "172.31.0.150"}) {
		t.Errorf("got %+v for a client of another server; want our offer taken back", got)
	}
	// Our files are still where we are, and not at the relay agent's.
	boots := decided(t, client(dhcpv4.MessageTypeDiscover, append(firmware("BIOS PXE"), agent...)...), view())
	if got := boots.ServerIPAddr.String() + " " + boots.TFTPServerName(); got != "172.31.0.1 172.31.0.1" {
		t.Errorf("got boot server %s; want ours", got)
	}
}

func TestALeaseTellsWhereItsClientIs(t *testing.T) {
	const circuit = "\x01\x04eth1\x02\x03abc"
	agent := []dhcpv4.Modifier{relayed("10.1.0.1"), saying(82, circuit)}
	fresh := Respond(client(dhcpv4.MessageTypeRequest, append(agent, wanting("172.31.0.150"))...), view(offered), now).Lease
	if fresh.Relay != ip("10.1.0.1") || fresh.Circuit != "65746831" || fresh.Remote != "616263" || !fresh.StartedAt.Equal(now) {
		t.Errorf("got %+v; want relay agent, circuit, remote id and a beginning now", fresh)
	}
	held := func(until time.Time) func(*View) {
		return func(v *View) { l := *fresh; l.ExpiresAt = until; v.Lease, v.LeaseFree = &l, true }
	}
	later := now.Add(time.Minute)
	cases := []struct {
		name  string
		pkt   *dhcpv4.DHCPv4
		until time.Time
		want  metal.Lease
	}{
		{"a renewal past the relay agent keeps what that told", client(dhcpv4.MessageTypeRequest, having("172.31.0.150")), later.Add(time.Minute),
			metal.Lease{Relay: ip("10.1.0.1"), Circuit: "65746831", Remote: "616263", StartedAt: now}},
		{"a renewal by another relay agent tells anew", client(dhcpv4.MessageTypeRequest, having("172.31.0.150"), relayed("10.1.0.2")), later.Add(time.Minute),
			metal.Lease{Relay: ip("10.1.0.2"), StartedAt: now}},
		{"a lease that ran out begins anew", client(dhcpv4.MessageTypeRequest, wanting("172.31.0.150")), now,
			metal.Lease{StartedAt: later}},
	}
	for _, c := range cases {
		got := Respond(c.pkt, view(held(c.until)), later).Lease
		if diff := cmp.Diff(c.want, metal.Lease{Relay: got.Relay, Circuit: got.Circuit, Remote: got.Remote, StartedAt: got.StartedAt}, equateIPs); diff != "" {
			t.Errorf("%s: got + / want -:\n%s", c.name, diff)
		}
	}
}

func TestASelectedSubnetIsRepeated(t *testing.T) {
	r := decided(t, client(dhcpv4.MessageTypeDiscover, saying(118, "\xac\x1f\x00\x00")), view())
	if got := string(r.Options[118]); got != "\xac\x1f\x00\x00" {
		t.Errorf("got option 118 %q; want it repeated (RFC 3011, 3)", got)
	}
}
