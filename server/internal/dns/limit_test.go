package dns

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// wireOf is an answer with a code.
func wireOf(t testing.TB, question string, rcode int) []byte {
	t.Helper()
	wire, err := new(dns.Msg).SetRcode(query(t, question), rcode).Pack()
	if err != nil {
		t.Fatal(err)
	}
	return wire
}

func TestRateLimit(t *testing.T) {
	config := RateLimit{Answers: 20, Errors: 5, Exempt: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}}
	good := []string{"n1.lab.example. A"}
	var many []string
	for i := range 300 {
		many = append(many, fmt.Sprintf("n%d.lab.example. A", i))
	}
	cases := []struct {
		name      string
		config    RateLimit
		clients   []string
		questions []string
		rcode     int
		asked     int
		want      int // answers
	}{
		{"one question of one client", config, []string{"192.0.2.1"}, good, 0, 100, 20},
		{"of a whole network", config, []string{"192.0.2.1", "192.0.2.77", "192.0.2.255"}, good, 0, 100, 20},
		{"of two networks", config, []string{"192.0.2.1", "192.0.3.1"}, good, 0, 100, 40},
		{"of an IPv6 network", config, []string{"2001:db8::1", "2001:db8:0:ff::1"}, good, 0, 100, 20},
		{"of two IPv6 networks", config, []string{"2001:db8::1", "2001:db8:0:100::1"}, good, 0, 100, 40},
		{"as IPv6 sockets see IPv4", config, []string{"192.0.2.1", "::ffff:192.0.2.2"}, good, 0, 100, 20},
		{"capitals make no other question", config, []string{"192.0.2.1"}, []string{"n1.lab.example. A", "N1.LAB.example. A"}, 0, 100, 20},
		{"two questions", config, []string{"192.0.2.1"}, []string{"n1.lab.example. A", "n2.lab.example. A"}, 0, 100, 40},
		{"ever other questions", config, []string{"192.0.2.1"}, many, 0, 300, 200},
		{"denials of ever other names", config, []string{"192.0.2.1"}, many, dns.RcodeNameError, 100, 5},
		{"refusals", config, []string{"192.0.2.1"}, many, dns.RcodeRefused, 100, 5},
		{"clients that are trusted", config, []string{"198.51.100.9"}, good, 0, 100, 100},
		{"clients on this machine", config, []string{"127.0.0.1", "::1"}, good, 0, 100, 100},
		{"no limit", RateLimit{}, []string{"192.0.2.1"}, good, 0, 1000, 1000},
		{"no limit of answers", RateLimit{Errors: 5}, []string{"192.0.2.1"}, good, 0, 1000, 1000},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			l := newLimiter(c.config)
			counts := map[verdict]int{}
			for i := range c.asked {
				wire := wireOf(t, c.questions[i%len(c.questions)], c.rcode)
				counts[l.judge(netip.MustParseAddr(c.clients[i%len(c.clients)]), wire, noon)]++
			}
			if counts[send] != c.want {
				t.Errorf("got %d answers; want %d", counts[send], c.want)
			}
			if diff := counts[slip] - counts[drop]; diff < -1*len(c.clients)*2 || diff > len(c.clients)*2 {
				t.Errorf("got %d that say TCP, %d left out; want half of each", counts[slip], counts[drop])
			}
		})
	}
}

func TestTheLimitIsOnePerSecond(t *testing.T) {
	l := newLimiter(RateLimit{Answers: 20})
	client, wire := netip.MustParseAddr("192.0.2.1"), wireOf(t, "n1.lab.example. A", 0)
	sent := 0
	for ms := range 10_000 { // 10 s, a thousand requests each
		if l.judge(client, wire, noon.Add(time.Duration(ms)*time.Millisecond)) == send {
			sent++
		}
	}
	if sent < 200 || sent > 220 {
		t.Errorf("got %d answers in 10 s; want 20 per second, and those of one second more at the beginning", sent)
	}
	if l.judge(client, wire, noon.Add(-time.Hour)) != send {
		t.Error("a clock that is set back stops all answers")
	}
}

func TestManyNetworksTakeNoMoreRoom(t *testing.T) {
	l := newLimiter(RateLimit{Answers: 20, Errors: 5})
	wire := wireOf(t, "n1.lab.example. A", 0)
	for i := range 300_000 {
		l.judge(netip.AddrFrom4([4]byte{byte(i >> 16), byte(i >> 8), byte(i), 1}).Next(), wire, noon.Add(time.Duration(i)*time.Microsecond))
	}
	if n := len(l.shards); n != limitShards {
		t.Errorf("got %d shards; want %d", n, limitShards)
	}
}

func TestAnswersThatSayTCP(t *testing.T) {
	server, zones := rack(t), labSelf
	q := query(t, "n1.lab.example. A")
	q.SetEdns0(1232, false)
	answer := Answer(q, server.Now(), zones)
	wire, err := pack(answer, ednsSize, nil)
	if err != nil {
		t.Fatal(err)
	}
	short := toTCP(wire)
	got := new(dns.Msg)
	if err := got.Unpack(short); err != nil {
		t.Fatal(err)
	}
	if !got.Truncated || got.Id != q.Id || got.Question[0] != q.Question[0] || len(got.Answer)+len(got.Extra) > 0 || got.Rcode != 0 {
		t.Errorf("got %v", got)
	}
	for _, bad := range [][]byte{nil, make([]byte, 5), make([]byte, 12), append(make([]byte, 5), 1, 0, 0, 0, 0, 0, 0, 0xc0), append(make([]byte, 5), 1, 0, 0, 0, 0, 0, 0, 5)} {
		if toTCP(bad) != nil {
			t.Errorf("% x: want no answer", bad)
		}
	}
}

func BenchmarkLimitOfATrustedClient(b *testing.B) {
	l := newLimiter(RateLimit{Answers: 200, Errors: 50, Exempt: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.0/24")}})
	client, wire := netip.MustParseAddr("192.0.2.1"), wireOf(b, "n1.lab.example. A", 0)
	for b.Loop() {
		l.judge(client, wire, noon)
	}
}

func BenchmarkLimitOfAStranger(b *testing.B) {
	l := newLimiter(RateLimit{Answers: 200, Errors: 50})
	client, wire := netip.MustParseAddr("192.0.2.1"), wireOf(b, "n1.lab.example. A", 0)
	for b.Loop() {
		l.judge(client, wire, noon)
	}
}
