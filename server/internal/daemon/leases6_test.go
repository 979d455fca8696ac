package daemon

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/dhcp6"
	"github.com/metalform/terraform-provider-metal/server/internal/netns"
)

var (
	ours6  = netip.MustParseAddr("fd00:31::1")
	duid6  = &dhcpv6.DUIDUUID{UUID: [16]byte{1}}
	range6 = metal.AddrRange{First: netip.MustParseAddr("fd00:31::100"), Last: netip.MustParseAddr("fd00:31::102")}
)

// subnet6 makes an IPv6 subnet with three addresses and four prefixes for strangers.
func (r *rig) subnet6(t testing.TB) {
	t.Helper()
	spec := metal.SubnetSpec{CIDR: netip.MustParsePrefix("fd00:31::/64"), DHCP: metal.DHCPSpec{
		Mode: metal.DHCPAuthoritative, Ranges: []metal.AddrRange{range6},
		Delegation: &metal.PrefixPool{CIDR: netip.MustParsePrefix("fd00:40::/54"), Length: 56},
	}}
	if _, err := r.fleet.PutSubnet(t.Context(), api.PutSubnetRequest{ByName: api.ByName{Name: "rack6"}, Body: spec}); err != nil {
		t.Fatal(err)
	}
}

// caller6 is a DHCPv6 client.
type caller6 struct {
	duid byte
	mac  net.HardwareAddr // empty: it cannot be known
}

func (c caller6) id() dhcpv6.DUID {
	if len(c.mac) > 0 {
		return &dhcpv6.DUIDLL{HWType: iana.HWTypeEthernet, LinkLayerAddr: c.mac}
	}
	return &dhcpv6.DUIDEN{EnterpriseNumber: 1, EnterpriseIdentifier: []byte{c.duid}}
}

// ask sends a message and returns what is answered.
func (c caller6) ask(r *rig, t testing.TB, kind dhcpv6.MessageType, options ...dhcpv6.Option) dhcp6.Answer {
	t.Helper()
	m := &dhcpv6.Message{MessageType: kind, TransactionID: dhcpv6.TransactionID{1}}
	m.AddOption(dhcpv6.OptClientID(c.id()))
	switch kind {
	case dhcpv6.MessageTypeRequest, dhcpv6.MessageTypeRenew, dhcpv6.MessageTypeRelease, dhcpv6.MessageTypeDecline:
		m.AddOption(dhcpv6.OptServerID(duid6))
	}
	for _, o := range options {
		m.AddOption(o)
	}
	p := &dhcp6.Packet{Message: m, From: netip.MustParseAddrPort("[fe80::1]:546"), To: netip.MustParseAddr("ff02::1:2")}
	type result struct {
		answer dhcp6.Answer
		err    error
	}
	done := make(chan result, 1)
	store := &leases6{leases: r.leases, bootURL: "http://[fd00:31::1]:7080"}
	store.Exchange(p.Query(ours6), func(v dhcp6.View, now time.Time) dhcp6.Answer {
		v.DUID = duid6
		return dhcp6.Respond(p, v, now)
	}, func(a dhcp6.Answer, err error) { done <- result{a, err} })
	got := <-done
	if got.err != nil {
		t.Error(got.err)
	}
	return got.answer
}

// na asks for addresses under an identity association, or has them.
func na(iaid byte, have ...netip.Addr) dhcpv6.Option {
	ia := &dhcpv6.OptIANA{IaId: [4]byte{0, 0, 0, iaid}}
	for _, a := range have {
		ia.Options.Add(&dhcpv6.OptIAAddress{IPv6Addr: a.AsSlice()})
	}
	return ia
}

func pd(iaid byte) dhcpv6.Option { return &dhcpv6.OptIAPD{IaId: [4]byte{0, 0, 0, iaid}} }

// given6 is the first address of each association that a reply gives.
func given6(a dhcp6.Answer) (list []netip.Addr) {
	if a.Reply == nil {
		return nil
	}
	for _, ia := range a.Reply.Options.IANA() {
		if one := ia.Options.OneAddress(); one != nil && one.ValidLifetime > 0 {
			addr, _ := netip.AddrFromSlice(one.IPv6Addr)
			list = append(list, addr)
		}
	}
	return list
}

// lease6 goes through SOLICIT and REQUEST, and returns the address; zero for none.
func (c caller6) lease6(r *rig, t testing.TB) netip.Addr {
	t.Helper()
	offered := given6(c.ask(r, t, dhcpv6.MessageTypeSolicit, na(1)))
	if len(offered) == 0 {
		return netip.Addr{}
	}
	got := given6(c.ask(r, t, dhcpv6.MessageTypeRequest, na(1, offered...)))
	if len(got) != 1 || got[0] != offered[0] {
		t.Errorf("client %d: got %v; want what was offered, %v", c.duid, got, offered)
		return netip.Addr{}
	}
	return got[0]
}

func TestAStrangersDHCPv6LeaseIsStoredFirst(t *testing.T) {
	r := newRig(t)
	r.subnet6(t)
	c := caller6{duid: 1}
	c.ask(r, t, dhcpv6.MessageTypeSolicit, na(1), pd(2))
	if held := r.held(t); len(held) != 0 {
		t.Errorf("after the offer: got %v stored; want nothing", held)
	}
	a := c.ask(r, t, dhcpv6.MessageTypeRequest, na(1), pd(2))
	held := r.held(t) // when the answer is there, the leases must be
	if len(held) != 2 || held[0].Addr != given6(a)[0] || held[0].IAID != 1 || held[1].Bits != 56 || held[1].IAID != 2 {
		t.Errorf("got %+v stored for %s; want an address and a prefix", held, a.Reply.Summary())
	}
	c.ask(r, t, dhcpv6.MessageTypeRelease, na(1, held[0].Addr))
	if left := r.held(t); len(left) != 1 || left[0].Bits != 56 {
		t.Errorf("after the release: got %+v; want the prefix alone", left)
	}
	if again := c.lease6(r, t); again != held[0].Addr {
		t.Errorf("got %s; want the address that the client gave back, %s", again, held[0].Addr)
	}
}

func TestNoTwoDHCPv6ClientsGetOneAddress(t *testing.T) {
	r := newRig(t)
	r.subnet6(t)
	var all sync.WaitGroup
	got := make([]netip.Addr, 8)
	for i := range got {
		all.Go(func() { got[i] = caller6{duid: byte(i + 1)}.lease6(r, t) })
	}
	all.Wait()
	seen := map[netip.Addr]bool{}
	for _, a := range got {
		if a.IsValid() && seen[a] || a.IsValid() && !range6.Contains(a) {
			t.Errorf("got %s twice, or outside of the range: %v", a, got)
		}
		seen[a] = true
	}
	if held := r.held(t); len(held) == 0 || len(held) > 3 {
		t.Errorf("got %d leases; want no more than there are addresses", len(held))
	}
}

func TestTwoAssociationsOfOneDHCPv6ClientGetTwoAddresses(t *testing.T) {
	r := newRig(t)
	r.subnet6(t)
	got := given6(caller6{duid: 1}.ask(r, t, dhcpv6.MessageTypeRequest, na(1), na(2)))
	if len(got) != 2 || got[0] == got[1] {
		t.Errorf("got %v; want two", got)
	}
	if held := r.held(t); len(held) != 2 {
		t.Errorf("got %+v stored; want both", held)
	}
}

func TestAFullDHCPv6SubnetSaysSo(t *testing.T) {
	r := newRig(t)
	r.subnet6(t)
	for i := range byte(3) {
		caller6{duid: i + 1}.lease6(r, t)
	}
	a := caller6{duid: 9}.ask(r, t, dhcpv6.MessageTypeSolicit, na(1))
	if status := a.Reply.Options.OneIANA().Options.Status(); status == nil || status.StatusCode != iana.StatusNoAddrsAvail || !a.Fault {
		t.Errorf("got %s; want no address, as a fault", a.Reply.Summary())
	}
}

func TestAnAddressThatADHCPv6ClientDeclinedIsGivenToNobody(t *testing.T) {
	r := newRig(t)
	r.subnet6(t)
	c := caller6{duid: 1}
	bad := c.lease6(r, t)
	c.ask(r, t, dhcpv6.MessageTypeDecline, na(1, bad))
	for i := range byte(4) {
		if got := (caller6{duid: i + 1}).lease6(r, t); got == bad {
			t.Errorf("client %d got %s, which another host uses", i+1, got)
		}
	}
	declined := 0
	for _, l := range r.held(t) {
		if l.State == metal.LeaseDeclined && l.Addr == bad {
			declined++
		}
	}
	if declined != 1 {
		t.Errorf("got %d quarantines of %s; want one", declined, bad)
	}
}

func TestAMachineGetsItsOwnIPv6AddressByItsMAC(t *testing.T) {
	r := newRig(t)
	r.subnet6(t)
	m := r.declare(t, "node-1", firstMAC)
	hardware, err := net.ParseMAC(string(firstMAC))
	if err != nil {
		t.Fatal(err)
	}
	c := caller6{mac: hardware}
	got := c.lease6(r, t)
	if again := c.lease6(r, t); again != got || !got.IsValid() || range6.Contains(got) {
		t.Errorf("got %s and %s; want one address of its own, out of the range", got, again)
	}
	if held := r.held(t); len(held) != 0 {
		t.Errorf("got leases %+v of machine %s; want none", held, m.ID)
	}
	if a := c.ask(r, t, dhcpv6.MessageTypeRenew, na(1, got)); len(given6(a)) != 1 {
		t.Errorf("the renewal: got %s; want the address again", a.Reply.Summary())
	}
}

func TestAReservationByDUIDIsKept(t *testing.T) {
	r := newRig(t)
	r.subnet6(t)
	c := caller6{duid: 7}
	want := netip.MustParseAddr("fd00:31::77")
	in := api.PutReservationRequest{ByName: api.ByName{Name: "printer"}, Body: metal.ReservationSpec{
		Subnet: "rack6", Addr: want, DUID: fmt.Sprintf("%x", c.id().ToBytes()), Hostname: "printer",
	}}
	if _, err := r.fleet.PutReservation(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if got := c.lease6(r, t); got != want {
		t.Errorf("got %s; want %s", got, want)
	}
	a := c.ask(r, t, dhcpv6.MessageTypeRequest, na(1), na(2))
	if got := given6(a); len(got) != 2 || got[0] != want || !range6.Contains(got[1]) {
		t.Errorf("got %v for two associations; want %s and a lease", got, want)
	}
}

func TestDHCPv6LeasesOutliveARestart(t *testing.T) {
	r := newRig(t)
	r.subnet6(t)
	want := caller6{duid: 1}.lease6(r, t)
	again, err := newLeases(t.Context(), r.db, r.fleet, "", "metal.test", time.Now, r.logger)
	if err != nil {
		t.Fatal(err)
	}
	netns.Keep(t, "the second keeper of leases", again.keeper.Run)
	r.leases = again
	if got := given6((caller6{duid: 1}).ask(r, t, dhcpv6.MessageTypeRenew, na(1, want))); len(got) != 1 || got[0] != want {
		t.Errorf("got %v; want %s again", got, want)
	}
	if got := (caller6{duid: 2}).lease6(r, t); got == want {
		t.Errorf("got %s, which another client has", got)
	}
}

func TestSettingsOnlyAreToldToWhoAsksForThem(t *testing.T) {
	r := newRig(t)
	r.subnet6(t)
	m := caller6{duid: 1}.ask(r, t, dhcpv6.MessageTypeInformationRequest).Reply
	if dns := m.Options.DNS(); len(dns) != 1 || dns[0].String() != ours6.String() {
		t.Errorf("got name servers %v; want ourselves", dns)
	}
	if search := m.Options.DomainSearchList(); search == nil || search.Labels[0] != "metal.test" {
		t.Errorf("got search list %v; want the zone", search)
	}
}

// TestPeerDhclientOverIPv6 has a real client, the real store, and everything between.
func TestPeerDhclientOverIPv6(t *testing.T) {
	netns.Need(t, "dhclient")
	r := newRig(t)
	r.subnet6(t)
	server, client := netns.New(t, "s6"), netns.New(t, "c6")
	netns.Wire(t, server, "eth0", client, "eth0")
	server.Run(t, "ip addr add fd00:31::1/64 dev eth0 nodad")
	client.Run(t, "ip link set eth0 down")
	client.Run(t, "ip link set eth0 address "+string(firstMAC)+" up")
	server.UntilLinkLocal(t, "eth0")
	client.UntilLinkLocal(t, "eth0")
	var s *dhcp6.Server
	server.Must(t, func() (err error) {
		s, err = dhcp6.New(t.Context(), dhcp6.Config{Interface: "eth0", Ours: ours6, DUID: duid6.ToBytes(), Store: &leases6{leases: r.leases}, Log: r.logger})
		return err
	})
	netns.Keep(t, "the DHCPv6 server", s.Run)
	dir := t.TempDir()
	leases := filepath.Join(dir, "leases")
	console := client.Start(t, "dhclient", "-6", "-N", "-P", "-1", "-d", "-v", "-sf", "/bin/true", "-cf", "/dev/null", "-lf", leases, "-pf", filepath.Join(dir, "pid"), "eth0")
	var text []byte
	netns.Until(t, "dhclient has a lease", func() bool { text, _ = os.ReadFile(leases); return strings.Contains(string(text), "lease6 {") },
		func() string { return console.String() + r.log.String() })
	for _, want := range []string{"iaaddr fd00:31::10", "iaprefix fd00:40::/56 {", "option dhcp6.name-servers fd00:31::1;"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("got no %q in\n%s", want, text)
		}
	}
	if held := r.held(t); len(held) != 2 || held[0].MAC != firstMAC {
		t.Errorf("got leases %+v; want an address and a prefix of the client", held)
	}
}
