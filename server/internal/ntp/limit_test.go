package ntp

import (
	"net/netip"
	"testing"
	"time"
)

func TestALimitedClient(t *testing.T) {
	client := netip.MustParseAddr("10.0.0.1")
	l := newLimiter()
	at := received
	step := func(wait time.Duration, want verdict) {
		t.Helper()
		at = at.Add(wait)
		if got := l.ask(client, true, at); got != want {
			t.Fatalf("after %s: got %d; want %d", at.Sub(received), got, want)
		}
	}
	for range burst {
		step(0, answer)
	}
	step(0, rate)
	step(0, silence)
	step(refill-1, silence)
	step(1, answer)
	step(0, silence)
	step(kissEvery-refill, answer)
	step(0, answer)
	step(0, answer)
	step(0, rate)
	step(24*time.Hour, answer)
	for range burst - 1 {
		step(0, answer)
	}
	step(0, rate)
	step(-time.Hour, answer) // the clock was set back
}

func TestAWellBehavedClientIsNeverLimited(t *testing.T) {
	client := netip.MustParseAddr("10.0.0.1")
	l := newLimiter()
	at := received
	for i := range 10_000 {
		if got := l.ask(client, true, at); got != answer {
			t.Fatalf("request %d: got %d; want an answer", i, got)
		}
		at = at.Add(refill)
	}
}

func TestWhoCountsAsOneClient(t *testing.T) {
	cases := []struct {
		name, one, other string
		same             bool
	}{
		{"two IPv4 addresses", "10.0.0.1", "10.0.0.2", false},
		{"an IPv4 address in both spellings", "10.0.0.1", "::ffff:10.0.0.1", true},
		{"two addresses of one /64", "2001:db8::1", "2001:db8::ffff:1", true},
		{"two of different ones", "2001:db8:0:1::1", "2001:db8:0:2::1", false},
		{"two neighbours by their link-local addresses", "fe80::1", "fe80::2", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := site(netip.MustParseAddr(c.one)) == site(netip.MustParseAddr(c.other)); got != c.same {
				t.Errorf("got %t; want %t", got, c.same)
			}
		})
	}
}

func TestAFloodFromManyAddressesLeavesOthersTheirAnswers(t *testing.T) {
	l := newLimiter()
	for i := range 10 * clients {
		addr := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		if got := l.ask(addr, true, received); got != answer {
			t.Fatalf("client %d: got %d; want an answer", i, got)
		}
	}
}

func TestAClientThatMayNotAskIsToldSoNowAndThen(t *testing.T) {
	client := netip.MustParseAddr("192.0.2.1")
	l := newLimiter()
	at := received
	for _, c := range []struct {
		wait time.Duration
		want verdict
	}{{0, deny}, {0, silence}, {kissEvery - 1, silence}, {1, deny}, {time.Second, silence}, {24 * time.Hour, deny}} {
		at = at.Add(c.wait)
		if got := l.ask(client, false, at); got != c.want {
			t.Fatalf("after %s: got %d; want %d", at.Sub(received), got, c.want)
		}
	}
}

func TestWhoIsAllowed(t *testing.T) {
	networks := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
	cases := []struct {
		networks []netip.Prefix
		client   string
		want     bool
	}{
		{nil, "192.0.2.1", true},
		{networks, "10.1.2.3", true},
		{networks, "11.1.2.3", false},
		{networks, "2001:db8:1::1", true},
		{networks, "2001:db9::1", false},
		{networks, "fe80::1", false},
	}
	for _, c := range cases {
		if got := within(c.networks, netip.MustParseAddr(c.client)); got != c.want {
			t.Errorf("%s in %v: got %t; want %t", c.client, c.networks, got, c.want)
		}
	}
}
