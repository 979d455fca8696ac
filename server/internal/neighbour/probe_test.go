package neighbour

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/bpf"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/netns"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func nobody(netip.Addr) bool { return false }

// wireOf is a socket of a test: it notes questions, and hears what the test says.
type wireOf struct {
	mu     sync.Mutex
	asked  []netip.Addr
	refuse error
	heard  chan struct {
		addr   netip.Addr
		answer Answer
	}
	closed chan struct{}
}

func newWireOf() *wireOf {
	return &wireOf{closed: make(chan struct{}), heard: make(chan struct {
		addr   netip.Addr
		answer Answer
	})}
}

func (w *wireOf) ask(addr netip.Addr) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, addr)
	return w.refuse
}

func (w *wireOf) say(a string, answer Answer) {
	w.heard <- struct {
		addr   netip.Addr
		answer Answer
	}{addr(a), answer}
}

func (w *wireOf) hear() (netip.Addr, Answer, error) {
	select {
	case h := <-w.heard:
		return h.addr, h.answer, nil
	case <-w.closed:
		return netip.Addr{}, Answer{}, errors.New("closed")
	}
}

func (w *wireOf) close()         { close(w.closed) }
func (w *wireOf) rhythm() rhythm { return onLinkRhythm() }

// probers is a Prober whose sockets the test holds.
func probers() (*Prober, func() []*wireOf) {
	var mu sync.Mutex
	var opened []*wireOf
	p := NewProber(func(a netip.Addr) bool { return a == addr("10.0.0.1") })
	p.open = func(lineKey) (asker, error) {
		mu.Lock()
		defer mu.Unlock()
		opened = append(opened, newWireOf())
		return opened[len(opened)-1], nil
	}
	return p, func() []*wireOf {
		mu.Lock()
		defer mu.Unlock()
		return opened
	}
}

func TestAnAddressThatNobodyDefendsIsFreeAfterThreeQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, opened := probers()
		began := time.Now()
		got, err := p.Probe(t.Context(), 2, addr("10.0.0.9"))
		if err != nil || got != (Answer{}) {
			t.Errorf("got %+v, %v; want a free address", got, err)
		}
		if took := time.Since(began); took != 300*time.Millisecond {
			t.Errorf("took %s; want 300ms", took)
		}
		if asked := opened()[0].asked; len(asked) != 3 {
			t.Errorf("asked %d times; want 3", len(asked))
		}
		if len(p.lines) != 0 {
			t.Errorf("%d sockets are still open", len(p.lines))
		}
	})
}

func TestProbesOnOneLinkShareASocketAndGetTheirOwnAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, opened := probers()
		answers := map[string]Answer{}
		var mu sync.Mutex
		var all sync.WaitGroup
		for _, a := range []string{"10.0.0.7", "10.0.0.8", "10.0.0.9", "::ffff:10.0.0.9"} {
			all.Go(func() {
				got, err := p.Probe(t.Context(), 2, addr(a))
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				answers[a] = got
			})
		}
		synctest.Wait()
		if len(opened()) != 1 {
			t.Fatalf("got %d sockets; want one", len(opened()))
		}
		w := opened()[0]
		nine := Answer{InUse: true, Hardware: "52:54:00:00:00:09", By: ByARP}
		w.say("10.0.0.77", Answer{InUse: true}) // nobody asked
		w.say("10.0.0.9", nine)
		w.say("10.0.0.9", Answer{InUse: true, By: "again"})
		all.Wait()
		for a, want := range map[string]Answer{"10.0.0.7": {}, "10.0.0.8": {}, "10.0.0.9": nine, "::ffff:10.0.0.9": nine} {
			if answers[a] != want {
				t.Errorf("%s: got %+v; want %+v", a, answers[a], want)
			}
		}
		if len(p.lines) != 0 {
			t.Errorf("%d sockets are still open", len(p.lines))
		}
	})
}

func TestNoMoreProbesRunThanTheLimitAndTheOthersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, opened := probers()
		var all sync.WaitGroup
		base := addr("10.9.0.0")
		for range mostProbes + 10 {
			base = base.Next()
			a := base
			all.Go(func() {
				if _, err := p.Probe(t.Context(), 2, a); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if got := len(opened()[0].asked); got != mostProbes {
			t.Errorf("at once: got %d questions; want %d", got, mostProbes)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := p.Probe(ctx, 2, addr("10.0.0.9")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a probe that waits too long: got %v; want DeadlineExceeded", err)
		}
		all.Wait()
	})
}

func TestWhatCannotBeKnownIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, opened := probers()
		ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
		defer cancel()
		if got, err := p.Probe(ctx, 2, addr("10.0.0.9")); !errors.Is(err, context.DeadlineExceeded) || got.InUse {
			t.Errorf("an end before the answer: got %+v, %v; want DeadlineExceeded", got, err)
		}

		failed := make(chan error)
		probe := func() {
			_, err := p.Probe(t.Context(), 2, addr("10.0.0.9"))
			failed <- err
		}
		go probe()
		synctest.Wait()
		lost := opened()[1]
		lost.closed <- struct{}{} // as when the interface goes away
		if err := <-failed; err == nil {
			t.Error("a lost socket: got no error")
		}
		go probe()
		synctest.Wait()
		if len(opened()) != 3 {
			t.Errorf("after a lost socket: got %d sockets; want a new one", len(opened()))
		}
		opened()[2].mu.Lock()
		opened()[2].refuse = errors.New("network is down")
		opened()[2].mu.Unlock()
		if err := <-failed; err == nil {
			t.Error("a question that cannot be sent: got no error")
		}
	})
}

func TestAddressesThatNeedNoQuestion(t *testing.T) {
	p, opened := probers()
	if got, err := p.Probe(t.Context(), 2, addr("10.0.0.1")); err != nil || got != (Answer{InUse: true, By: ByOwn}) {
		t.Errorf("our own: got %+v, %v; want in use", got, err)
	}
	for _, bad := range []netip.Addr{{}, addr("0.0.0.0"), addr("::"), addr("224.0.0.1"), addr("ff02::1"), addr("255.255.255.255"), addr("127.0.0.1"), addr("fe80::1%eth0")} {
		if _, err := p.Probe(t.Context(), 2, bad); metal.CodeOf(err) != metal.Invalid {
			t.Errorf("%s: got %v; want Invalid", bad, err)
		}
	}
	if _, err := p.Probe(t.Context(), 0, addr("fe80::1")); metal.CodeOf(err) != metal.Invalid {
		t.Errorf("a link-local address behind a router: got %v; want Invalid", err)
	}
	if len(opened()) != 0 {
		t.Errorf("%d sockets were opened", len(opened()))
	}
}

func TestTheWireTellsWhoUsesAnAddress(t *testing.T) {
	us, _, link := pairOfHosts(t)
	p := NewProber(nobody)
	tests := map[string]struct {
		index int
		addr  string
		want  Answer
	}{
		"used, IPv4":             {link, "10.0.0.2", Answer{InUse: true, Hardware: "52:54:00:00:00:02", By: ByARP}},
		"used, IPv6":             {link, "2001:db8::2", Answer{InUse: true, Hardware: "52:54:00:00:00:02", By: ByNDP}},
		"used, IPv6, link-local": {link, "fe80::5054:ff:fe00:2", Answer{InUse: true, Hardware: "52:54:00:00:00:02", By: ByNDP}},
		"free, IPv4":             {link, "10.0.0.99", Answer{}},
		"free, IPv6":             {link, "2001:db8::99", Answer{}},
	}
	var all sync.WaitGroup
	for name, test := range tests {
		for range 4 {
			all.Go(func() {
				if got, err := probed(t, us, p, test.index, test.addr, test.want.InUse); err != nil || got != test.want {
					t.Errorf("%s: got %+v, %v; want %+v", name, got, err, test.want)
				}
			})
		}
	}
	all.Wait()
	for what, c := range map[string]struct {
		index int
		want  metal.Code
	}{"no such interface": {9999, metal.NotFound}, "the loopback interface": {1, metal.Invalid}} {
		if _, err := probed(t, us, p, c.index, "10.0.0.2", false); metal.CodeOf(err) != c.want {
			t.Errorf("%s: got %v; want %s", what, err, c.want)
		}
	}
}

// probed is the answer of a probe from a namespace. One of an address in use is made again for as long as nothing is
// heard: on a busy machine an answer may come after the questions' time is up.
func probed(t *testing.T, ns netns.Space, p *Prober, index int, address string, inUse bool) (got Answer, err error) {
	for end := time.Now().Add(netns.Patience); ; {
		err = ns.In(func() (err error) {
			got, err = p.Probe(t.Context(), index, addr(address))
			return err
		})
		if err != nil || got.InUse || !inUse || time.Now().After(end) {
			return got, err
		}
	}
}

func TestAnAddressBehindARouterIsFoundByEcho(t *testing.T) {
	us, router, far := host(t, "a"), host(t, "b"), host(t, "c")
	cable(t, us, "eth0", router, "near", 1)
	cable(t, router, "far", far, "eth0", 2)
	router.Run(t, "sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
	for _, c := range []struct {
		ns   netns.Space
		line string
	}{
		{us, "addr add 10.1.0.1/24 dev eth0"}, {us, "addr add 2001:db8:1::1/64 dev eth0 nodad"},
		{router, "addr add 10.1.0.254/24 dev near"}, {router, "addr add 2001:db8:1::fe/64 dev near nodad"},
		{router, "addr add 10.2.0.254/24 dev far"}, {router, "addr add 2001:db8:2::fe/64 dev far nodad"},
		{far, "addr add 10.2.0.2/24 dev eth0"}, {far, "addr add 2001:db8:2::2/64 dev eth0 nodad"},
		{us, "route add 10.2.0.0/24 via 10.1.0.254"}, {us, "route add 2001:db8:2::/64 via 2001:db8:1::fe"},
		{far, "route add default via 10.2.0.254"}, {far, "route add default via 2001:db8:2::fe"},
	} {
		c.ns.Run(t, "ip "+c.line)
	}
	p := NewProber(nobody)
	for address, want := range map[string]Answer{
		"10.2.0.2": {InUse: true, By: ByICMP}, "2001:db8:2::2": {InUse: true, By: ByICMP}, "10.2.0.9": {}, "2001:db8:2::9": {},
	} {
		if got, err := probed(t, us, p, 0, address, want.InUse); err != nil || got != want {
			t.Errorf("%s: got %+v, %v; want %+v", address, got, err, want)
		}
	}
	if _, err := probed(t, us, p, 0, "192.0.2.1", false); err == nil {
		t.Error("an address without a route: got no error")
	}
}

// machine is the part of the filter that looks at the frame; Go's machine does not know the kernel's extensions.
func machine(t *testing.T, checks [][]bpf.Instruction) *bpf.VM {
	t.Helper()
	whole := program(0, checks)
	vm, err := bpf.NewVM(whole[6:])
	if err != nil {
		t.Fatal(err)
	}
	return vm
}

func TestFiltersPassWhatTheyAreFor(t *testing.T) {
	us, them := hardware{2, 0, 0, 0, 0, 1}, netip.MustParseAddrPort("[fe80::1]:547")
	port := netip.MustParseAddrPort("[ff02::1:2]:546")
	other := netip.MustParseAddrPort("[ff02::1:2]:547")
	fragment := datagram4(us, 67, 68, []byte("x"))
	fragment[etherLength+6] = 0x20
	unreachable := ndpProbe(us, addr("2001:db8::1"))
	unreachable[etherLength+ipv6Length] = 1
	tests := map[string]struct {
		checks [][]bpf.Instruction
		frame  []byte
		want   bool
	}{
		"a solicitation":            {onlyNDP(), ndpProbe(us, addr("2001:db8::1")), true},
		"another ICMPv6 message":    {onlyNDP(), unreachable, false},
		"UDP is not NDP":            {onlyNDP(), datagram6(us, them, port, nil), false},
		"to the client's port":      {onlyUDP4(68), datagram4(us, 67, 68, []byte("x")), true},
		"to the server's port":      {onlyUDP4(68), datagram4(us, 68, 67, []byte("x")), false},
		"a fragment":                {onlyUDP4(68), fragment, false},
		"to the client's port, v6":  {onlyUDP6(546), datagram6(us, them, port, []byte("x")), true},
		"to the server's port, v6":  {onlyUDP6(546), datagram6(us, them, other, []byte("x")), false},
		"ICMPv6 is not UDP":         {onlyUDP6(546), ndpProbe(us, addr("2001:db8::1")), false},
		"a frame that is too short": {onlyUDP6(546), make([]byte, 20), false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			n, err := machine(t, test.checks).Run(test.frame)
			if err != nil {
				t.Fatal(err)
			}
			if got := n != 0; got != test.want {
				t.Errorf("got %v; want %v", got, test.want)
			}
		})
	}
}
