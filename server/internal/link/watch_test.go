package link

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

func TestInterfacesAreFollowedWhileTheyComeAndGo(t *testing.T) {
	s := newSpace(t)
	s.ip("link add eth0 type bridge")
	w := s.watch(nil, "eth*", "!eth9")
	awaitThese(t, w, "eth0")

	s.ip("link add eth9 type bridge")
	s.ip("link set eth0 up")
	awaitThese(t, w, "eth0 up")
	s.ip("addr add 10.0.0.1/24 dev eth0")
	before := awaitThese(t, w, "eth0 up 10.0.0.1/24")

	s.ip("link add eth0.100 type bridge")
	s.ip("addr add 10.100.0.1/24 dev eth0.100")
	s.ip("link set eth0.100 up")
	awaitThese(t, w, "eth0 up 10.0.0.1/24, eth0.100 up 10.100.0.1/24")
	s.ip("addr del 10.100.0.1/24 dev eth0.100")
	awaitThese(t, w, "eth0 up 10.0.0.1/24, eth0.100 up")
	s.ip("link del eth0.100")
	awaitThese(t, w, "eth0 up 10.0.0.1/24")

	s.ip("link set eth0 address 52:54:00:00:00:77")
	await(t, w, "another hardware address", func(links []Link) bool {
		return len(links) == 1 && links[0].Hardware.String() == "52:54:00:00:00:77"
	})
	s.ip("link del eth0")
	awaitThese(t, w, "")
	s.ip("link add eth0 type bridge")
	if after := awaitThese(t, w, "eth0"); after[0].Index == before[0].Index {
		t.Errorf("an interface made anew: got the old index %d again", after[0].Index)
	}
	s.ip("link set eth0 name uplink")
	awaitThese(t, w, "")
}

func TestALinkLocalAddressAppearsWhenItsDuplicatesWereLookedFor(t *testing.T) {
	s := newSpace(t)
	s.ip("link add eth0 type veth peer name far")
	s.ip("link set far up")
	s.ip("link set eth0 up")
	w := s.watch(nil, "eth0")
	links := await(t, w, "a link-local address", func(links []Link) bool { return len(links) == 1 && len(links[0].Addrs) == 1 })
	if addr := links[0].Addrs[0].Addr(); !addr.IsLinkLocalUnicast() || !w.Own(addr) {
		t.Errorf("got %s, own: %v; want an own link-local address", addr, w.Own(addr))
	}
}

func TestAVLANIsNamedByItsNumber(t *testing.T) {
	s := newSpace(t)
	s.ip("link add eth0 type bridge")
	if out, err := s.Command("ip", "link", "add", "link", "eth0", "name", "v100", "type", "vlan", "id", "100").CombinedOutput(); err != nil {
		t.Skipf("this kernel makes no VLAN sub-interfaces (8021q): %v\n%s", err, out)
	}
	w := s.watch(nil, "v*")
	awaitThese(t, w, "v100 vlan100")
	s.ip("link set eth0 up")
	s.ip("link set v100 up")
	s.ip("addr add 10.100.0.1/24 dev v100")
	awaitThese(t, w, "v100 vlan100 up 10.100.0.1/24")
	s.ip("link del eth0")
	awaitThese(t, w, "")
}

func TestManyInterfacesAreFollowed(t *testing.T) {
	const count = 100
	s := newSpace(t)
	w := s.watch(nil, "many*")
	batch := func(format string) {
		t.Helper()
		var lines strings.Builder
		for i := range count {
			fmt.Fprintf(&lines, format+"\n", i)
		}
		cmd := s.Command("ip", "-batch", "-")
		cmd.Stdin = strings.NewReader(lines.String())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", format, err, out)
		}
	}
	batch("link add many%d type bridge")
	await(t, w, "all the interfaces", func(links []Link) bool { return len(links) == count && links[count-1].Name == "many99" })
	batch("link set many%d up")
	await(t, w, "all of them up", func(links []Link) bool { return strings.Count(describe(links), " up") == count })
	batch("link del many%d")
	awaitThese(t, w, "")
}

// flaky is a subscription whose first Wait fails.
type flaky struct {
	events
	err    error
	failed bool
}

func (f *flaky) Wait() error {
	if !f.failed {
		f.failed = true
		return fmt.Errorf("receive: %w", f.err)
	}
	return f.events.Wait()
}

func TestEverythingIsReadAgainAfterTheSubscriptionFailed(t *testing.T) {
	for name, cause := range map[string]error{"overrun": unix.ENOBUFS, "a broken socket": errors.New("broken")} {
		t.Run(name, func(t *testing.T) {
			s := newSpace(t)
			var subscriptions atomic.Int32
			w := s.watch(func(w *Watcher) {
				w.subscribe = func() (events, error) {
					e, err := subscribe()
					if subscriptions.Add(1) == 1 {
						// What happens before the second subscription is not told to it: only a new reading finds it.
						if err := s.Command("ip", "link", "add", "eth0", "type", "bridge").Run(); err != nil {
							return nil, err
						}
						return &flaky{events: e, err: cause}, err
					}
					return e, err
				}
			}, "eth*")
			awaitThese(t, w, "eth0")
			s.ip("link add eth1 type bridge")
			awaitThese(t, w, "eth0, eth1")
			if got := subscriptions.Load(); got != 2 {
				t.Errorf("got %d subscriptions; want 2", got)
			}
		})
	}
}
