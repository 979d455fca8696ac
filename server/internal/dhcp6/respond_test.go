package dhcp6

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestEveryMessageGetsTheAnswerOfTheRFC(t *testing.T) {
	const (
		solicit, request, confirm = dhcpv6.MessageTypeSolicit, dhcpv6.MessageTypeRequest, dhcpv6.MessageTypeConfirm
		renew, rebind             = dhcpv6.MessageTypeRenew, dhcpv6.MessageTypeRebind
		release, decline          = dhcpv6.MessageTypeRelease, dhcpv6.MessageTypeDecline
		information               = dhcpv6.MessageTypeInformationRequest
	)
	us := choosing(serverDUID)
	cases := []struct {
		name   string
		packet *Packet
		view   View
		reply  string // empty: silence
		keep   string
		drop   string
		fault  bool
	}{
		// 18.3.1 and 18.3.9, SOLICIT
		{name: "a machine is offered its own address, and nothing is stored", packet: client(solicit, na(1)), view: view(machine),
			reply: "ADVERTISE; na1 fd00:31::10/600"},
		{name: "a machine is offered its own address whatever it asks for", packet: client(solicit, na(1, "fd00:31::150")), view: view(machine),
			reply: "ADVERTISE; na1 fd00:31::10/600"},
		{name: "a stranger is offered a free address, held for half a minute", packet: client(solicit, na(1)), view: view(),
			reply: "ADVERTISE; na1 fd00:31::100/600", keep: "fd00:31::100 offered 30"},
		{name: "a client is offered what it holds, and keeps its longer hold", packet: client(solicit, na(1)), view: view(active),
			reply: "ADVERTISE; na1 fd00:31::150/600"},
		{name: "a client that asks again is held the same offer anew", packet: client(solicit, na(1)), view: view(offered),
			reply: "ADVERTISE; na1 fd00:31::150/600", keep: "fd00:31::150 offered 30"},
		{name: "a client that returns is offered its old address", packet: client(solicit, na(1)), view: view(expired),
			reply: "ADVERTISE; na1 fd00:31::150/600", keep: "fd00:31::150 offered 30"},
		{name: "an old address that another has is not offered", packet: client(solicit, na(1)), view: view(lost),
			reply: "ADVERTISE; na1 fd00:31::100/600", keep: "fd00:31::100 offered 30"},
		{name: "a declined address is not offered again", packet: client(solicit, na(1)), view: view(declined),
			reply: "ADVERTISE; na1 fd00:31::100/600", keep: "fd00:31::100 offered 30"},
		{name: "a router is offered an address and a prefix", packet: client(solicit, na(1), pd(2)), view: view(),
			reply: "ADVERTISE; na1 fd00:31::100/600; pd2 fd00:40:0:100::/56/600", keep: "fd00:31::100 offered 30; fd00:40:0:100::/56 offered 30"},
		{name: "a machine that is a router too gets a prefix beside its own address", packet: client(solicit, na(1), pd(2)), view: view(machine),
			reply: "ADVERTISE; na1 fd00:31::10/600; pd2 fd00:40:0:100::/56/600", keep: "fd00:40:0:100::/56 offered 30"},
		{name: "a full subnet says so of each IA, and is a fault", packet: client(solicit, na(1), pd(2)), view: view(full),
			reply: "ADVERTISE; na1 NoAddrsAvail; pd2 NoPrefixAvail", fault: true},
		{name: "a full subnet still serves machines", packet: client(solicit, na(1)), view: view(full, machine),
			reply: "ADVERTISE; na1 fd00:31::10/600"},
		{name: "temporary addresses are refused", packet: client(solicit, na(1), ta(7)), view: view(),
			reply: "ADVERTISE; na1 fd00:31::100/600; ta7 NoAddrsAvail", keep: "fd00:31::100 offered 30"},
		{name: "rapid commit gives at once", packet: client(solicit, na(1), rapidly), view: view(),
			reply: "REPLY; na1 fd00:31::100/600", keep: "fd00:31::100 active 600"},
		{name: "a solicit that asks for nothing is not answered", packet: client(solicit), view: view()},
		{name: "a solicit without a client is not answered", packet: client(solicit, nameless, na(1)), view: view()},
		{name: "a solicit to one server is not answered", packet: client(solicit, us, na(1)), view: view()},
		{name: "a solicit to our own address is not answered", packet: client(solicit, na(1), unicast), view: view()},

		// 18.3.2, REQUEST
		{name: "a machine is given its own address, and nothing is stored", packet: client(request, us, na(1, "fd00:31::10")), view: view(machine),
			reply: "REPLY; na1 fd00:31::10/600"},
		{name: "what was offered is given", packet: client(request, us, na(1, "fd00:31::150")), view: view(offered),
			reply: "REPLY; na1 fd00:31::150/600", keep: "fd00:31::150 active 600"},
		{name: "the same request again gives the same", packet: client(request, us, na(1, "fd00:31::150")), view: view(active),
			reply: "REPLY; na1 fd00:31::150/600", keep: "fd00:31::150 active 600"},
		{name: "where the offer is gone, what is free is given", packet: client(request, us, na(1, "fd00:31::150")), view: view(),
			reply: "REPLY; na1 fd00:31::100/600", keep: "fd00:31::100 active 600"},
		{name: "an address of another link is refused", packet: client(request, us, na(1, "fd00:77::1")), view: view(offered),
			reply: "REPLY; na1 NotOnLink"},
		{name: "a prefix is given", packet: client(request, us, pd(1), pd(2, "fd00:40:0:200::/56")), view: view(full, delegated),
			reply: "REPLY; pd1 NoPrefixAvail; pd2 fd00:40:0:200::/56/600", keep: "fd00:40:0:200::/56 active 600", fault: true},
		{name: "what the client takes from another is free again", packet: client(request, choosing(otherDUID), na(1)), view: view(offered),
			drop: "fd00:31::150 offered 20"},
		{name: "what the client holds is not freed by that", packet: client(request, choosing(otherDUID), na(1)), view: view(active)},
		{name: "a request to our own address is to be sent again", packet: client(request, us, na(1), unicast), view: view(offered),
			reply: "REPLY; UseMulticast"},
		{name: "a request to no server is not answered", packet: client(request, na(1)), view: view(offered)},
		{name: "a relay agent may send to our own address", packet: client(request, us, na(1), relayed("fd00:31::2", "fe80::1"), unicast), view: view(offered),
			reply: "REPLY; na1 fd00:31::150/600", keep: "fd00:31::150 active 600"},

		// 18.3.3, CONFIRM
		{name: "addresses of the link are confirmed, whoever gave them", packet: client(confirm, na(1, "fd00:31::99")), view: view(), reply: "REPLY; Success"},
		{name: "one address of another link is enough to refuse", packet: client(confirm, na(1, "fd00:31::99"), na(2, "fd00:77::1")), view: view(), reply: "REPLY; NotOnLink"},
		{name: "a confirmation of nothing is not answered", packet: client(confirm, na(1)), view: view()},
		{name: "prefixes are not confirmed", packet: client(confirm, pd(1, "fd00:77::/56")), view: view()},

		// 18.3.4, RENEW
		{name: "a lease is renewed", packet: client(renew, us, na(1, "fd00:31::150")), view: view(active),
			reply: "REPLY; na1 fd00:31::150/600", keep: "fd00:31::150 active 600"},
		{name: "a lease that has just expired is renewed where nobody has it", packet: client(renew, us, na(1, "fd00:31::150")), view: view(expired),
			reply: "REPLY; na1 fd00:31::150/600", keep: "fd00:31::150 active 600"},
		{name: "an address that has become another's ends, and a new one takes its place", packet: client(renew, us, na(1, "fd00:31::150")), view: view(lost),
			reply: "REPLY; na1 fd00:31::100/600 fd00:31::150/0", keep: "fd00:31::100 active 600"},
		{name: "and where there is none it only ends", packet: client(renew, us, na(1, "fd00:31::150")), view: view(lost, full),
			reply: "REPLY; na1 fd00:31::150/0"},
		{name: "and where the client names none it is told so", packet: client(renew, us, na(1)), view: view(lost, full),
			reply: "REPLY; na1 NoBinding"},
		{name: "an address that was declared since takes the place of the lease", packet: client(renew, us, na(1, "fd00:31::150")), view: view(machine, active),
			reply: "REPLY; na1 fd00:31::10/600 fd00:31::150/0"},
		{name: "a machine's own address is renewed", packet: client(renew, us, na(1, "fd00:31::10")), view: view(machine),
			reply: "REPLY; na1 fd00:31::10/600"},
		{name: "a prefix is renewed beside an IA that is unknown", packet: client(renew, us, na(1, "fd00:31::150"), pd(2, "fd00:40:0:200::/56")), view: view(delegated),
			reply: "REPLY; na1 NoBinding; pd2 fd00:40:0:200::/56/600", keep: "fd00:40:0:200::/56 active 600"},
		{name: "an offer is not renewed", packet: client(renew, us, na(1, "fd00:31::150")), view: view(offered), reply: "REPLY; na1 NoBinding"},
		{name: "a renewal that another is asked for is not answered", packet: client(renew, choosing(otherDUID), na(1, "fd00:31::150")), view: view(active)},
		{name: "a renewal to our own address is to be sent again", packet: client(renew, us, na(1), unicast), view: view(active), reply: "REPLY; UseMulticast"},

		// 18.3.5, REBIND
		{name: "a lease is rebound", packet: client(rebind, na(1, "fd00:31::150")), view: view(active),
			reply: "REPLY; na1 fd00:31::150/600", keep: "fd00:31::150 active 600"},
		{name: "what is not known and may be another server's is not answered", packet: client(rebind, na(1, "fd00:31::150")), view: view()},
		{name: "what is not known and of another link ends", packet: client(rebind, na(1, "fd00:77::1")), view: view(), reply: "REPLY; na1 fd00:77::1/0"},
		{name: "a prefix of nobody's knowledge may be another server's", packet: client(rebind, pd(1, "fd00:88::/56")), view: view()},
		{name: "a prefix of our pool with a length that we never give ends", packet: client(rebind, pd(1, "fd00:40::/48")), view: view(), reply: "REPLY; pd1 fd00:40::/48/0"},
		{name: "what is known is rebound beside what is not", packet: client(rebind, na(1, "fd00:31::150"), pd(2, "fd00:88::/56")), view: view(active),
			reply: "REPLY; na1 fd00:31::150/600", keep: "fd00:31::150 active 600"},
		{name: "a rebind to one server is not answered", packet: client(rebind, us, na(1, "fd00:31::150")), view: view(active)},

		// 18.3.7, RELEASE
		{name: "a lease is released, and remembered", packet: client(release, us, na(1, "fd00:31::150")), view: view(active),
			reply: "REPLY; Success", keep: "fd00:31::150 active 0"},
		{name: "the second copy of a release is answered alike", packet: client(release, us, na(1, "fd00:31::150")), view: view(expired), reply: "REPLY; Success"},
		{name: "a prefix is released", packet: client(release, us, na(1), pd(2, "fd00:40:0:200::/56")), view: view(delegated),
			reply: "REPLY; Success; na1 NoBinding", keep: "fd00:40:0:200::/56 active 0"},
		{name: "a machine's own address stays its own", packet: client(release, us, na(1, "fd00:31::10")), view: view(machine), reply: "REPLY; Success"},
		{name: "what is not held cannot be released", packet: client(release, us, na(1, "fd00:31::160")), view: view(active), reply: "REPLY; Success; na1 NoBinding"},

		// 18.3.8, DECLINE
		{name: "a declined address is in quarantine under nobody", packet: client(decline, us, na(1, "fd00:31::150")), view: view(active),
			reply: "REPLY; Success", keep: "fd00:31::150 declined 3600", drop: "fd00:31::150 active 300", fault: true},
		{name: "a machine's own address that is in use elsewhere is a fault", packet: client(decline, us, na(1, "fd00:31::10")), view: view(machine),
			reply: "REPLY; Success", fault: true},
		{name: "nobody declines what it does not hold", packet: client(decline, us, na(1, "fd00:31::160")), view: view(active), reply: "REPLY; Success; na1 NoBinding"},
		{name: "nobody declines twice", packet: client(decline, us, na(1, "fd00:31::150")), view: view(declined), reply: "REPLY; Success; na1 NoBinding"},

		// 18.3.6, INFORMATION-REQUEST
		{name: "who wants only settings gets them", packet: client(information), view: view(), reply: "REPLY"},
		{name: "and need not say who it is", packet: client(information, nameless), view: view(), reply: "REPLY"},
		{name: "and may name the server", packet: client(information, us), view: view(), reply: "REPLY"},
		{name: "but no other server", packet: client(information, choosing(otherDUID)), view: view()},
		{name: "and not ask for addresses", packet: client(information, na(1)), view: view()},
		{name: "and not send it to our own address", packet: client(information, unicast), view: view()},

		{name: "a network that is not ours is not answered", packet: client(solicit, na(1)), view: view(unserved)},
		{name: "a subnet whose DHCP is off is not answered", packet: client(solicit, na(1)), view: view(mode(metal.DHCPOff))},
		{name: "a subnet in proxy mode is not answered", packet: client(information), view: view(mode(metal.DHCPProxy))},
		{name: "what servers send is not for us", packet: client(dhcpv6.MessageTypeReply, us, na(1)), view: view()},
		{name: "what we never sent a RECONFIGURE for is not for us", packet: client(dhcpv6.MessageTypeReconfigure, us), view: view()},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for range 2 { // the same facts give the same answer
				a := Respond(c.packet, c.view, now)
				if got := said(a.Reply); got != c.reply {
					t.Errorf("got reply %q; want %q", got, c.reply)
				}
				if got := kept(a.Leases); got != c.keep {
					t.Errorf("got %q to keep; want %q", got, c.keep)
				}
				if got := kept(a.Drop); got != c.drop {
					t.Errorf("got %q to drop; want %q", got, c.drop)
				}
				if a.Fault != c.fault || a.Why == "" {
					t.Errorf("got fault %t for %q; want %t, and a reason", a.Fault, a.Why, c.fault)
				}
			}
		})
	}
}

func TestEveryReplyNamesWhoSpeaksToWhom(t *testing.T) {
	for _, p := range []*Packet{
		client(dhcpv6.MessageTypeSolicit, na(1)), client(dhcpv6.MessageTypeConfirm, na(1, "fd00:31::5")),
		client(dhcpv6.MessageTypeRelease, choosing(serverDUID), na(1)), client(dhcpv6.MessageTypeInformationRequest),
	} {
		m := Respond(p, view(), now).Reply
		if m.TransactionID != p.Message.TransactionID || !clientDUID.Equal(m.Options.ClientID()) || !serverDUID.Equal(m.Options.ServerID()) {
			t.Errorf("%s: got %s; want the client's transaction and identifier, and ours", p.Message.MessageType, m.Summary())
		}
	}
}

func TestTheClientRenewsAtHalfAndRebindsAtFourFifths(t *testing.T) {
	forever := time.Duration(math.MaxUint32) * time.Second
	for _, c := range []struct {
		name          string
		seconds       int
		t1, t2, valid time.Duration
	}{
		{"a subnet that says nothing", 0, 300 * time.Second, 480 * time.Second, 600 * time.Second},
		{"an hour", 3600, 30 * time.Minute, 48 * time.Minute, time.Hour},
		{"for ever", math.MaxUint32, forever, forever, forever},
		{"longer than for ever", math.MaxInt, forever, forever, forever},
	} {
		a := Respond(client(dhcpv6.MessageTypeRequest, choosing(serverDUID), na(1), pd(2)), view(forSeconds(c.seconds)), now)
		read, err := dhcpv6.MessageFromBytes(a.Reply.ToBytes())
		if err != nil {
			t.Fatal(err)
		}
		ia, prefix := read.Options.OneIANA(), read.Options.OneIAPD()
		if ia.T1 != c.t1 || ia.T2 != c.t2 || prefix.T1 != c.t1 || prefix.T2 != c.t2 {
			t.Errorf("%s: got T1 %s and T2 %s; want %s and %s", c.name, ia.T1, ia.T2, c.t1, c.t2)
		}
		addr := ia.Options.OneAddress()
		if addr.ValidLifetime != c.valid || addr.PreferredLifetime != c.valid {
			t.Errorf("%s: got lifetimes %s and %s; want %s", c.name, addr.PreferredLifetime, addr.ValidLifetime, c.valid)
		}
		if until := a.Leases[0].ExpiresAt; until.Before(now) || until.Year() > 3000 {
			t.Errorf("%s: the lease is stored until %s; want a date that a database takes", c.name, until)
		}
	}
}

func TestAnIAWithNothingInItHasNoTimes(t *testing.T) {
	m := Respond(client(dhcpv6.MessageTypeRebind, na(1, "fd00:77::1")), view(), now).Reply
	if ia := m.Options.OneIANA(); ia.T1 != 0 || ia.T2 != 0 {
		t.Errorf("got T1 %s and T2 %s; want none", ia.T1, ia.T2)
	}
}

func TestOnlyAClientWithItsOwnAddressNeedNotWaitForOtherServers(t *testing.T) {
	if got := Respond(client(dhcpv6.MessageTypeSolicit, na(1)), view(machine), now).Reply.Options.Preference(); got != 255 {
		t.Errorf("a machine: got preference %d; want 255", got)
	}
	if got := Respond(client(dhcpv6.MessageTypeSolicit, na(1)), view(), now).Reply.Options.Preference(); got != 0 {
		t.Errorf("a stranger: got preference %d; want 0", got)
	}
}

func TestRapidCommitIsSaidInTheReply(t *testing.T) {
	m := Respond(client(dhcpv6.MessageTypeSolicit, na(1), rapidly), view(), now).Reply
	if m.GetOneOption(dhcpv6.OptionRapidCommit) == nil {
		t.Errorf("got %s; want the option, without which the client drops the reply", m.Summary())
	}
}

func TestTwoIAsOfOneClientGetTwoAddresses(t *testing.T) {
	two := func(v *View) { v.Holds[1] = Hold{Free: one("fd00:31::101"), FreeIn: "rack6-b"} }
	same := func(v *View) { v.Holds[1] = v.Holds[0] }
	cases := []struct {
		name, want, keep string
		packet           *Packet
		view             View
	}{
		{"strangers", "ADVERTISE; na1 fd00:31::100/600; na2 fd00:31::101/600", "fd00:31::100 offered 30; fd00:31::101 offered 30",
			client(dhcpv6.MessageTypeSolicit, na(1), na(2)), view(two)},
		{"one address for both is given once", "ADVERTISE; na1 fd00:31::100/600; na2 NoAddrsAvail", "fd00:31::100 offered 30",
			client(dhcpv6.MessageTypeSolicit, na(1), na(2)), view(same)},
		{"a machine's own address goes to the first", "ADVERTISE; na1 fd00:31::10/600; na2 fd00:31::101/600", "fd00:31::101 offered 30",
			client(dhcpv6.MessageTypeSolicit, na(1), na(2)), view(two, machine)},
		{"or to that which has it already", "ADVERTISE; na1 fd00:31::100/600; na2 fd00:31::10/600", "fd00:31::100 offered 30",
			client(dhcpv6.MessageTypeSolicit, na(1), na(2, "fd00:31::10")), view(two, machine)},
		{"an IA that is there twice counts once", "ADVERTISE; na1 fd00:31::100/600", "fd00:31::100 offered 30",
			client(dhcpv6.MessageTypeSolicit, na(1), na(1)), view(two)},
		{"a store that knows nothing of the second", "ADVERTISE; na1 fd00:31::100/600; na2 NoAddrsAvail", "fd00:31::100 offered 30",
			client(dhcpv6.MessageTypeSolicit, na(1), na(2)), view(func(v *View) { v.Holds = v.Holds[:1] })},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			a := Respond(c.packet, c.view, now)
			if got := said(a.Reply); got != c.want {
				t.Errorf("got %q; want %q", got, c.want)
			}
			if got := kept(a.Leases); got != c.keep {
				t.Errorf("got %q to keep; want %q", got, c.keep)
			}
		})
	}
}

func TestAMachineWithAddressesInTwoSubnetsOfItsLinkGetsBoth(t *testing.T) {
	v := view(machine, func(v *View) { v.Assigned = append(v.Assigned, ip("2001:db8::10")) })
	want := "ADVERTISE; na1 fd00:31::10/600 2001:db8::10/600"
	if got := said(Respond(client(dhcpv6.MessageTypeSolicit, na(1)), v, now).Reply); got != want {
		t.Errorf("got %q; want %q", got, want)
	}
}

func TestALeaseSaysWhoHasItAndWhere(t *testing.T) {
	p := client(dhcpv6.MessageTypeRequest, choosing(serverDUID), pd(7), named(flagS, "printer.example.org"),
		relayed("fd00:31::2", linkLocal.String(), dhcpv6.OptInterfaceID([]byte("ge-0/0/1")), &dhcpv6.OptRemoteID{EnterpriseNumber: 1, RemoteID: []byte{0xab}}))
	v := view(func(v *View) { v.Holds[0] = v.Holds[1] })
	got := Respond(p, v, now).Leases[0]
	want := metal.Lease{
		Subnet: "rack6", Addr: ip("fd00:40:0:100::"), Bits: 56, MAC: mac, ClientID: "00020000ab110102030405060708", IAID: 7, Hostname: "printer",
		Relay: ip("fd00:31::2"), Circuit: "67652d302f302f31", Remote: "00000001ab", State: metal.LeaseActive, StartedAt: now, ExpiresAt: now.Add(10 * time.Minute),
	}
	if got != want {
		t.Errorf("got %+v; want %+v", got, want)
	}
}

func TestARenewedLeaseRemembersItsBeginning(t *testing.T) {
	p := client(dhcpv6.MessageTypeRenew, choosing(serverDUID), na(1, "fd00:31::150"))
	if got := Respond(p, view(active), now).Leases[0].StartedAt; !got.Equal(now.Add(-time.Hour)) {
		t.Errorf("got %s; want an hour ago", got)
	}
	if got := Respond(p, view(expired), now).Leases[0].StartedAt; !got.Equal(now) {
		t.Errorf("after it had expired: got %s; want now", got)
	}
}

func TestAFaultNamesWhatAPersonMustLookFor(t *testing.T) {
	for _, c := range []struct {
		name, want string
		packet     *Packet
		view       View
	}{
		{"a full subnet", "subnet rack6", client(dhcpv6.MessageTypeSolicit, na(1)), view(full)},
		{"an address in use", "fd00:31::150", client(dhcpv6.MessageTypeDecline, choosing(serverDUID), na(1, "fd00:31::150")), view(active)},
		{"a machine's address in use", "fd00:31::10", client(dhcpv6.MessageTypeDecline, choosing(serverDUID), na(1, "fd00:31::10")), view(machine)},
	} {
		if a := Respond(c.packet, c.view, now); !a.Fault || !strings.Contains(a.Why, c.want) {
			t.Errorf("%s: got fault %t, %q; want one that names %s", c.name, a.Fault, a.Why, c.want)
		}
	}
}
