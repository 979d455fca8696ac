package dhcpload

import (
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

func TestOurMessagesAreReadByOthers(t *testing.T) {
	server, addr := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.77")
	for _, c := range []struct {
		name   string
		packet []byte
		kind   dhcpv4.MessageType
	}{
		{"a DISCOVER", appendDiscover(nil, 258, 7), dhcpv4.MessageTypeDiscover},
		{"a DISCOVER over a longer message", appendDiscover(make([]byte, 900), 258, 7), dhcpv4.MessageTypeDiscover},
		{"a REQUEST", appendRequest(nil, 258, 7, reply{addr: addr, server: server}), dhcpv4.MessageTypeRequest},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := dhcpv4.FromBytes(c.packet)
			if err != nil {
				t.Fatal(err)
			}
			if m.MessageType() != c.kind {
				t.Errorf("got %s; want %s", m.MessageType(), c.kind)
			}
			if got, want := m.ClientHWAddr.String(), "02:dc:00:00:01:02"; got != want {
				t.Errorf("got MAC address %s; want %s", got, want)
			}
			if m.TransactionID != [4]byte{0, 0, 0, 7} {
				t.Errorf("got transaction %v; want 7", m.TransactionID)
			}
			if !m.IsBroadcast() || !m.GatewayIPAddr.IsUnspecified() || !m.ClientIPAddr.IsUnspecified() {
				t.Errorf("got %s; want a client without an address, and no relay agent", m.Summary())
			}
			if len(c.packet) < minimum {
				t.Errorf("got %d bytes; want %d", len(c.packet), minimum)
			}
			if c.kind != dhcpv4.MessageTypeRequest {
				return
			}
			if got := m.RequestedIPAddress().String(); got != addr.String() {
				t.Errorf("got the requested address %s; want %s", got, addr)
			}
			if got := m.ServerIdentifier().String(); got != server.String() {
				t.Errorf("got the server %s; want %s", got, server)
			}
		})
	}
}

// answer is what a server says to one of our messages.
func answer(t *testing.T, packet []byte, kind dhcpv4.MessageType, addr string) []byte {
	t.Helper()
	m, err := dhcpv4.FromBytes(packet)
	if err != nil {
		t.Fatal(err)
	}
	a, err := dhcpv4.NewReplyFromRequest(m,
		dhcpv4.WithMessageType(kind), dhcpv4.WithYourIP(netip.MustParseAddr(addr).AsSlice()),
		dhcpv4.WithServerIP(netip.MustParseAddr("192.0.2.1").AsSlice()),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(netip.MustParseAddr("192.0.2.1").AsSlice())),
	)
	if err != nil {
		t.Fatal(err)
	}
	return a.ToBytes()
}

func TestAnExchangeIsCompleted(t *testing.T) {
	e := newExchanges(Load{Clients: 10, Rate: 1000, For: time.Second})
	first := e.begin(nil, 0)
	second := e.take(answer(t, first, dhcpv4.MessageTypeOffer, "192.0.2.7"), nil, 2*time.Millisecond)
	if second == nil {
		t.Fatal("got nothing after the OFFER; want a REQUEST")
	}
	if m, err := dhcpv4.FromBytes(second); err != nil || m.RequestedIPAddress().String() != "192.0.2.7" {
		t.Errorf("got %v, %v; want a REQUEST for the offered address", m, err)
	}
	if again := e.take(answer(t, first, dhcpv4.MessageTypeOffer, "192.0.2.8"), nil, 2*time.Millisecond); again != nil {
		t.Error("got a REQUEST for a second offer; want none")
	}
	e.take(answer(t, second, dhcpv4.MessageTypeAck, "192.0.2.7"), nil, 5*time.Millisecond)
	r := e.result
	if r.Begun != 1 || len(r.Times) != 1 || r.Times[0] != 5*time.Millisecond {
		t.Errorf("got %+v; want one exchange of 5 ms", r)
	}
	if r.Loss() != 0 || r.Rate() != 1 {
		t.Errorf("got a loss of %v and a rate of %v; want 0 and 1", r.Loss(), r.Rate())
	}
	if r.Strange != 1 || len(e.open) != 0 {
		t.Errorf("got %d strange messages, %d open exchanges; want 1 and 0", r.Strange, len(e.open))
	}
}

func TestWhatIsNotAnAnswerCountsAsStrange(t *testing.T) {
	for _, c := range []struct {
		name   string
		packet func(t *testing.T, e *exchanges, mine []byte) []byte
	}{
		{"too short", func(*testing.T, *exchanges, []byte) []byte { return []byte{2, 1, 6} }},
		{"our own message", func(_ *testing.T, _ *exchanges, mine []byte) []byte { return mine }},
		{"an ACK before the REQUEST", func(t *testing.T, _ *exchanges, mine []byte) []byte {
			return answer(t, mine, dhcpv4.MessageTypeAck, "192.0.2.7")
		}},
		{"of another transaction", func(t *testing.T, _ *exchanges, mine []byte) []byte {
			b := answer(t, mine, dhcpv4.MessageTypeOffer, "192.0.2.7")
			b[4] ^= 0xff
			return b
		}},
		{"for another client", func(t *testing.T, _ *exchanges, mine []byte) []byte {
			b := answer(t, mine, dhcpv4.MessageTypeOffer, "192.0.2.7")
			b[33] ^= 0xff
			return b
		}},
		{"an option that goes beyond the end", func(t *testing.T, _ *exchanges, mine []byte) []byte {
			return append(answer(t, mine, dhcpv4.MessageTypeOffer, "192.0.2.7")[:fixed], optServerID, 4, 192)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newExchanges(Load{Clients: 10, Rate: 1000, For: time.Second})
			mine := e.begin(nil, 0)
			if got := e.take(c.packet(t, e, mine), nil, time.Millisecond); got != nil {
				t.Errorf("got a REQUEST; want none")
			}
			if e.result.Strange != 1 || len(e.result.Times) != 0 {
				t.Errorf("got %+v; want one strange message", e.result)
			}
		})
	}
}

func TestARefusalEndsTheExchange(t *testing.T) {
	e := newExchanges(Load{Clients: 10, Rate: 1000, For: time.Second})
	second := e.take(answer(t, e.begin(nil, 0), dhcpv4.MessageTypeOffer, "192.0.2.7"), nil, 0)
	e.take(answer(t, second, dhcpv4.MessageTypeNak, "0.0.0.0"), nil, 0)
	if e.result.Refused != 1 || e.result.Loss() != 1 || len(e.open) != 0 {
		t.Errorf("got %+v with %d open; want one refused", e.result, len(e.open))
	}
}

func TestAnAddressWithTwoOwnersIsCounted(t *testing.T) {
	for _, c := range []struct {
		name    string
		clients int
		want    int
	}{
		{"two clients", 10, 1},
		{"the same client twice", 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newExchanges(Load{Clients: c.clients, Rate: 1000, For: time.Second})
			for range 2 {
				second := e.take(answer(t, e.begin(nil, 0), dhcpv4.MessageTypeOffer, "192.0.2.7"), nil, 0)
				e.take(answer(t, second, dhcpv4.MessageTypeAck, "192.0.2.7"), nil, 0)
			}
			if e.result.Duplicates != c.want {
				t.Errorf("got %d duplicates; want %d", e.result.Duplicates, c.want)
			}
		})
	}
}

func TestExchangesBeginAtTheirRate(t *testing.T) {
	e := newExchanges(Load{Clients: 10, Rate: 1000, For: time.Second})
	for _, c := range []struct {
		now  time.Duration
		want int
	}{{0, 0}, {5 * time.Millisecond, 5}, {6 * time.Millisecond, 1}, {6 * time.Millisecond, 0}, {3 * time.Second, 994}} {
		if got := e.due(c.now); got != c.want {
			t.Fatalf("at %s got %d due; want %d", c.now, got, c.want)
		}
		for range c.want {
			e.begin(nil, c.now)
		}
	}
}

func TestALoadIsOverWhenNothingIsLeft(t *testing.T) {
	e := newExchanges(Load{Clients: 1, Rate: 10, For: 100 * time.Millisecond})
	if e.over(101 * time.Millisecond) {
		t.Error("it is over before the only exchange has begun")
	}
	second := e.take(answer(t, e.begin(nil, 101*time.Millisecond), dhcpv4.MessageTypeOffer, "192.0.2.7"), nil, 0)
	if e.over(102 * time.Millisecond) {
		t.Error("it is over before the answer")
	}
	if !e.over(100*time.Millisecond + patience + 1) {
		t.Error("it waits without end for an answer")
	}
	e.take(answer(t, second, dhcpv4.MessageTypeAck, "192.0.2.7"), nil, 0)
	if !e.over(102 * time.Millisecond) {
		t.Error("it is not over after the answer")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(appendDiscover(nil, 1, 1))
	b := appendRequest(nil, 1, 1, reply{addr: netip.MustParseAddr("192.0.2.7"), server: netip.MustParseAddr("192.0.2.1")})
	b[0] = 2
	f.Add(b)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, ok := parse(b); ok && (r.kind == 0 || !r.server.IsValid() || !r.addr.Is4()) {
			t.Errorf("got %+v; want a whole reply", r)
		}
	})
}
