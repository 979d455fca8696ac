package daemon

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/dhcp"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

const firstMAC = metal.MAC("52:54:00:00:00:01")

// caller is a DHCP client that speaks to the leases without a network between.
type caller struct {
	mac metal.MAC
	id  string     // option 61
	via netip.Addr // the relay agent; zero for none
}

// ask sends one message. options follow.
func (c caller) ask(r *rig, t *testing.T, kind dhcpv4.MessageType, options ...dhcpv4.Modifier) dhcp.Answer {
	t.Helper()
	a, err := c.exchange(r, t, kind, options...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (c caller) exchange(r *rig, t *testing.T, kind dhcpv4.MessageType, options ...dhcpv4.Modifier) (dhcp.Answer, error) {
	pkt, q := c.message(t, kind, options...)
	return r.exchange(q, func(v dhcp.View, now time.Time) dhcp.Answer { return dhcp.Respond(pkt, v, now) })
}

// message is what the client sends, and the query that the server makes of it.
func (c caller) message(t *testing.T, kind dhcpv4.MessageType, options ...dhcpv4.Modifier) (*dhcpv4.DHCPv4, dhcp.Query) {
	hw, err := net.ParseMAC(string(c.mac))
	if err != nil {
		t.Error(err)
	}
	pkt, err := dhcpv4.New(append([]dhcpv4.Modifier{dhcpv4.WithHwAddr(hw), dhcpv4.WithMessageType(kind)}, options...)...)
	if err != nil {
		t.Error(err)
	}
	if c.id != "" {
		pkt.UpdateOption(dhcpv4.OptClientIdentifier([]byte(c.id)))
	}
	q := dhcp.Query{MAC: c.mac, Client: dhcp.Client(pkt), Via: ours, Ours: ours}
	if c.via.IsValid() {
		q.Via, q.Relay = c.via, c.via
	}
	q.Wanted, _ = netip.AddrFromSlice(pkt.RequestedIPAddress())
	q.Wanted = q.Wanted.Unmap()
	return pkt, q
}

// lease goes through DISCOVER and REQUEST, and returns the address; zero for none.
func (c caller) lease(r *rig, t *testing.T) (netip.Addr, error) {
	a, err := c.exchange(r, t, dhcpv4.MessageTypeDiscover)
	if err != nil || a.Reply == nil {
		return netip.Addr{}, err
	}
	offered := given(a)
	a, err = c.exchange(r, t, dhcpv4.MessageTypeRequest, wanting(offered), choosing(ours))
	if err != nil || a.Reply == nil || a.Reply.MessageType() != dhcpv4.MessageTypeAck {
		return netip.Addr{}, err
	}
	return given(a), nil
}

func given(a dhcp.Answer) netip.Addr {
	if a.Reply == nil {
		return netip.Addr{}
	}
	addr, _ := netip.AddrFromSlice(a.Reply.YourIPAddr.To4())
	return addr
}

func wanting(a netip.Addr) dhcpv4.Modifier {
	return dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(a.AsSlice()))
}

func choosing(a netip.Addr) dhcpv4.Modifier {
	return dhcpv4.WithOption(dhcpv4.OptServerIdentifier(a.AsSlice()))
}

func mustLease(t *testing.T, r *rig, c caller, want string) netip.Addr {
	t.Helper()
	got, err := c.lease(r, t)
	if err != nil || got.String() != want {
		t.Fatalf("client %s %q: got %s, %v; want %s", c.mac, c.id, got, err, want)
	}
	return got
}

func TestAMachineHasItsOwnAddressAtEveryStage(t *testing.T) {
	r := newRig(t)
	r.subnet(t, "rack", "172.31.0.0/24", "172.31.0.100", "172.31.0.102")
	m := r.declare(t, "node-1", firstMAC, "52:54:00:00:00:02")
	// Firmware, iPXE, the RAM environment and the installed system each have their own client identifier.
	for _, id := range []string{"", "\x00uuid", "\x01RT\x00\x00\x00\x01", "\xffduid"} {
		mustLease(t, r, caller{mac: firstMAC, id: id}, m.Address)
	}
	if held := r.held(t); len(held) != 0 {
		t.Errorf("got leases %v; want none: the address is the machine's", held)
	}
	mustLease(t, r, caller{mac: "52:54:00:00:00:02"}, "172.31.0.100") // its second NIC gets a lease
}

func TestAStrangerGetsALeaseThatIsStoredFirst(t *testing.T) {
	r := newRig(t)
	r.subnet(t, "rack", "172.31.0.0/24", "172.31.0.100", "172.31.0.102")
	c := caller{mac: firstMAC}
	offered := given(c.ask(r, t, dhcpv4.MessageTypeDiscover))
	if held := r.held(t); len(held) != 0 {
		t.Errorf("after the offer: got %v stored; want nothing", held)
	}
	a := c.ask(r, t, dhcpv4.MessageTypeRequest, wanting(offered))
	held := r.held(t) // when the answer is there, the lease must be
	if len(held) != 1 || held[0].State != metal.LeaseActive || held[0].Addr != given(a) || held[0].StartedAt.IsZero() {
		t.Errorf("after the acknowledgement: got %v stored for %s; want it", held, given(a))
	}
	mustLease(t, r, c, "172.31.0.100")
	a = c.ask(r, t, dhcpv4.MessageTypeRelease, dhcpv4.WithClientIP(net.IPv4(172, 31, 0, 100)))
	if held := r.held(t); a.Reply != nil || len(held) != 0 {
		t.Errorf("after the release got %v and %v; want silence and no lease", a.Reply, held)
	}
	mustLease(t, r, c, "172.31.0.100") // and the same again
	var told []string
	for _, e := range r.events(t, "lease") {
		told = append(told, e.Subject+": "+e.Text)
	}
	want := []string{
		"rack: 172.31.0.100 was leased to 52:54:00:00:00:01", "rack: 172.31.0.100 was released by 52:54:00:00:00:01",
		"rack: 172.31.0.100 was leased to 52:54:00:00:00:01",
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestAnAddressThatWasDeclinedIsGivenToNobody(t *testing.T) {
	r := newRig(t)
	r.subnet(t, "rack", "172.31.0.0/24", "172.31.0.100", "172.31.0.101")
	c := caller{mac: firstMAC}
	bad := mustLease(t, r, c, "172.31.0.100")
	c.ask(r, t, dhcpv4.MessageTypeDecline, wanting(bad), choosing(ours))
	mustLease(t, r, c, "172.31.0.101")
	// The client's next lease has not ended the quarantine.
	if got, err := (caller{mac: "52:54:00:00:00:02"}).lease(r, t); got.IsValid() || err != nil {
		t.Errorf("got %s, %v; want silence: one address is in quarantine, the other taken", got, err)
	}
	r.ahead.Store(int64(61 * time.Minute))
	mustLease(t, r, c, "172.31.0.101")
	mustLease(t, r, caller{mac: "52:54:00:00:00:02"}, "172.31.0.100")
}

func TestExpiredLeasesAreUsedAgain(t *testing.T) {
	r := newRig(t)
	r.subnet(t, "rack", "172.31.0.0/24", "172.31.0.100", "172.31.0.100")
	first, second := caller{mac: firstMAC}, caller{mac: "52:54:00:00:00:02"}
	addr := mustLease(t, r, first, "172.31.0.100")
	if got, err := second.lease(r, t); got.IsValid() || err != nil {
		t.Fatalf("got %s, %v; want silence: the range is full", got, err)
	}
	r.ahead.Store(int64(11 * time.Minute))
	mustLease(t, r, second, "172.31.0.100")
	a := first.ask(r, t, dhcpv4.MessageTypeRequest, wanting(addr), choosing(ours))
	if a.Reply == nil || a.Reply.MessageType() != dhcpv4.MessageTypeNak {
		t.Errorf("got %v; want the first client refused what is another's now", a.Reply)
	}
}

func TestAMachineThatMovesGetsAnAddressThere(t *testing.T) {
	r := newRig(t)
	r.subnet(t, "a-rack", "172.31.0.0/24", "172.31.0.100", "172.31.0.150")
	r.subnet(t, "b-rack", "10.1.0.0/24", "10.1.0.100", "10.1.0.150")
	m := r.declare(t, "node-1", firstMAC)
	mustLease(t, r, caller{mac: firstMAC}, m.Address)
	there := caller{mac: firstMAC, via: netip.MustParseAddr("10.1.0.254")}
	got, err := there.lease(r, t)
	if err != nil || !netip.MustParsePrefix("10.1.0.0/26").Contains(got) {
		t.Fatalf("got %s, %v; want an address of the second subnet outside of its range", got, err)
	}
	for range 2 {
		mustLease(t, r, there, got.String())
		mustLease(t, r, caller{mac: firstMAC}, m.Address)
	}
	a := there.ask(r, t, dhcpv4.MessageTypeRequest, wanting(netip.MustParseAddr(m.Address))) // INIT-REBOOT with the old address
	if a.Reply == nil || a.Reply.MessageType() != dhcpv4.MessageTypeNak {
		t.Errorf("got %v; want the first subnet's address refused on the second", a.Reply)
	}
	stranger := caller{mac: "52:54:00:00:00:09", via: there.via}
	mustLease(t, r, stranger, "10.1.0.100")
}

func TestANICThatWasReplacedTakesTheAddressOver(t *testing.T) {
	r := newRig(t)
	r.subnet(t, "rack", "172.31.0.0/24", "172.31.0.100", "172.31.0.150")
	m := r.declare(t, "node-1", firstMAC, "52:54:00:00:00:02")
	spec := func(macs ...metal.MAC) {
		t.Helper()
		err := r.db.Update(t.Context(), func(tx *store.Tx) error {
			now, err := tx.Machine(m.ID)
			if err != nil {
				return err
			}
			now.Spec.MACs = macs
			return tx.SaveMachine(now)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	spec("52:54:00:00:00:02", firstMAC) // boots from the other one now: the address may not be on both
	mustLease(t, r, caller{mac: firstMAC}, m.Address)
	mustLease(t, r, caller{mac: "52:54:00:00:00:02"}, "172.31.0.100")
	spec("52:54:00:00:00:03")
	mustLease(t, r, caller{mac: "52:54:00:00:00:03"}, m.Address)
}

func TestNoTwoClientsGetOneAddress(t *testing.T) {
	r := newRig(t)
	const clients, room = 64, 60
	r.subnet(t, "rack", "172.31.0.0/24", "172.31.0.100", fmt.Sprintf("172.31.0.%d", 100+room-1))
	var mu sync.Mutex
	var wg sync.WaitGroup
	got := map[netip.Addr][]metal.MAC{}
	for i := range clients {
		wg.Go(func() {
			c := caller{mac: metal.MAC(fmt.Sprintf("52:54:00:00:01:%02x", i))}
			addr, err := c.lease(r, t)
			if err != nil {
				t.Errorf("client %d: %v", i, err)
			}
			mu.Lock()
			defer mu.Unlock()
			got[addr] = append(got[addr], c.mac)
		})
	}
	wg.Wait()
	for addr, macs := range got {
		if addr.IsValid() && len(macs) != 1 {
			t.Errorf("%s went to %v; want one", addr, macs)
		}
	}
	if left := len(got[netip.Addr{}]); left != clients-room {
		t.Errorf("got %d clients without an address; want %d", left, clients-room)
	}
	if held := r.held(t); len(held) != room {
		t.Errorf("got %d leases stored; want %d", len(held), room)
	}
}

func TestNobodyGetsTheRelayAgentsAddress(t *testing.T) {
	r := newRig(t)
	r.subnet(t, "b-rack", "10.1.0.0/24", "10.1.0.100", "10.1.0.101")
	relay := netip.MustParseAddr("10.1.0.100")
	a := caller{mac: firstMAC, via: relay}.ask(r, t, dhcpv4.MessageTypeDiscover, wanting(relay))
	if got := given(a).String(); got != "10.1.0.101" {
		t.Errorf("got %s; want 10.1.0.101", got)
	}
}

func TestAMachineInABootLoopRaisesAnEvent(t *testing.T) {
	r := newRig(t)
	m := r.declare(t, "node-1", firstMAC)
	facts := bootFacts{r.db, r.engine, ""}
	for _, mac := range []metal.MAC{firstMAC, "52:54:00:00:00:99"} { // the second is nobody's
		if err := facts.Looping(t.Context(), mac, 6); err != nil {
			t.Fatal(err)
		}
	}
	if events := r.events(t, "machine")[1:]; len(events) != 1 || events[0].Subject != m.ID { // after that of its declaration
		t.Errorf("got %+v; want one event of the machine", events)
	}
}

func TestKernelParametersOfTheServerAreForEveryMachine(t *testing.T) {
	r := newRig(t)
	m := r.declare(t, "node-1", firstMAC)
	spec := m.Spec
	spec.KernelParameters = "nomodeset"
	if _, err := r.fleet.UpdateMachine(t.Context(), api.UpdateMachineRequest{ByID: api.ByID{ID: m.ID}, Body: api.MachineBody{MachineSpec: spec}}); err != nil {
		t.Fatal(err)
	}
	facts := bootFacts{r.db, r.engine, "console=ttyS1,115200"}
	for mac, want := range map[metal.MAC]string{firstMAC: "console=ttyS1,115200 nomodeset", "52:54:00:00:00:99": "console=ttyS1,115200"} {
		f, err := facts.BootFacts(t.Context(), mac)
		if err != nil || f.KernelParameters != want {
			t.Errorf("%s: got %q, %v; want %q", mac, f.KernelParameters, err, want)
		}
	}
}
