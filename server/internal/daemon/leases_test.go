package daemon

import (
	"bufio"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/dhcp"
	"github.com/metalform/terraform-provider-metal/server/internal/netns"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// stranger is the n-th client that nobody declared.
func stranger(n int) caller {
	return caller{mac: metal.MACOf([]byte{2, 0, 0, 0, byte(n >> 8), byte(n)})}
}

// killed names the directory that the process of the test of kill -9 serves from.
const killed = "METALD_TEST_KILLED"

// TestNoAcknowledgedLeaseIsLost kills a process with many clients in the middle of its work, again and again, and then
// counts: what a client was told is stored, and no address is with two.
func TestNoAcknowledgedLeaseIsLost(t *testing.T) {
	if dir := os.Getenv(killed); dir != "" {
		acknowledge(t, dir)
		return
	}
	const rounds, atLeast = 3, 1500
	dir := t.TempDir()
	r := newRigIn(t, dir)
	r.subnet(t, "rack", "172.31.0.0/16", "172.31.1.0", "172.31.4.255")
	told := map[string]string{} // by client: the address that it was told last
	for range rounds {
		for client, addr := range killUnderLoad(t, dir, atLeast) {
			told[client] = addr
		}
		stored := map[string]string{}
		whose := map[string]string{}
		for _, l := range r.held(t) {
			stored[string(l.MAC)] = l.Addr.String()
			if other := whose[l.Addr.String()]; other != "" {
				t.Errorf("%s is with %s and %s", l.Addr, other, l.MAC)
			}
			whose[l.Addr.String()] = string(l.MAC)
		}
		for client, addr := range told {
			if stored[client] != addr {
				t.Errorf("client %s was told %s; stored is %q", client, addr, stored[client])
			}
		}
	}
}

// killUnderLoad runs acknowledge in another process, kills it after so many acknowledgements, and returns what each
// client was told last.
func killUnderLoad(t *testing.T, dir string, atLeast int) map[string]string {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run", "^TestNoAcknowledgedLeaseIsLost$")
	cmd.Env = append(os.Environ(), killed+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); {
		client, addr, ok := strings.Cut(strings.TrimPrefix(lines.Text(), "ack "), " ")
		if !ok || !strings.HasPrefix(lines.Text(), "ack ") {
			continue
		}
		told[client] = addr
		if n++; n == atLeast {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || len(told) == 0 {
		t.Fatalf("the process ended with %v after it told %d clients; want it killed", err, len(told))
	}
	return told
}

// acknowledge has many clients take, renew and give up leases, and prints what each is told.
func acknowledge(t *testing.T, dir string) {
	r := newRigIn(t, dir)
	const clients, each = 32, 16 // goroutines, and clients of each
	var wg sync.WaitGroup
	for g := range clients {
		wg.Go(func() {
			for round := 0; ; round++ {
				c := stranger(g*each + round%each)
				addr, err := c.lease(r, t)
				if err != nil || !addr.IsValid() {
					t.Errorf("client %s: got %s, %v", c.mac, addr, err)
					return
				}
				// One write of a short line is not torn: whoever reads it knows that it was told.
				fmt.Fprintf(os.Stdout, "ack %s %s\n", c.mac, addr)
			}
		})
	}
	wg.Wait()
}

func TestNothingIsPromisedOnAFullDisk(t *testing.T) {
	netns.Need(t)
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	r := newRigIn(t, dir)
	r.subnet(t, "rack", "172.31.0.0/24", "172.31.0.100", "172.31.0.199")
	before := mustLease(t, r, stranger(0), "172.31.0.100")
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 8<<20), 0o600); err == nil {
		t.Fatal("the disk is not full")
	}
	refused := 0
	for n := 1; n <= 64; n++ {
		offered := given(stranger(n).ask(r, t, dhcpv4.MessageTypeDiscover))
		a, err := stranger(n).exchange(r, t, dhcpv4.MessageTypeRequest, wanting(offered), choosing(ours))
		stored := map[netip.Addr]bool{}
		for _, l := range r.held(t) {
			stored[l.Addr] = true
		}
		switch {
		case err != nil && !stored[offered]:
			refused++
		case err != nil:
			t.Errorf("client %d: got %v, and %s is stored", n, err, offered)
		case !stored[given(a)]:
			t.Errorf("client %d: got %s, which is not stored", n, given(a))
		}
	}
	if refused == 0 {
		t.Error("every lease was stored on a full disk")
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	for n := range 65 { // each gets what it was offered, or has
		if got, err := stranger(n).lease(r, t); err != nil || !got.IsValid() || n == 0 && got != before {
			t.Errorf("client %d with room on the disk: got %s, %v", n, got, err)
		}
	}
}

func TestAClockThatIsSetBackGivesNoAddressTwice(t *testing.T) {
	r := newRig(t)
	r.subnet(t, "rack", "172.31.0.0/24", "172.31.0.100", "172.31.0.100")
	first, second := stranger(1), stranger(2)
	addr := mustLease(t, r, first, "172.31.0.100")
	r.ahead.Store(int64(-time.Hour))
	if got, err := second.lease(r, t); got.IsValid() || err != nil {
		t.Errorf("another client: got %s, %v; want silence", got, err)
	}
	a := first.ask(r, t, dhcpv4.MessageTypeRequest, dhcpv4.WithClientIP(addr.AsSlice()))
	if given(a) != addr {
		t.Errorf("the client renews: got %s; want %s", given(a), addr)
	}
	r.keeper.sweep(t.Context())
	if held := r.held(t); len(held) != 1 || len(r.events(t, "lease")) != 1 {
		t.Errorf("got leases %v and events %v; want one, and that it began", held, r.events(t, "lease"))
	}
	r.ahead.Store(int64(11 * time.Minute))
	mustLease(t, r, second, "172.31.0.100")
}

func TestTheEndOfALeaseIsTold(t *testing.T) {
	r := newRig(t)
	r.subnet(t, "rack", "172.31.0.0/24", "172.31.0.100", "172.31.0.101")
	mustLease(t, r, stranger(1), "172.31.0.100")
	bad := mustLease(t, r, stranger(2), "172.31.0.101")
	stranger(2).ask(r, t, dhcpv4.MessageTypeDecline, wanting(bad), choosing(ours))
	r.ahead.Store(int64(11 * time.Minute))
	netns.Until(t, "the end is told", func() bool { return len(r.events(t, "lease")) >= 4 }, r.log.String)
	var told []string
	for _, e := range r.events(t, "lease") {
		told = append(told, e.Text)
	}
	if want := "the lease of 172.31.0.100 to 02:00:00:00:00:01 ended"; told[3] != want || !strings.Contains(told[2], "another host uses it") {
		t.Errorf("got %q; want %q last, and the quarantine before", told, want)
	}
}

func TestAMachineOnAFullSubnetGetsALease(t *testing.T) {
	r := newRig(t)
	r.declare(t, "node-1", firstMAC)
	r.subnet(t, "rack", "172.31.0.0/29", "172.31.0.2", "172.31.0.6") // .1 is ours: none is left for machines
	mustLease(t, r, caller{mac: firstMAC}, "172.31.0.2")
}

// TestWhatAnotherOneWasGivenMeanwhileIsRefused gives an address to somebody while a client's lease waits to be stored.
func TestWhatAnotherOneWasGivenMeanwhileIsRefused(t *testing.T) {
	r := newRig(t)
	r.subnet(t, "rack", "172.31.0.0/24", "172.31.0.100", "172.31.0.101")
	c := stranger(1)
	offered := given(c.ask(r, t, dhcpv4.MessageTypeDiscover))
	pkt, q := c.message(t, dhcpv4.MessageTypeRequest, wanting(offered), choosing(ours))
	answers := make(chan dhcp.Answer, 1)
	err := r.db.Update(t.Context(), func(tx *store.Tx) error { // nobody else stores anything now
		r.Exchange(q, func(v dhcp.View, now time.Time) dhcp.Answer { return dhcp.Respond(pkt, v, now) }, func(a dhcp.Answer, err error) {
			if err != nil {
				t.Error(err)
			}
			answers <- a
		})
		name := &metal.Reservation{Name: "r", Addr: offered, Spec: metal.ReservationSpec{Subnet: "rack"}}
		if err := tx.PutReservation(name); err != nil {
			return err
		}
		return tx.Assign(metal.Assignment{Subnet: "rack", Addr: offered, Reservation: "r"})
	})
	if err != nil {
		t.Fatal(err)
	}
	if a := <-answers; a.Reply == nil || a.Reply.MessageType() != dhcpv4.MessageTypeNak {
		t.Errorf("got %v, %q; want a refusal", a.Reply, a.Why)
	}
	if held := r.held(t); len(held) != 0 {
		t.Errorf("got %v stored; want nothing", held)
	}
	mustLease(t, r, c, "172.31.0.101")
}

func TestAnOfferOutlivesARestartWhileTheAddressIsFree(t *testing.T) {
	r := newRig(t)
	r.subnet(t, "rack", "172.31.0.0/24", "172.31.0.100", "172.31.0.101")
	first, second := stranger(1), stranger(2)
	offers := map[caller]netip.Addr{}
	for _, c := range []caller{first, second} {
		offers[c] = given(c.ask(r, t, dhcpv4.MessageTypeDiscover))
	}
	again, err := newLeases(t.Context(), r.db, r.fleet, "", "metal.test", time.Now, r.logger)
	if err != nil {
		t.Fatal(err)
	}
	netns.Keep(t, "the second keeper of leases", again.keeper.Run)
	r.leases = again
	// The later one's address is not what it would be offered now.
	if a := second.ask(r, t, dhcpv4.MessageTypeRequest, wanting(offers[second]), choosing(ours)); given(a) != offers[second] {
		t.Errorf("got %s (%s); want what was offered before the restart, %s", given(a), a.Why, offers[second])
	}
	if a := first.ask(r, t, dhcpv4.MessageTypeRequest, wanting(offers[second]), choosing(ours)); a.Reply.MessageType() != dhcpv4.MessageTypeNak {
		t.Errorf("got %s of what another client has by now; want it refused", a.Reply.Summary())
	}
}

func TestNothingIsStoredWhenTheKeeperHasStopped(t *testing.T) {
	r := newRig(t)
	r.subnet(t, "rack", "172.31.0.0/24", "172.31.0.100", "172.31.0.101")
	offered := given(stranger(1).ask(r, t, dhcpv4.MessageTypeDiscover))
	r.keeper.stop()
	if a, err := stranger(1).exchange(r, t, dhcpv4.MessageTypeRequest, wanting(offered), choosing(ours)); err == nil {
		t.Errorf("got %v; want an error", a.Reply)
	}
}
