package dhcp

import (
	"bytes"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const base = "http://172.31.0.1:7080"

var (
	now       = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ours      = ip("172.31.0.1")
	hw        = net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1}
	equateIPs = cmpopts.EquateComparable(netip.Addr{})
)

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// client makes a client's packet; options follow.
func client(kind dhcpv4.MessageType, options ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	pkt, err := dhcpv4.New(append([]dhcpv4.Modifier{dhcpv4.WithHwAddr(hw), dhcpv4.WithMessageType(kind)}, options...)...)
	if err != nil {
		panic(err)
	}
	return pkt
}

func wanting(s string) dhcpv4.Modifier {
	return dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(ip(s).AsSlice()))
}
func having(s string) dhcpv4.Modifier { return dhcpv4.WithClientIP(ip(s).AsSlice()) }
func choosing(s string) dhcpv4.Modifier {
	return dhcpv4.WithOption(dhcpv4.OptServerIdentifier(ip(s).AsSlice()))
}
func saying(code uint8, value string) dhcpv4.Modifier {
	return dhcpv4.WithGeneric(dhcpv4.GenericOptionCode(code), []byte(value))
}

// view is a subnet with room; changes follow.
func view(changes ...func(*View)) View {
	v := View{
		Subnet: &metal.Subnet{Name: "rack", Spec: metal.SubnetSpec{
			CIDR: netip.MustParsePrefix("172.31.0.0/24"), Gateway: ip("172.31.0.254"),
			DHCP: metal.DHCPSpec{Mode: metal.DHCPAuthoritative, Ranges: []metal.AddrRange{{First: ip("172.31.0.100"), Last: ip("172.31.0.199")}}},
		}},
		Server: ours, Domain: "metal.test", BootURL: base, Free: ip("172.31.0.100"),
	}
	for _, change := range changes {
		change(&v)
	}
	return v
}

func machine(v *View) { v.Assigned, v.Hostname = ip("172.31.0.10"), "node-1" }
func full(v *View)    { v.Free = netip.Addr{} }
func leased(addr string, state metal.LeaseState, until time.Time, free bool) func(*View) {
	return func(v *View) {
		v.Lease, v.LeaseFree = &metal.Lease{Subnet: "rack", Addr: ip(addr), MAC: "52:54:00:00:00:01", State: state, ExpiresAt: until}, free
	}
}

var (
	active  = leased("172.31.0.150", metal.LeaseActive, now.Add(5*time.Minute), true)
	offered = leased("172.31.0.150", metal.LeaseOffered, now.Add(20*time.Second), true)
	expired = leased("172.31.0.150", metal.LeaseActive, now.Add(-time.Hour), true)
	lost    = leased("172.31.0.150", metal.LeaseActive, now.Add(-time.Hour), false)
)

// outcome is what the tables below say of an Answer.
type outcome struct {
	Reply dhcpv4.MessageType // none: silence
	Addr  string             // yiaddr
	State metal.LeaseState   // of the lease stored; none: nothing stored
	Until time.Duration      // from now on
	Drop  string
	Fault bool
}

func outcomeOf(a Answer) outcome {
	o := outcome{Fault: a.Fault}
	if a.Reply != nil {
		o.Reply = a.Reply.MessageType()
		if y := address(a.Reply.YourIPAddr); y.IsValid() {
			o.Addr = y.String()
		}
	}
	if a.Lease != nil {
		o.State, o.Until = a.Lease.State, a.Lease.ExpiresAt.Sub(now)
	}
	if a.Drop.IsValid() {
		o.Drop = a.Drop.String()
	}
	return o
}

func TestEveryMessageGetsTheAnswerOfTheRFC(t *testing.T) {
	const (
		discover, request = dhcpv4.MessageTypeDiscover, dhcpv4.MessageTypeRequest
		offer, ack, nak   = dhcpv4.MessageTypeOffer, dhcpv4.MessageTypeAck, dhcpv4.MessageTypeNak
	)
	var silence outcome
	refused := outcome{Reply: nak}
	cases := []struct {
		name string
		pkt  *dhcpv4.DHCPv4
		view View
		want outcome
	}{
		// 4.3.1, DISCOVER
		{"a machine is offered its own address, and nothing is stored", client(discover), view(machine), outcome{Reply: offer, Addr: "172.31.0.10"}},
		{"a machine is offered its own address whatever it asks for", client(discover, wanting("172.31.0.120")), view(machine), outcome{Reply: offer, Addr: "172.31.0.10"}},
		{"a stranger is offered a free address, held for half a minute", client(discover), view(), outcome{offer, "172.31.0.100", metal.LeaseOffered, offerLife, "", false}},
		{"a client is offered what it holds, and keeps its longer hold", client(discover), view(active), outcome{Reply: offer, Addr: "172.31.0.150"}},
		{"a client that asks again is held the same offer anew", client(discover), view(offered), outcome{offer, "172.31.0.150", metal.LeaseOffered, offerLife, "", false}},
		{"a client that returns is offered its old address", client(discover), view(expired), outcome{offer, "172.31.0.150", metal.LeaseOffered, offerLife, "", false}},
		{"an old address that another has is not offered", client(discover), view(lost), outcome{offer, "172.31.0.100", metal.LeaseOffered, offerLife, "", false}},
		{"a full subnet is silent, and a fault", client(discover), view(full), outcome{Fault: true}},
		{"a full subnet still serves whoever holds something", client(discover), view(full, active), outcome{Reply: offer, Addr: "172.31.0.150"}},
		{"a full subnet still serves machines", client(discover), view(full, machine), outcome{Reply: offer, Addr: "172.31.0.10"}},

		// 4.3.2, REQUEST after an OFFER (SELECTING)
		{"the offer is taken", client(request, choosing("172.31.0.1"), wanting("172.31.0.150")), view(offered), outcome{ack, "172.31.0.150", metal.LeaseActive, defaultLife, "", false}},
		{"a machine takes its address", client(request, choosing("172.31.0.1"), wanting("172.31.0.10")), view(machine), outcome{Reply: ack, Addr: "172.31.0.10"}},
		{"another address than offered is refused", client(request, choosing("172.31.0.1"), wanting("172.31.0.151")), view(offered), refused},
		{"a machine that takes another address is refused", client(request, choosing("172.31.0.1"), wanting("172.31.0.150")), view(machine), refused},
		{"an offer that nobody remembers is refused where another has the address", client(request, choosing("172.31.0.1"), wanting("172.31.0.150")), view(), refused},
		{"an offer that nobody remembers is honoured while the address is free", client(request, choosing("172.31.0.1"), wanting("172.31.0.100")), view(), outcome{ack, "172.31.0.100", metal.LeaseActive, defaultLife, "", false}},
		{"so it is where the client's old address is another's", client(request, choosing("172.31.0.1"), wanting("172.31.0.100")), view(lost), outcome{ack, "172.31.0.100", metal.LeaseActive, defaultLife, "", false}},
		{"who holds an address gets no other one that is free", client(request, choosing("172.31.0.1"), wanting("172.31.0.100")), view(active), refused},
		{"a free address that we did not offer may be another server's lease", client(request, wanting("172.31.0.100")), view(), silence},
		{"an offer that ran out is honoured while nobody else has the address", client(request, choosing("172.31.0.1"), wanting("172.31.0.150")), view(expired), outcome{ack, "172.31.0.150", metal.LeaseActive, defaultLife, "", false}},
		{"an offer that ran out and went to another is refused", client(request, choosing("172.31.0.1"), wanting("172.31.0.150")), view(lost), refused},
		{"another server's offer was taken: ours is free again", client(request, choosing("172.31.0.2"), wanting("10.0.0.9")), view(offered), outcome{Drop: "172.31.0.150"}},
		{"another server's offer was taken: what was ours stays", client(request, choosing("172.31.0.2"), wanting("10.0.0.9")), view(active), silence},
		{"another server's offer was taken by a machine", client(request, choosing("172.31.0.2"), wanting("10.0.0.9")), view(machine), silence},

		// 4.3.2, INIT-REBOOT
		{"a client that reboots has its lease confirmed", client(request, wanting("172.31.0.150")), view(active), outcome{ack, "172.31.0.150", metal.LeaseActive, defaultLife, "", false}},
		{"a machine that reboots has its address confirmed", client(request, wanting("172.31.0.10")), view(machine), outcome{Reply: ack, Addr: "172.31.0.10"}},
		{"a machine that was a stranger before is refused the lease of then", client(request, wanting("172.31.0.150")), view(machine), refused},
		{"a client on another network now is refused", client(request, wanting("10.9.9.9")), view(), refused},
		{"a client that remembers wrongly is refused", client(request, wanting("172.31.0.151")), view(active), refused},
		{"a client that we know nothing of may be another server's", client(request, wanting("172.31.0.151")), view(), silence},

		// 4.3.2, RENEWING and REBINDING
		{"a lease is renewed", client(request, having("172.31.0.150")), view(active), outcome{ack, "172.31.0.150", metal.LeaseActive, defaultLife, "", false}},
		{"a machine's address is renewed without a write", client(request, having("172.31.0.10")), view(machine), outcome{Reply: ack, Addr: "172.31.0.10"}},
		{"a lease outside of the ranges of today is not renewed", client(request, having("172.31.0.150")), view(leased("172.31.0.150", metal.LeaseActive, now.Add(time.Minute), false)), refused},
		{"a request that names no address", client(request), view(active), silence},

		// 4.3.3, DECLINE
		{"a declined address goes into quarantine, under nobody", client(dhcpv4.MessageTypeDecline, choosing("172.31.0.1"), wanting("172.31.0.150")), view(active), outcome{State: metal.LeaseDeclined, Until: quarantine, Drop: "172.31.0.150", Fault: true}},
		{"a machine whose address another host uses is a fault", client(dhcpv4.MessageTypeDecline, wanting("172.31.0.10")), view(machine), outcome{Fault: true}},
		{"what a client does not hold it cannot decline", client(dhcpv4.MessageTypeDecline, wanting("172.31.0.151")), view(active), silence},
		{"a stranger cannot decline", client(dhcpv4.MessageTypeDecline, wanting("172.31.0.151")), view(), silence},
		{"a decline of nothing", client(dhcpv4.MessageTypeDecline), view(active), silence},
		{"another server's address is declined", client(dhcpv4.MessageTypeDecline, choosing("172.31.0.2"), wanting("172.31.0.150")), view(active), silence},

		// 4.3.4, RELEASE
		{"a released lease ends, and is remembered", client(dhcpv4.MessageTypeRelease, choosing("172.31.0.1"), having("172.31.0.150")), view(active), outcome{State: metal.LeaseActive}},
		{"what a client does not hold it cannot release", client(dhcpv4.MessageTypeRelease, having("172.31.0.151")), view(active), silence},
		{"a lease that ran out is not released", client(dhcpv4.MessageTypeRelease, having("172.31.0.150")), view(expired), silence},
		{"a machine keeps its address", client(dhcpv4.MessageTypeRelease, having("172.31.0.10")), view(machine), silence},

		// 4.3.5, INFORM
		{"a client with an address from elsewhere is informed", client(dhcpv4.MessageTypeInform, having("172.31.0.77")), view(), outcome{Reply: ack}},

		// what is not for us
		{"an offer of another server", client(offer), view(), silence},
		{"an acknowledgement of another server", client(ack), view(), silence},
		{"BOOTP without a message type", client(dhcpv4.MessageTypeNone), view(), silence},
		{"a reply", client(discover, func(d *dhcpv4.DHCPv4) { d.OpCode = dhcpv4.OpcodeBootReply }), view(), silence},
		{"a network that is none of ours", client(discover), view(func(v *View) { v.Subnet = nil }), silence},
		{"a subnet whose DHCP is off", client(discover), view(func(v *View) { v.Subnet.Spec.DHCP.Mode = metal.DHCPOff }), silence},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			a := Respond(c.pkt, c.view, now)
			if diff := cmp.Diff(c.want, outcomeOf(a)); diff != "" {
				t.Errorf("got + / want -:\n%s(%s)", diff, a.Why)
			}
			if a.Why == "" {
				t.Error("the answer has no reason for the log")
			}
			if a.Lease != nil && !a.Drop.IsValid() && a.Reply != nil && a.Lease.Addr != address(a.Reply.YourIPAddr) {
				t.Errorf("got lease %s stored for %s given; want the same", a.Lease.Addr, a.Reply.YourIPAddr)
			}
		})
	}
}

func TestALeaseTellsItsClient(t *testing.T) {
	pkt := client(dhcpv4.MessageTypeDiscover, saying(61, "\x01RT\x00\x00\x00\x01"), saying(12, "Printer-1"))
	got := Respond(pkt, view(), now).Lease
	want := &metal.Lease{
		Subnet: "rack", Addr: ip("172.31.0.100"), MAC: "52:54:00:00:00:01", ClientID: "01525400000001", Hostname: "Printer-1",
		State: metal.LeaseOffered, ExpiresAt: now.Add(offerLife),
	}
	if diff := cmp.Diff(want, got, equateIPs); diff != "" {
		t.Errorf("got + / want -:\n%s", diff)
	}
	if got := Client(pkt); got != "01525400000001" {
		t.Errorf("got client %s; want its identifier", got)
	}
	if got := Client(client(dhcpv4.MessageTypeDiscover)); got != "52:54:00:00:00:01" {
		t.Errorf("got client %s; want its hardware address, for lack of an identifier", got)
	}
}

func TestLeaseTimes(t *testing.T) {
	for seconds, want := range map[int]time.Duration{0: 10 * time.Minute, 60: time.Minute, 1 << 40: (1<<32 - 1) * time.Second} {
		v := view(func(v *View) { v.Subnet.Spec.DHCP.LeaseSeconds = seconds })
		reply := Respond(client(dhcpv4.MessageTypeDiscover), v, now).Reply
		if got := reply.IPAddressLeaseTime(0); got != want {
			t.Errorf("%d s: got a lease time of %s; want %s", seconds, got, want)
		}
		t1, t2 := reply.IPAddressRenewalTime(0), reply.IPAddressRebindingTime(0)
		if !(0 < t1 && t1 < t2 && t2 < want) {
			t.Errorf("%d s: got T1 %s and T2 %s; want them in this order before %s", seconds, t1, t2, want)
		}
	}
}

// decided runs through parsing, so that a test sees what a client would.
func decided(t *testing.T, pkt *dhcpv4.DHCPv4, v View) *dhcpv4.DHCPv4 {
	t.Helper()
	return again(t, Respond(pkt, v, now))
}

func codes(reply *dhcpv4.DHCPv4) (list []int) {
	for code := range reply.Options {
		list = append(list, int(code))
	}
	slices.Sort(list)
	return list
}

func TestRepliesRepeatWhatTheyMust(t *testing.T) {
	said := []dhcpv4.Modifier{
		saying(82, "\x01\x04eth1\x02\x03abc"), saying(61, "\x01abcdef"), saying(97, "\x000123456789abcdef"),
		dhcpv4.WithGatewayIP(ip("172.31.0.254").AsSlice()), dhcpv4.WithBroadcast(true),
	}
	for name, c := range map[string]struct {
		pkt  *dhcpv4.DHCPv4
		want []uint8
	}{
		"an offer":            {client(dhcpv4.MessageTypeDiscover, said...), []uint8{82, 61, 97}},
		"a refusal":           {client(dhcpv4.MessageTypeRequest, append(said, wanting("10.0.0.1"))...), []uint8{82, 61}},
		"an answer to INFORM": {client(dhcpv4.MessageTypeInform, append(said, having("172.31.0.7"))...), []uint8{82, 61, 97}},
	} {
		reply := decided(t, c.pkt, view())
		for _, code := range c.want {
			if got, want := reply.Options[code], c.pkt.Options[code]; !bytes.Equal(got, want) {
				t.Errorf("%s, option %d: got %q; want it repeated, %q", name, code, got, want)
			}
		}
		if reply.TransactionID != c.pkt.TransactionID || !reply.GatewayIPAddr.Equal(c.pkt.GatewayIPAddr) || !reply.IsBroadcast() || !bytes.Equal(reply.ClientHWAddr, hw) {
			t.Errorf("%s: got %s; want transaction, relay, flags and hardware address of the request", name, reply.Summary())
		}
		wire := appendReply(nil, reply)
		if at := bytes.Index(wire, []byte("\x52\x0b\x01\x04eth1\x02\x03abc\xff")); at < 0 {
			t.Errorf("%s: got % x; want option 82 last (RFC 3046, 2.1)", name, wire[240:])
		}
	}
}

func TestARefusalSaysNoMoreThanAllowed(t *testing.T) {
	pkt := client(dhcpv4.MessageTypeRequest, wanting("10.0.0.1"), having("10.0.0.1"), saying(60, "PXEClient:Arch:00000"))
	reply := decided(t, pkt, view())
	if diff := cmp.Diff([]int{53, 54, 56}, codes(reply)); diff != "" { // RFC 2131, table 3
		t.Errorf("options of a NAK, got + / want -:\n%s", diff)
	}
	if !reply.ClientIPAddr.IsUnspecified() || !reply.YourIPAddr.IsUnspecified() || reply.IsBroadcast() {
		t.Errorf("got %s; want no address and the client's flags", reply.Summary())
	}
	relayed := client(dhcpv4.MessageTypeRequest, wanting("10.0.0.1"), dhcpv4.WithGatewayIP(ip("172.31.0.254").AsSlice()))
	if reply := decided(t, relayed, view()); !reply.IsBroadcast() {
		t.Error("got a relayed NAK without the broadcast flag; want it (RFC 2131, 4.3.2)")
	}
}

func TestInformGivesNoAddressAndNoTime(t *testing.T) {
	reply := decided(t, client(dhcpv4.MessageTypeInform, having("172.31.0.77")), view())
	if diff := cmp.Diff([]int{1, 3, 6, 15, 42, 53, 54}, codes(reply)); diff != "" {
		t.Errorf("options, got + / want -:\n%s", diff)
	}
	if !reply.YourIPAddr.IsUnspecified() || !reply.ClientIPAddr.Equal(ip("172.31.0.77").AsSlice()) {
		t.Errorf("got %s; want yiaddr zero, ciaddr the client's", reply.Summary())
	}
}

func TestTheNetworkIsToldToEverybody(t *testing.T) {
	v := view(machine)
	reply := decided(t, client(dhcpv4.MessageTypeDiscover), v)
	if diff := cmp.Diff([]int{1, 3, 6, 12, 15, 42, 51, 53, 54, 58, 59}, codes(reply)); diff != "" {
		t.Errorf("options, got + / want -:\n%s", diff)
	}
	if got := []string{reply.DNS()[0].String(), reply.NTPServers()[0].String(), reply.Router()[0].String(), reply.HostName(), reply.DomainName(), reply.SubnetMask().String()}; !slices.Equal(got, []string{"172.31.0.1", "172.31.0.1", "172.31.0.254", "node-1", "metal.test", "ffffff00"}) {
		t.Errorf("got %v", got)
	}
	v.Subnet.Spec.DNS, v.Subnet.Spec.NTP = []netip.Addr{ip("9.9.9.9"), ip("1.1.1.1")}, []netip.Addr{ip("10.0.0.5")}
	v.Subnet.Spec.Gateway, v.Domain = netip.Addr{}, ""
	reply = decided(t, client(dhcpv4.MessageTypeDiscover), v)
	if len(reply.DNS()) != 2 || reply.NTPServers()[0].String() != "10.0.0.5" || reply.Router() != nil || reply.DomainName() != "" {
		t.Errorf("got %s; want the subnet's own name and time servers, no router and no domain", reply.Summary())
	}
	reply = decided(t, client(dhcpv4.MessageTypeDiscover, having("10.0.0.1")), v)
	if !reply.ClientIPAddr.IsUnspecified() {
		t.Errorf("got ciaddr %s in an offer; want zero (RFC 2131, table 3)", reply.ClientIPAddr)
	}
}
