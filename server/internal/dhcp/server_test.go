package dhcp

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/netns"
	"github.com/metalform/terraform-provider-metal/server/internal/udp"
)

// agent is a relay agent of ours at an address of the namespace; close it by the test's end.
func agent(t *testing.T, ns netns.Space, addr string) *net.UDPConn {
	t.Helper()
	var conn *net.UDPConn
	ns.Must(t, func() (err error) {
		conn, err = net.ListenUDP("udp4", &net.UDPAddr{IP: ip(addr).AsSlice(), Port: serverPort})
		return err
	})
	t.Cleanup(func() { conn.Close() })
	return conn
}

func tell(t *testing.T, conn *net.UDPConn, to string, pkt *dhcpv4.DHCPv4) {
	t.Helper()
	if _, err := conn.WriteToUDPAddrPort(pkt.ToBytes(), netip.AddrPortFrom(ip(to), serverPort)); err != nil {
		t.Fatal(err)
	}
}

// hear returns the next answer and where it came from.
func hear(t *testing.T, conn *net.UDPConn) (*dhcpv4.DHCPv4, netip.AddrPort) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(netns.Patience)); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 2048)
	n, from, err := conn.ReadFromUDPAddrPort(buffer)
	if err != nil {
		t.Fatal(err)
	}
	pkt, err := dhcpv4.FromBytes(buffer[:n])
	if err != nil {
		t.Fatal(err)
	}
	return pkt, from
}

// number makes a client of its own of a packet.
func number(n byte) dhcpv4.Modifier { return dhcpv4.WithHwAddr(net.HardwareAddr{2, 0, 0, 0, 0, n}) }

func TestWhatTheServerAnswers(t *testing.T) {
	netns.Need(t)
	server, relay := near(t)
	server.Run(t, "ip addr add 172.31.0.3/24 dev eth0") // a second address, which the kernel might send from
	relay.Run(t, "ip addr add 172.31.0.2/24 dev eth0")
	m := newMemory(t, rack("172.31.0.0/24"))
	log := serve(t, server, "eth0", ip("172.31.0.3"), m, func(c *Config) {
		c.Ignore = func(id []byte) bool { return string(id) == "\xffprobe" }
	})
	conn := agent(t, relay, "172.31.0.2")
	by := relayed("172.31.0.2")
	const d = dhcpv4.MessageTypeDiscover
	unanswered := map[string]*dhcpv4.DHCPv4{
		"our own probe":                          client(d, by, number(1), saying(61, "\xffprobe")),
		"a relay agent that claims our address":  client(d, relayed("172.31.0.3"), number(2)),
		"a relay agent of a network not of ours": client(d, relayed("10.66.0.1"), number(3)),
		"more relay agents than there may be":    client(d, by, number(4), func(d *dhcpv4.DHCPv4) { d.HopCount = 17 }),
		"a packet that is no request":            client(d, by, number(5), func(d *dhcpv4.DHCPv4) { d.OpCode = dhcpv4.OpcodeBootReply }),
	}
	for _, pkt := range unanswered {
		tell(t, conn, "172.31.0.3", pkt)
	}
	if _, err := conn.WriteToUDPAddrPort([]byte("no DHCP"), netip.AddrPortFrom(ip("172.31.0.3"), serverPort)); err != nil {
		t.Fatal(err)
	}
	last := client(d, by, number(9))
	tell(t, conn, "172.31.0.3", last)
	got, from := hear(t, conn)
	if got.TransactionID != last.TransactionID || got.MessageType() != dhcpv4.MessageTypeOffer || from.String() != "172.31.0.3:67" {
		t.Errorf("got %s from %s; want an answer to the last packet only, from our address\n%s", got.Summary(), from, log)
	}
	queries := m.asked()
	if len(queries) == 0 || !queries[len(queries)-1].Ours.IsValid() {
		t.Errorf("got queries %+v; want our address on the interface told", queries)
	}
	for _, q := range queries {
		if q.MAC == "02:00:00:00:00:01" || q.MAC == "02:00:00:00:00:02" || q.MAC == "02:00:00:00:00:04" {
			t.Errorf("got the store asked for %s; want such packets dropped before", q.MAC)
		}
	}
}

func TestOneClientCannotKeepTheServerBusy(t *testing.T) {
	netns.Need(t)
	server, relay := near(t)
	relay.Run(t, "ip addr add 172.31.0.2/24 dev eth0")
	m := newMemory(t, rack("172.31.0.0/24"))
	serve(t, server, "eth0", ours, m)
	conn := agent(t, relay, "172.31.0.2")
	by := relayed("172.31.0.2")
	const flood = 200
	for range flood {
		tell(t, conn, "172.31.0.1", client(dhcpv4.MessageTypeDiscover, by, number(1)))
	}
	last := client(dhcpv4.MessageTypeDiscover, by, number(2))
	tell(t, conn, "172.31.0.1", last)
	answers := 0
	for {
		if got, _ := hear(t, conn); got.TransactionID == last.TransactionID {
			break
		}
		answers++
	}
	if answers > flood/2 {
		t.Errorf("got %d answers to a client that asked %d times; want it slowed down", answers, flood)
	}
}

// broken is a store whose disk is full.
type broken struct{}

func (broken) Exchange(_ Query, decide func(View, time.Time) Answer, done func(Answer, error)) {
	done(decide(view(), now), errors.New("no space left on device"))
}

func TestNothingIsPromisedThatIsNotStored(t *testing.T) {
	s := &Server{cfg: Config{Store: broken{}, Ours: ours}}
	log := &netns.Output{}
	s.cfg.Log = slog.New(slog.NewTextHandler(log, nil))
	s.sender = &sender{outbox: udp.NewOutbox[outgoing](0), lines: newLimiter(1, 1, 10), faults: newLimiter(1, 1, 10)}
	pkt := client(dhcpv4.MessageTypeDiscover)
	s.ask(pkt, Query{}, netip.AddrPort{}, func(v View, now time.Time) Answer { return Respond(pkt, v, now) })
	if s.sender.outbox.Lost() != 0 || s.waiting.Load() != 0 { // there is no room in it: a reply would be lost
		t.Errorf("got %d replies, %d packets waiting; want none", s.sender.outbox.Lost(), s.waiting.Load())
	}
	wants(t, log.String(), "level=ERROR", "no space left on device", "mac=52:54:00:00:00:01")
}

// slow is a store that never comes to an end.
type slow struct{}

func (slow) Exchange(Query, func(View, time.Time) Answer, func(Answer, error)) {}

func TestAStoreThatIsBehindBoundsWhatWaits(t *testing.T) {
	s := &Server{cfg: Config{Store: slow{}, Ours: ours, Log: slog.New(slog.DiscardHandler)}}
	pkt := client(dhcpv4.MessageTypeDiscover)
	for range mostWaiting + 10 {
		s.ask(pkt, Query{}, netip.AddrPort{}, nil)
	}
	if s.waiting.Load() != mostWaiting || s.overload.Load() != 10 {
		t.Errorf("got %d waiting, %d dropped; want %d and 10", s.waiting.Load(), s.overload.Load(), mostWaiting)
	}
}

func TestDroppedPacketsAreReported(t *testing.T) {
	log := &netns.Output{}
	s := &Server{cfg: Config{Interface: "eth0", Log: slog.New(slog.NewTextHandler(log, nil))}}
	s.logDropped(dropped{1, 2, 3, 4}, dropped{1, 2, 3, 4})
	if log.String() != "" {
		t.Errorf("got %s; want nothing, for nothing new was dropped", log)
	}
	s.logDropped(dropped{1, 2, 3, 4}, dropped{11, 22, 33, 44})
	wants(t, log.String(), "interface=eth0", "client_sends_too_many=10", "store_behind=20", "sender_behind=30", "server_behind=40")
}

func TestFaultsAreToldThoughMuchGoesWell(t *testing.T) {
	log := &netns.Output{}
	s := newSenderFor(log)
	to := netip.MustParseAddrPort("10.0.0.1:67")
	reply := Respond(client(dhcpv4.MessageTypeDiscover), view(), now).Reply
	for range 1000 {
		s.tell(outgoing{pkt: client(dhcpv4.MessageTypeDiscover), reply: reply, why: "offer"})
		s.fail(to, net.ErrClosed)
	}
	if n := strings.Count(log.String(), "\n"); n == 0 || n > 500 {
		t.Errorf("got %d lines of 1000 answers; want some", n)
	}
	s.fail(to, errors.New("no route to host"))
	wants(t, log.String(), "level=ERROR", "no route to host", "to=10.0.0.1:67")
}

// newSenderFor is a sender without sockets that logs.
func newSenderFor(log *netns.Output) *sender {
	return &sender{log: slog.New(slog.NewTextHandler(log, nil)), lines: newLimiter(1, 20, 100), faults: newLimiter(1, 20, 100)}
}

func TestAServerThatCannotStartSaysWhy(t *testing.T) {
	netns.Need(t)
	ns, _ := near(t)
	cfg := Config{Interface: "eth0", Ours: ours, Store: slow{}, Log: slog.New(slog.DiscardHandler)}
	start := func(change func(*Config)) (s *Server, err error) {
		c := cfg
		change(&c)
		ns.Must(t, func() error { s, err = New(context.Background(), c); return nil })
		return s, err
	}
	first, err := start(func(*Config) {})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, want string
		code       metal.Code
		change     func(*Config)
	}{
		{"no such interface", "eth9", metal.Invalid, func(c *Config) { c.Interface = "eth9" }},
		{"an address of IPv6", "no IPv4 address", metal.Invalid, func(c *Config) { c.Ours = ip("fd00::1") }},
		{"a port that is taken", "the port is taken", metal.Conflict, func(*Config) {}},
	} {
		if _, err := start(c.change); metal.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v; want %s: %s", c.name, err, c.code, c.want)
		}
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := start(func(*Config) {})
	if err != nil {
		t.Fatalf("after the first was closed: got %v; want it started", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := second.Run(ctx); err != nil {
		t.Errorf("got %v from a server that was stopped; want nothing", err)
	}
	second.sender.outbox.Add(outgoing{}) // the store's committer may come after the end
}
