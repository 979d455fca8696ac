package dns

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestParseUpstream(t *testing.T) {
	cases := []struct{ text, want string }{
		{"192.0.2.1", "192.0.2.1:53"},
		{"192.0.2.1:5353", "192.0.2.1:5353"},
		{"2001:db8::1", "[2001:db8::1]:53"},
		{"[2001:db8::1]", "[2001:db8::1]:53"},
		{"[2001:db8::1]:54", "[2001:db8::1]:54"},
		{"fe80::1%eth0", "[fe80::1%eth0]:53"},
		{"::ffff:192.0.2.1", "192.0.2.1:53"},
		{"tls://9.9.9.9:853#dns.quad9.net", "tls://9.9.9.9:853#dns.quad9.net"},
		{"tls://9.9.9.9#DNS.quad9.net.", "tls://9.9.9.9:853#dns.quad9.net"},
		{"tls://[2620:fe::fe]:8853#dns.quad9.net", "tls://[2620:fe::fe]:8853#dns.quad9.net"},
		{"tls://2620:fe::fe#dns.quad9.net", "tls://[2620:fe::fe]:853#dns.quad9.net"},
	}
	for _, c := range cases {
		u, err := ParseUpstream(c.text)
		if err != nil || u.String() != c.want {
			t.Errorf("%s: got %s, %v; want %s", c.text, u, err, c.want)
		}
		if again, err := ParseUpstream(u.String()); err != nil || again != u {
			t.Errorf("%s, read again: got %v, %v", u, again, err)
		}
	}
	for _, text := range []string{
		"", "one", "dns.quad9.net", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536", "192.0.2.1:53x", "[192.0.2.1]", "[2001:db8::1", "2001:db8::1]:53",
		"0.0.0.0", "[::]:53", "224.0.0.1", "192.0.2.1/24", "192.0.2.1#name", "udp://192.0.2.1", "https://192.0.2.1/dns-query",
		"tls://9.9.9.9", "tls://9.9.9.9#", "tls://#name", "tls://9.9.9.9#a b", "tls://9.9.9.9#-a", "tls://9.9.9.9#a..b", "tls://9.9.9.9#192.0.2.1", "TLS://9.9.9.9#x", " 192.0.2.1",
		"tls://9.9.9.9#" + strings.Repeat("a", 64),
	} {
		if u, err := ParseUpstream(text); metal.CodeOf(err) != metal.Invalid {
			t.Errorf("%q: got %s, %v; want it refused", text, u, err)
		}
	}
}

func FuzzParseUpstream(f *testing.F) {
	for _, text := range []string{"192.0.2.1", "[2001:db8::1]:53", "tls://9.9.9.9:853#dns.quad9.net", "tls://[::1%lo]#a"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := ParseUpstream(text)
		if err != nil {
			if metal.CodeOf(err) != metal.Invalid {
				t.Errorf("got %v", err)
			}
			return
		}
		if again, err := ParseUpstream(u.String()); err != nil || again != u {
			t.Errorf("%q is %s, and that is %v, %v", text, u, again, err)
		}
	})
}

func TestUpstreamsThatFailAreAskedLast(t *testing.T) {
	all := []*upstream{{Upstream: Upstream{Addr: servers[0]}}, {Upstream: Upstream{Addr: servers[1]}}}
	first := func(at time.Time) netip.AddrPort { return inOrder(all, at)[0].Addr }
	if first(noon) != servers[0] {
		t.Error("the first one is not asked first")
	}
	all[0].note(false, noon)
	if got := first(noon.Add(firstRest / 2)); got != servers[1] {
		t.Errorf("after a failure: got %s; want the other one", got)
	}
	if got := first(noon.Add(firstRest)); got != servers[0] {
		t.Errorf("after its rest: got %s; want it asked again", got)
	}
	for range 40 {
		all[0].note(false, noon)
	}
	if got := first(noon.Add(longRest - time.Second)); got != servers[1] {
		t.Errorf("after many failures: got %s; want the other one", got)
	}
	if got := first(noon.Add(longRest)); got != servers[0] {
		t.Errorf("after the longest rest: got %s; want it asked again", got)
	}
	all[1].note(false, noon)
	if got := inOrder(all, noon); len(got) != 2 {
		t.Errorf("when both rest: got %d; want both", len(got))
	}
	all[0].note(true, noon)
	if got := first(noon); got != servers[0] {
		t.Errorf("after an answer: got %s; want it first", got)
	}
}

func TestAnswersToOtherQuestions(t *testing.T) {
	m := recursive(t, "www.example.com. A")
	for name, change := range map[string]func(*dns.Msg){
		"a question":      func(got *dns.Msg) { got.Response = false },
		"another opcode":  func(got *dns.Msg) { got.Opcode = dns.OpcodeNotify },
		"no question":     func(got *dns.Msg) { got.Question = nil },
		"two questions":   func(got *dns.Msg) { got.Question = append(got.Question, got.Question[0]) },
		"another name":    func(got *dns.Msg) { got.Question[0].Name = "bank.example.com." },
		"another type":    func(got *dns.Msg) { got.Question[0].Qtype = dns.TypeAAAA },
		"another class":   func(got *dns.Msg) { got.Question[0].Qclass = dns.ClassCHAOS },
		"nothing changed": func(*dns.Msg) {},
		"other capitals":  func(got *dns.Msg) { got.Question[0].Name = "WWW.example.com." },
	} {
		got := new(dns.Msg).SetReply(m)
		change(got)
		_, err := answerTo(m, got)
		if good := name == "nothing changed" || name == "other capitals"; good != (err == nil) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
