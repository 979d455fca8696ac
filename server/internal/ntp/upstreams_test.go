package ntp

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/netns"
	"github.com/metalform/terraform-provider-metal/server/internal/udp"
)

// chronyServer starts a chronyd that serves this machine's clock in stratum 10 and leaves it alone (-x). It returns
// its address and how to stop it.
func chronyServer(t testing.TB) (addr string, stop func()) {
	t.Helper()
	netns.Need(t, "chronyd")
	// An address that no other test has, so that its port stays free until chronyd takes it.
	host := netip.AddrFrom4([4]byte{127, byte(1 + rand.IntN(250)), byte(rand.IntN(250)), byte(1 + rand.IntN(250))}).String()
	free, err := net.ListenPacket("udp4", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	addr = free.LocalAddr().String()
	free.Close()
	_, port, _ := net.SplitHostPort(addr)
	server := exec.Command("chronyd", "-x", "-d", "-u", "root", "-f", "/dev/null", "local stratum 10", "allow", "cmdport 0", "port "+port,
		"bindaddress "+host, "pidfile "+filepath.Join(t.TempDir(), "pid"), "bindcmdaddress /")
	var out strings.Builder
	server.Stdout, server.Stderr = &out, &out
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	stop = func() {
		if server.ProcessState == nil {
			server.Process.Signal(os.Interrupt)
			server.Wait()
			t.Logf("chronyd on %s:\n%s", addr, &out)
		}
	}
	t.Cleanup(stop)
	client, err := net.Dial("udp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for deadline := time.Now().Add(netns.Patience); ; time.Sleep(10 * time.Millisecond) {
		client.SetDeadline(time.Now().Add(100 * time.Millisecond))
		client.Write(unhex(t, ask("23")))
		if _, err := client.Read(make([]byte, requestSize)); err == nil {
			return addr, stop
		}
		if time.Now().After(deadline) {
			t.Fatalf("chronyd on %s does not answer after %s", addr, netns.Patience)
		}
	}
}

// liar answers requests with what our own server would, with the bytes changed by edit.
func liar(t *testing.T, edit func(b []byte)) string {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, requestSize)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			req, ok := requestOf(b[:n])
			if !ok {
				continue
			}
			clock, _ := synchronised(time.Now())
			var answer [packetSize]byte
			req.reply(&answer, time.Now(), &clock)
			stamp(&answer, time.Now())
			copy(answer[atRefID:], []byte{192, 0, 2, 1}) // not 127.0.0.1, which would be us
			edit(answer[:])
			conn.WriteToUDPAddrPort(answer[:], from)
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	return conn.LocalAddr().String()
}

// ahead sets the times in an answer forward.
func ahead(b []byte, seconds uint64) {
	for _, at := range []int{atReceive, atTransmit} {
		binary.BigEndian.PutUint64(b[at:], binary.BigEndian.Uint64(b[at:])+seconds<<32)
	}
}

// poll runs a poller of servers until the test ends.
func poll(t *testing.T, servers ...string) *Poller {
	t.Helper()
	p, err := Upstreams(servers, 0, slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	for i := range p.roster.peers {
		p.roster.peers[i].pause = 100 * time.Millisecond // these servers mind no more than we do
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run of a poller that was stopped: got %v; want nil", err)
		}
	})
	return p
}

// until waits until the poller's choice is as wanted.
func (p *Poller) until(t *testing.T, what string, as func(choice) bool) choice {
	t.Helper()
	for deadline := time.Now().Add(netns.Patience); ; time.Sleep(10 * time.Millisecond) {
		c := *p.choice.Load()
		if as(c) {
			return c
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %s for: %s; got %+v", netns.Patience, what, c)
		}
	}
}

// answerOf is what the server on conn answers.
func answerOf(t *testing.T, conn *udp.Conn) packet {
	t.Helper()
	client := dial(t, conn)
	client.Write(unhex(t, ask("23")))
	b := make([]byte, requestSize)
	n, err := client.Read(b)
	p, ok := parse(b[:n])
	if err != nil || !ok {
		t.Fatalf("got % x, %v; want an answer", b[:n], err)
	}
	return p
}

func isChosen(c choice) bool { return c.verdict == chosen }

func TestBehindChronyWeAreOneStratumFurtherAndWithoutItNoneInTheEnd(t *testing.T) {
	t.Parallel()
	addr, stop := chronyServer(t)
	ignorant, err := Upstreams([]string{addr}, 0, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	conn := listen(t, "udp4", "127.0.0.1:0")
	serve(t, ignorant.Clock, conn)
	if got := answerOf(t, conn); got.leap != LeapUnknown || got.stratum != stratumUnknown {
		t.Errorf("before we know the time: got leap %d, stratum %d; want %d, %d", got.leap, got.stratum, LeapUnknown, stratumUnknown)
	}
	p := poll(t, addr)
	conn = listen(t, "udp4", "127.0.0.1:0")
	serve(t, p.Clock, conn)
	p.until(t, "chronyd is chosen", isChosen)
	clock, _ := p.Clock(time.Now())
	if !clock.Synchronised || clock.Stratum != 11 || clock.RefID != netip.MustParseAddrPort(addr).Addr().As4() || clock.RootDispersion <= 0 {
		t.Errorf("got %+v; want stratum 11 behind %s", clock, addr)
	}
	if got := answerOf(t, conn); got.leap != LeapNone || got.stratum != 11 {
		t.Errorf("got leap %d, stratum %d; want %d, 11", got.leap, got.stratum, LeapNone)
	}
	if out, err := chronyd(t, conn); err != nil {
		t.Errorf("a chronyd behind us: got %v; want our time taken:\n%s", err, out)
	}

	stop()
	if clock, _ := p.Clock(time.Now().Add(time.Hour)); !clock.Synchronised || clock.RootDispersion < 50*time.Millisecond {
		t.Errorf("an hour without: got %+v; want synchronised and wrong by 15 ppm of an hour at least", clock)
	}
	if clock, _ := p.Clock(time.Now().Add(48 * time.Hour)); clock.Synchronised {
		t.Errorf("two days without: got %+v; want not synchronised", clock)
	}
}

func TestAServerWithAFalseTimeIsOutvoted(t *testing.T) {
	t.Parallel()
	one, _ := chronyServer(t)
	other, _ := chronyServer(t)
	false1 := liar(t, func(b []byte) {
		b[1] = 1 // best of all
		ahead(b, 65)
	})
	p := poll(t, false1, one, other)
	c := p.until(t, "the two true ones are chosen", func(c choice) bool { return c.verdict == chosen && c.agree == 2 })
	if c.name == false1 || c.offset.Abs() > maxOffset {
		t.Errorf("got %+v; want one of the true ones", c)
	}
	if clock, _ := p.Clock(time.Now()); clock.Stratum != 11 {
		t.Errorf("got %+v; want stratum 11", clock)
	}
}

func TestAServerThatSaysOurClockIsOffIsBelievedSoWeTellNoTime(t *testing.T) {
	t.Parallel()
	addr := liar(t, func(b []byte) { ahead(b, 256) })
	p := poll(t, addr)
	c := p.until(t, "it is chosen", isChosen)
	if c.offset < 255*time.Second || c.offset > 257*time.Second {
		t.Errorf("got offset %s; want 256 s", c.offset)
	}
	conn := listen(t, "udp4", "127.0.0.1:0")
	serve(t, p.Clock, conn)
	if got := answerOf(t, conn); got.leap != LeapUnknown || got.stratum != stratumUnknown {
		t.Errorf("got leap %d, stratum %d; want %d, %d", got.leap, got.stratum, LeapUnknown, stratumUnknown)
	}
}

func TestAServerThatDeniesUsIsLeftAlone(t *testing.T) {
	conn := listen(t, "udp4", "127.0.0.1:0")
	s := New(nil, synchronised, slog.New(slog.DiscardHandler))
	s.conns = append(s.conns, conn)
	s.Allow([]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	defer func() { cancel(); <-done }()

	p, err := Upstreams([]string{conn.LocalAddr().String()}, 10, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Run(t.Context()); err != nil { // ends by itself
		t.Errorf("got %v; want nil", err)
	}
	if clock, _ := p.Clock(time.Now()); clock.Stratum != 10 || clock.RefID != localRefID {
		t.Errorf("got %+v; want our own stratum 10", clock)
	}
}

func TestForgedAnswersArePassedOver(t *testing.T) {
	addr := liar(t, func(b []byte) { b[atOrigin]++ })
	p, err := Upstreams(nil, 0, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if s, what, err := p.exchange(ctx, netip.MustParseAddrPort(addr)); err == nil || what != foreign {
		t.Errorf("got %+v, outcome %d; want a wait for the right one without end", s, what)
	}
}

func TestWhoCanBeAServer(t *testing.T) {
	cases := []struct {
		server, host string
		port         uint16 // 0 for none
	}{
		{"ntp1.example.com", "ntp1.example.com", 123},
		{"ntp1.example.com:1123", "ntp1.example.com", 1123},
		{"192.0.2.1", "192.0.2.1", 123},
		{"192.0.2.1:1123", "192.0.2.1", 1123},
		{"2001:db8::1", "2001:db8::1", 123},
		{"[2001:db8::1]:1123", "2001:db8::1", 1123},
		{"fe80::1%eth0", "fe80::1%eth0", 123},
		{"", "", 0}, {":123", "", 0}, {"host:", "", 0}, {"host:0", "", 0}, {"host:65536", "", 0}, {"host:ntp", "", 0},
		{"a b", "", 0}, {"[2001:db8::1]", "", 0}, {"2001:db8::x", "", 0}, {"https://host", "", 0},
	}
	for _, c := range cases {
		host, port, err := splitServer(c.server)
		if host != c.host || port != c.port || (err != nil) != (c.port == 0) {
			t.Errorf("%q: got %q, %d, %v; want %q, %d", c.server, host, port, err, c.host, c.port)
		}
		if c.port == 0 && metal.CodeOf(err) != metal.Invalid {
			t.Errorf("%q: got %v; want %s", c.server, err, metal.Invalid)
		}
	}
	var many []string
	for i := range maxServers + 1 {
		many = append(many, fmt.Sprintf("ntp%d.example.com", i))
	}
	for _, servers := range [][]string{many, {"good", "not good"}} {
		if _, err := Upstreams(servers, 0, slog.New(slog.DiscardHandler)); metal.CodeOf(err) != metal.Invalid {
			t.Errorf("%q: got %v; want %s", servers, err, metal.Invalid)
		}
	}
}

func TestReferenceIDs(t *testing.T) {
	cases := []struct {
		addr string
		want [4]byte
	}{
		{"192.0.2.1", [4]byte{192, 0, 2, 1}},
		{"::ffff:192.0.2.1", [4]byte{192, 0, 2, 1}},
		{"::1", [4]byte{0xcf, 0x40, 0x4d, 0xc8}}, // from md5sum of its 16 bytes
	}
	for _, c := range cases {
		if got := refID(netip.MustParseAddr(c.addr)); got != c.want {
			t.Errorf("%s: got % x; want % x", c.addr, got, c.want)
		}
	}
}

func FuzzSplitServer(f *testing.F) {
	for _, text := range []string{"host", "host:123", "[::1]:123", "::1", "a:b:c", "[", "]:1"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		host, port, err := splitServer(text)
		if err == nil && (host == "" || port == 0) || err != nil && (host != "" || port != 0) {
			t.Errorf("got %q, %d, %v", host, port, err)
		}
	})
}
