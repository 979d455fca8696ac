package neighbour

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/netns"
)

func at(seconds int) time.Time { return time.Unix(1_700_000_000+int64(seconds), 0) }

func pairOf(n int) pair {
	var p pair
	p.hardware = hardware{0x52, 0x54}
	binary.BigEndian.PutUint32(p.hardware[2:], uint32(n))
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], 0x0a000000+uint32(n))
	p.addr = netip.AddrFrom4(a)
	return p
}

// taken describes a batch: the last number of the address, and when it was seen.
func taken(batch []Sighting) [][2]int {
	var all [][2]int
	for _, s := range batch {
		all = append(all, [2]int{int(s.Address.As4()[3]), int(s.When.Sub(at(0)) / time.Second)})
	}
	return all
}

func TestTheTableTellsEachPairOnceAndAgainLater(t *testing.T) {
	seen := newTable(10, time.Minute)
	check := func(now int, want ...[2]int) {
		t.Helper()
		if diff := cmp.Diff(want, taken(seen.take(7, at(now)))); diff != "" {
			t.Errorf("at %d s (-want +got):\n%s", now, diff)
		}
	}
	check(0)
	seen.note(pairOf(1), at(1))
	seen.note(pairOf(2), at(2))
	seen.note(pairOf(1), at(3))
	check(10, [2]int{2, 2}, [2]int{1, 3})
	check(20)
	seen.note(pairOf(1), at(25))
	seen.note(pairOf(3), at(26))
	check(30, [2]int{3, 26}) // 1 was told 20 s ago
	check(70, [2]int{1, 25}) // and was seen since
	check(500)               // 2 and 3 were not
	seen.note(pairOf(2), at(501))
	check(510, [2]int{2, 501})
}

func TestTwoCardsWithOneAddressAreBothTold(t *testing.T) {
	seen := newTable(10, time.Minute)
	a, b := pairOf(1), pairOf(2)
	b.addr = a.addr
	seen.note(a, at(1))
	seen.note(b, at(2))
	batch := seen.take(7, at(3))
	want := []Sighting{{7, a.addr, a.hardware.mac(), at(1)}, {7, b.addr, b.hardware.mac(), at(2)}}
	if diff := cmp.Diff(want, batch, cmp.Comparer(sameAddr)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAFullTableForgetsWhoWasNotSeenForLongest(t *testing.T) {
	seen := newTable(3, time.Minute)
	for n := range 3 {
		seen.note(pairOf(n), at(n))
	}
	seen.note(pairOf(0), at(3))
	seen.note(pairOf(3), at(4))
	if diff := cmp.Diff([][2]int{{2, 2}, {0, 3}, {3, 4}}, taken(seen.take(7, at(5)))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for n := range 10_000 {
		seen.note(pairOf(n), at(n))
	}
	if len(seen.entries) != 3 || seen.order.Len() != 3 {
		t.Errorf("got %d and %d entries; want 3", len(seen.entries), seen.order.Len())
	}
}

func TestABatchThatDidNotArriveComesAgain(t *testing.T) {
	seen := newTable(3, time.Minute)
	seen.note(pairOf(1), at(1))
	seen.take(7, at(2))
	seen.note(pairOf(2), at(3))
	seen.take(7, at(4))
	seen.untake(at(4))
	if diff := cmp.Diff([][2]int{{2, 3}}, taken(seen.take(7, at(5)))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// book is a Sink that refuses the first batch.
type book struct {
	mu      sync.Mutex
	refused bool
	seen    map[netip.Addr]metal.MAC
}

func (b *book) Seen(_ context.Context, batch []Sighting) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.refused {
		b.refused = true
		return errors.New("the database is busy")
	}
	for _, s := range batch {
		b.seen[s.Address] = s.Hardware
	}
	return nil
}

func (b *book) has(a string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seen[addr(a)] != ""
}

func TestWhoTalksOnALinkIsSeen(t *testing.T) {
	us, peer, link := pairOfHosts(t)
	b := &book{seen: map[netip.Addr]metal.MAC{}}
	l := &Listener{
		Link: link, Sink: b, Every: 10 * time.Millisecond, Again: time.Minute, Log: slog.New(slog.DiscardHandler),
		Own: func(a netip.Addr) bool { return a == addr("10.0.0.1") },
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := background(us, func() error { return l.Run(ctx) })

	var w *wire
	peerLink := index(t, peer, "eth0")
	peer.Must(t, func() (err error) {
		w, err = openWire(peerLink, etherARP)
		return err
	})
	defer w.close()
	announce := func(a string, hw hardware) []byte {
		return arp{op: arpRequest, senderHardware: hw, sender: addr(a), target: addr(a)}.frame()
	}
	tagged := announce("10.0.0.66", they)
	tagged = append(append(append([]byte{}, tagged[:12]...), 0x81, 0, 0, 99), tagged[12:]...)
	frames := [][]byte{
		tagged,
		announce("10.0.0.1", they), // our own address
		announce("10.0.0.67", we),  // our own card
		arpProbe(they, addr("10.0.0.68")),
		announce("10.0.0.70", hardware{0x52, 0x54, 0, 0, 0, 0x70}),
		announce("10.0.0.71", they), // the last: when it is seen, the others were
	}
	netns.Until(t, "sightings", func() bool {
		// Again and again, since the listener may not listen yet. The kernel of the peer asks for hosts that are not there,
		// and so never stops asking.
		for _, frame := range frames {
			if err := w.send(frame); err != nil {
				t.Fatal(err)
			}
		}
		peer.Must(t, func() error {
			for _, to := range []string{"10.0.0.99:9", "[2001:db8::99]:9"} {
				if c, err := net.Dial("udp", to); err == nil {
					_, _ = c.Write([]byte("x"))
					_ = c.Close()
				}
			}
			return nil
		})
		return b.has("10.0.0.71") && b.has("10.0.0.2") && b.has("2001:db8::2")
	})
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run: got %v; want nil", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.seen, addr("fe80::5054:ff:fe00:2")) // it may talk or not
	want := map[netip.Addr]metal.MAC{
		addr("10.0.0.2"): "52:54:00:00:00:02", addr("2001:db8::2"): "52:54:00:00:00:02",
		addr("10.0.0.70"): "52:54:00:00:00:70", addr("10.0.0.71"): "52:54:00:00:00:02",
	}
	if diff := cmp.Diff(want, b.seen, cmp.Comparer(sameAddr)); diff != "" {
		t.Errorf("seen (-want +got):\n%s", diff)
	}
}

func TestTheListenerEndsWithItsInterface(t *testing.T) {
	us, _, link := pairOfHosts(t)
	l := &Listener{Link: link, Sink: &book{}, Every: time.Minute, Own: nobody, Log: slog.New(slog.DiscardHandler)}
	ended := background(us, func() error { return l.Run(t.Context()) })
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
