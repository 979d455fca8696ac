package dns

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func TestAnAnswerIsRemembered(t *testing.T) {
	var asked atomic.Int64
	from := upstreamOf(t, func(q *dns.Msg) *dns.Msg { asked.Add(1); return wwwOnly(q) })
	server, addr, _ := serveWith(t, rack(t), Config{Forwarder: NewForwarder(Forward{Upstreams: []Upstream{{Addr: from}}, Allow: loopback}, labSelf)})
	for _, name := range []string{"www.example.com.", "WWW.example.com.", "www.example.com."} {
		answer := ask(t, addr, recursive(t, name+" A"))
		if len(answer.Answer) != 1 || answer.Answer[0].Header().Name != name || answer.Question[0].Name != name {
			t.Errorf("got %v; want an answer for %s", answer, name)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("the upstream was asked %d times; want once", n)
	}
	if stats := server.Stats(); stats.Forwarded != 1 || stats.CacheHits != 2 || stats.UDP != 3 || stats.Answers[0] != 3 {
		t.Errorf("got %+v; want 1 forwarded, 2 from the cache, 3 by UDP", stats)
	}
}

func TestWhoAsksTheSameAtOnceWaitsForOneAnswer(t *testing.T) {
	const crowd = 30
	var asked atomic.Int64
	release := make(chan struct{})
	from := upstreamOf(t, func(q *dns.Msg) *dns.Msg { asked.Add(1); <-release; return wwwOnly(q) })
	f := NewForwarder(Forward{Upstreams: []Upstream{{Addr: from}}, Allow: loopback}, labSelf).forServer(labSelf)
	var running sync.WaitGroup
	for range crowd {
		running.Go(func() {
			if m, err := f.answer(t.Context(), recursive(t, "www.example.com. A")); err != nil || len(m.Answer) != 1 {
				t.Errorf("got %v, %v", m, err)
			}
		})
	}
	until(t, "a question", func() bool { return asked.Load() > 0 }, func() string { return "" })
	close(release)
	running.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("the upstream was asked %d times; want once", n)
	}
}

func TestOldAnswersAreUsedWhileUpstreamsFail(t *testing.T) {
	f := NewForwarder(Forward{Upstreams: []Upstream{{Addr: upstreamOf(t, func(q *dns.Msg) *dns.Msg { return new(dns.Msg).SetRcode(q, dns.RcodeServerFailure) })}}}, labSelf).forServer(labSelf)
	q := recursive(t, "www.example.com. A")
	q.SetEdns0(1232, false)
	f.cache.put(keyFor(q), said(t, "www.example.com. A", 0, "www.example.com. 60 A 192.0.2.80"), time.Now().Add(-2*time.Minute))
	if _, ok := f.known(q, time.Now()); ok {
		t.Error("it is used without asking")
	}
	m, err := f.answer(t.Context(), q)
	if err != nil || len(m.Answer) != 1 || m.Answer[0].Header().Ttl != 30 {
		t.Fatalf("got %v, %v; want the old answer for 30 s", m, err)
	}
	if !strings.Contains(fmt.Sprint(m.IsEdns0()), "Stale Answer") {
		t.Errorf("got %v; want it said to be stale (RFC 8914)", m.IsEdns0())
	}
	if _, ok := f.known(q, time.Now()); !ok {
		t.Error("upstreams that have just failed are asked again")
	}
}

func TestASlowUpstreamIsNotWaitedForAlone(t *testing.T) {
	release := make(chan struct{})
	slow := upstreamOf(t, func(q *dns.Msg) *dns.Msg { <-release; return nil })
	good := upstreamOf(t, wwwOnly)
	f := NewForwarder(Forward{Upstreams: []Upstream{{Addr: slow}, {Addr: good}}}, labSelf).forServer(labSelf)
	defer close(release)
	if m, err := f.answer(t.Context(), recursive(t, "www.example.com. A")); err != nil || len(m.Answer) != 1 {
		t.Errorf("got %v, %v; want the answer of the second", m, err)
	}
}

func TestOnlyWhoAsksIsToldThatAnAnswerIsValidated(t *testing.T) {
	f := NewForwarder(Forward{}, labSelf).forServer(labSelf)
	got := said(t, "www.example.com. A", 0, "www.example.com. 60 A 192.0.2.80")
	got.AuthenticatedData = true
	plain, wanting := recursive(t, "www.example.com. A"), recursive(t, "www.example.com. A")
	wanting.AuthenticatedData = true
	if f.relay(plain, got, false).AuthenticatedData || !f.relay(wanting, got, false).AuthenticatedData {
		t.Error("the AD bit is not that of RFC 6840, section 5.8")
	}
	got.Rcode = dns.RcodeBadVers
	if m := f.relay(plain, got, false); m.Rcode != dns.RcodeServerFailure {
		t.Errorf("got %s for a code of EDNS; want SERVFAIL", dns.RcodeToString[m.Rcode])
	}
}

func TestTheQueryLog(t *testing.T) {
	server, addr, said := serveWith(t, rack(t), Config{QueryLog: true})
	ask(t, addr, query(t, "n1.lab.example. A"))
	ask(t, addr, query(t, "nosuch.lab.example. TXT"))
	dig(t, addr, "+tcp", "n2.lab.example", "AAAA")
	for _, want := range []string{
		"by=udp name=n1.lab.example. type=A rcode=NOERROR took=", "by=udp name=nosuch.lab.example. type=TXT rcode=NXDOMAIN", "by=tcp name=n2.lab.example. type=AAAA rcode=NOERROR",
	} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("the log has no %q:\n%s", want, said)
		}
	}
	stats := server.Stats()
	if stats.UDP != 2 || stats.TCP != 1 || stats.Answers[dns.RcodeSuccess] != 2 || stats.Answers[dns.RcodeNameError] != 1 {
		t.Errorf("got %+v", stats)
	}
	_, quiet, unsaid := serveWith(t, rack(t), Config{})
	ask(t, quiet, query(t, "n1.lab.example. A"))
	if strings.Contains(unsaid.String(), "DNS query") {
		t.Error("queries are logged though nobody asked for it")
	}
}

func TestLinesAreLeftOutBeyondALimit(t *testing.T) {
	var s sampler
	written := 0
	for range 10 {
		if _, ok := s.take(noon, 3); ok {
			written++
		}
	}
	leftOut, ok := s.take(noon.Add(time.Second), 3)
	if written != 3 || !ok || leftOut != 7 {
		t.Errorf("got %d written, then %d left out, %t; want 3, 7, true", written, leftOut, ok)
	}
}

func TestUpdatesOverTheWire(t *testing.T) {
	c := yard(t)
	server, addr, said := serveWith(t, c.zones, Config{Keys: testKeys{"up": xferSecret}, Updater: c})
	send := func(secret, update string) *dns.Msg {
		q := updating(t, "lab.example.", update)
		client := &dns.Client{Timeout: patience}
		if secret != "" {
			k := keyFrom(t, testKeys{"up": secret}, "up")
			client.TsigProvider = k
			q.Extra = append(q.Extra, k.record(q.Id, time.Now()))
		}
		answer, _, err := client.Exchange(q, addr.String())
		if answer == nil {
			t.Fatal(err)
		}
		return answer
	}
	cases := []struct {
		name, secret, update string
		rcode                int
	}{
		{"a right one", xferSecret, "add new.lab.example. 5 A 192.0.2.7", dns.RcodeSuccess},
		{"a prerequisite that does not hold", xferSecret, "nxdomain new.lab.example.\nadd new.lab.example. 5 A 192.0.2.8", dns.RcodeYXDomain},
		{"what is a machine's", xferSecret, "delname n1.lab.example.", dns.RcodeRefused},
		{"another secret", "another", "delname new.lab.example.", dns.RcodeNotAuth},
		{"no key", "", "delname new.lab.example.", dns.RcodeRefused},
	}
	for _, u := range cases {
		t.Run(u.name, func(t *testing.T) {
			answer := send(u.secret, u.update)
			if answer.Rcode != u.rcode || answer.Opcode != dns.OpcodeUpdate || u.secret != "" && answer.IsTsig() == nil {
				t.Errorf("got %v; want %s", answer, dns.RcodeToString[u.rcode])
			}
		})
	}
	if got := brief(ask(t, addr, query(t, "new.lab.example. A")).Answer); len(got) != 1 || got[0] != "new.lab.example. A 192.0.2.7" {
		t.Errorf("got %v; want what was added", got)
	}
	if n := server.Stats().Updates; n != 1 {
		t.Errorf("got %d updates counted; want 1", n)
	}
	if strings.Contains(said.String(), xferSecret) {
		t.Error("the log has the secret in it")
	}
	plain := serve(t, c.zones, Forward{})
	if got := dig(t, plain, "+opcode=update", "lab.example", "SOA"); !strings.Contains(got, "status: NOTIMP") {
		t.Errorf("without an updater: got\n%s\nwant NOTIMP", got)
	}
}

func TestAFloodOfOneQuestionIsLimitedOverTheWire(t *testing.T) {
	server, addr, _ := serveWith(t, rack(t), Config{Limit: RateLimit{Answers: 5, Errors: 5}})
	for range 20 { // on this machine: not limited
		ask(t, addr, query(t, "n1.lab.example. A"))
	}
	if stats := server.Stats(); stats.Limited != 0 || stats.UDP != 20 {
		t.Errorf("got %+v; want none limited", stats)
	}
}

// TestServersShareWhatTheyLookedUp has two servers with one forwarder ask an upstream once, and go on alone.
func TestServersShareWhatTheyLookedUp(t *testing.T) {
	var asked atomic.Int32
	from := upstreamOf(t, func(q *dns.Msg) *dns.Msg {
		asked.Add(1)
		return wwwOnly(q)
	})
	shared := NewForwarder(Forward{Upstreams: []Upstream{{Addr: from}}, Allow: loopback}, labSelf)
	t.Cleanup(shared.Close)
	first, second := shared.forServer(labSelf), shared.forServer(labSelf)
	q := new(dns.Msg).SetQuestion("www.example.com.", dns.TypeA)
	if m, err := first.answer(t.Context(), q); err != nil || len(m.Answer) != 1 {
		t.Fatalf("got %v, %v; want the upstream's answer", m, err)
	}
	first.wait() // as when the interface of the first goes away
	if m, ok := second.known(q, time.Now()); !ok || len(m.Answer) != 1 {
		t.Errorf("got %v, %v; want what the first has looked up", m, ok)
	}
	if asked.Load() != 1 || first.asked.Load() != 1 || second.hits.Load() != 1 || first.hits.Load() != 0 {
		t.Errorf("got %d questions, %d of them the first's, and %d and %d hits; want 1, 1, 0 and 1", asked.Load(), first.asked.Load(), first.hits.Load(), second.hits.Load())
	}
}

// TestAServerThatIsStoppedTakesNoAnswerFromAnother has the one that asks for both end before the upstream answers.
func TestAServerThatIsStoppedTakesNoAnswerFromAnother(t *testing.T) {
	came, goOn := make(chan struct{}, 2), make(chan struct{})
	from := upstreamOf(t, func(q *dns.Msg) *dns.Msg {
		came <- struct{}{}
		<-goOn
		return wwwOnly(q)
	})
	shared := NewForwarder(Forward{Upstreams: []Upstream{{Addr: from}}, Allow: loopback}, labSelf)
	t.Cleanup(shared.Close)
	first, second := shared.forServer(labSelf), shared.forServer(labSelf)
	q := new(dns.Msg).SetQuestion("www.example.com.", dns.TypeA)
	ctx, stop := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := first.answer(ctx, q)
		failed <- err
	}()
	<-came
	answered := make(chan error, 1)
	go func() {
		for { // on a busy machine the upstream may be too slow as well
			m, err := second.answer(t.Context(), q)
			if len(m.Answer) == 1 || errors.Is(err, context.Canceled) {
				answered <- err
				return
			}
		}
	}()
	stop()
	if err := <-failed; err == nil {
		t.Error("got no error of a request that was given up")
	}
	close(goOn)
	if err := <-answered; err != nil {
		t.Errorf("got %v; want the answer", err)
	}
}
