package dns

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/udp"
	"github.com/metalform/terraform-provider-metal/server/internal/zone"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// world is what a whole server of our own serves as an upstream.
func world(t testing.TB) *zone.Zones {
	t.Helper()
	z, err := zone.New(zone.Config{Zone: "example.com", NameServer: "ns.example.com", Serial: 5})
	if err != nil {
		t.Fatal(err)
	}
	z.Change(func(b *zone.Batch) {
		b.SetRecordSet(metal.RecordSet{Zone: "example.com", Name: "www", Type: "A", Spec: metal.RecordSetSpec{Values: []string{"192.0.2.80"}}})
		var crowd metal.RecordSetSpec
		for i := range 200 {
			crowd.Values = append(crowd.Values, fmt.Sprintf("fd00:31::1:%x", i))
		}
		b.SetRecordSet(metal.RecordSet{Zone: "example.com", Name: "crowd", Type: "AAAA", Spec: crowd})
	})
	return z
}

// upstreamOf is an upstream of one's own making, by UDP only.
func upstreamOf(t testing.TB, answer func(q *dns.Msg) *dns.Msg) netip.AddrPort {
	t.Helper()
	conn, err := udp.Listen(t.Context(), "udp4", "127.0.0.1:0", "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- udp.Serve(ctx, conn, 1, func(_ context.Context, d udp.Datagram) {
			q := new(dns.Msg)
			if q.Unpack(d.Payload) != nil {
				return
			}
			if m := answer(q); m != nil {
				if wire, err := m.Pack(); err == nil {
					conn.Reply(d, wire)
				}
			}
		})
	}()
	t.Cleanup(func() { cancel(); <-done })
	return conn.LocalAddr()
}

// ask sends q by UDP and returns the answer.
func ask(t testing.TB, server netip.AddrPort, q *dns.Msg) *dns.Msg {
	t.Helper()
	client := &dns.Client{Timeout: patience}
	answer, _, err := client.Exchange(q, server.String())
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// recursive is a query that desires recursion.
func recursive(t testing.TB, question string) *dns.Msg {
	q := query(t, question)
	q.RecursionDesired = true
	return q
}

func TestNamesElsewhereAreForwarded(t *testing.T) {
	good := serve(t, world(t), Forward{})
	refusing := serve(t, rack(t), Forward{})
	closed := func() netip.AddrPort { // a port at which nobody listens
		conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return netip.MustParseAddrPort(conn.LocalAddr().String())
	}()
	liar := upstreamOf(t, func(q *dns.Msg) *dns.Msg {
		m := new(dns.Msg).SetReply(q)
		m.Question[0].Name = "bank.example.com."
		m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: "bank.example.com.", Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.IPv4(192, 0, 2, 66)}}
		return m
	})
	const www = `
		NOERROR rd ra
		www.example.com. 60 IN A 192.0.2.80`
	cases := []struct {
		name     string
		forward  Forward
		question *dns.Msg
		want     string
	}{
		{"one upstream", Forward{Upstreams: []Upstream{{Addr: good}}, Allow: loopback}, recursive(t, "www.example.com. A"), www},
		{"its denial", Forward{Upstreams: []Upstream{{Addr: good}}, Allow: loopback}, recursive(t, "nosuch.example.com. A"), `
			NXDOMAIN rd ra
			authority
			example.com. 10 IN SOA ns.example.com. hostmaster.example.com. 7 3600 600 604800 10`},
		{"the second, when the first refuses", Forward{Upstreams: []Upstream{{Addr: refusing}, {Addr: good}}, Allow: loopback}, recursive(t, "www.example.com. A"), www},
		{"the second, when the first is not there", Forward{Upstreams: []Upstream{{Addr: closed}, {Addr: good}}, Allow: loopback}, recursive(t, "www.example.com. A"), www},
		{"the second, when the first answers another question", Forward{Upstreams: []Upstream{{Addr: liar}, {Addr: good}}, Allow: loopback}, recursive(t, "www.example.com. A"), www},
		{"all refuse", Forward{Upstreams: []Upstream{{Addr: refusing}}, Allow: loopback}, recursive(t, "www.example.com. A"), `REFUSED rd ra`},
		{"none is there", Forward{Upstreams: []Upstream{{Addr: closed}}, Allow: loopback}, recursive(t, "www.example.com. A"), `SERVFAIL rd ra`},
		{"the client is not allowed", Forward{Upstreams: []Upstream{{Addr: good}}, Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, recursive(t, "www.example.com. A"), `REFUSED rd`},
		{"nobody is allowed", Forward{Upstreams: []Upstream{{Addr: good}}, Allow: nil}, recursive(t, "www.example.com. A"), `REFUSED rd`},
		{"no recursion is desired", Forward{Upstreams: []Upstream{{Addr: good}}, Allow: loopback}, query(t, "www.example.com. A"), `REFUSED ra`},
		{"our own names are not asked elsewhere", Forward{Upstreams: []Upstream{{Addr: closed}}, Allow: loopback}, recursive(t, "n2.lab.example. A"), `
			NOERROR aa rd ra
			n2.lab.example. 60 IN A 172.31.0.12`},
		{"nor is what we are asked of ourselves", Forward{Upstreams: []Upstream{{Addr: good}}, Allow: loopback}, recursive(t, "version.bind. CH TXT"), `REFUSED rd ra`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			server := serve(t, rack(t), c.forward)
			if diff := cmp.Diff(lines(c.want), text(ask(t, server, c.question))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatAForwardedQuestionKeeps(t *testing.T) {
	var asked atomic.Pointer[dns.Msg]
	from := upstreamOf(t, func(q *dns.Msg) *dns.Msg {
		asked.Store(q)
		m := new(dns.Msg).SetReply(q)
		m.AuthenticatedData = true
		m.SetEdns0(4096, true)
		return m
	})
	server := serve(t, rack(t), Forward{Upstreams: []Upstream{{Addr: from}}, Allow: loopback})
	q := recursive(t, "wWw.ExAmple.com. A")
	q.CheckingDisabled = true
	q.SetEdns0(1400, true)
	answer := ask(t, server, q)
	got := asked.Load()
	if got.Question[0].Name != "wWw.ExAmple.com." || !got.CheckingDisabled || !got.RecursionDesired || got.Id == q.Id {
		t.Errorf("the upstream was asked\n%s\nfor\n%s", got, q)
	}
	if opt := got.IsEdns0(); opt == nil || !opt.Do() || opt.UDPSize() != ednsSize {
		t.Errorf("the upstream was asked with %v; want our own EDNS record, with the client's DO", opt)
	}
	if answer.Id != q.Id || answer.Question[0].Name != "wWw.ExAmple.com." || !answer.AuthenticatedData {
		t.Errorf("got\n%s\nfor\n%s", answer, q)
	}
	if len(answer.Extra) != 1 || answer.IsEdns0().UDPSize() != ednsSize {
		t.Errorf("got additional %v; want our own EDNS record only", answer.Extra)
	}
}

func TestATruncatedAnswerOfAnUpstreamIsFetchedByTCPAndTruncatedForTheClient(t *testing.T) {
	server := serve(t, rack(t), Forward{Upstreams: []Upstream{{Addr: serve(t, world(t), Forward{})}}, Allow: loopback})
	if answer := ask(t, server, recursive(t, "crowd.example.com. AAAA")); !answer.Truncated {
		t.Errorf("by UDP: got\n%s\nwant a truncated answer", answer)
	}
	if n := strings.Count(dig(t, server, "crowd.example.com", "AAAA"), "\tAAAA\tfd00:31::1:"); n != 200 {
		t.Errorf("dig: got %d addresses; want 200", n)
	}
}

func TestASlowUpstreamHoldsUpNoAnswerOfOurOwn(t *testing.T) {
	entered, release := make(chan struct{}, 100), make(chan struct{})
	slow := upstreamOf(t, func(q *dns.Msg) *dns.Msg {
		entered <- struct{}{}
		<-release
		return new(dns.Msg).SetReply(q)
	})
	server := serve(t, rack(t), Forward{Upstreams: []Upstream{{Addr: slow}}, Allow: loopback})
	conn, err := net.Dial("udp4", server.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	defer close(release)
	conn.SetDeadline(time.Now().Add(patience))
	client := &dns.Conn{Conn: conn} // one address, so one worker
	for _, question := range []string{"www.example.com. A", "n2.lab.example. A"} {
		if err := client.WriteMsg(recursive(t, question)); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(question, "www") {
			<-entered
		}
	}
	answer, err := client.ReadMsg()
	if err != nil {
		t.Fatal(err)
	}
	if got := answer.Question[0].Name; got != "n2.lab.example." {
		t.Errorf("got the answer for %s first; want our own", got)
	}
}

func TestMoreForwardedRequestsThanAllowedFail(t *testing.T) {
	f := NewForwarder(Forward{}, labSelf).forServer(labSelf)
	release := make(chan struct{})
	for i := range maxForwarded {
		if !f.start(func() { <-release }) {
			t.Fatalf("request %d was not taken; want %d", i, maxForwarded)
		}
	}
	if f.start(func() {}) {
		t.Error("one too many was taken")
	}
	close(release)
	f.wait()
	if !f.start(func() {}) {
		t.Error("none was taken after all had ended")
	}
	f.wait()
}
