package dns

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// said is an upstream's answer to a question, of records as in a zone file; those behind a line "authority" deny.
func said(t testing.TB, question string, rcode int, text string) *dns.Msg {
	t.Helper()
	m := new(dns.Msg).SetRcode(query(t, question), rcode)
	section := &m.Answer
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch line {
		case "":
			continue
		case "authority":
			section = &m.Ns
			continue
		}
		rr, err := dns.NewRR(line)
		if err != nil {
			t.Fatal(err)
		}
		*section = append(*section, rr)
	}
	return m
}

const soaLine = "example.com. 3600 SOA ns.example.com. h.example.com. 1 2 3 4 "

func TestHowLongAnswersAreKept(t *testing.T) {
	cases := []struct {
		name, question string
		rcode          int
		text           string
		want           time.Duration
	}{
		{"the shortest TTL", "www.example.com. A", 0, "www.example.com. 300 A 192.0.2.1\nwww.example.com. 200 A 192.0.2.2", 200 * time.Second},
		{"of an alias too", "www.example.com. A", 0, "www.example.com. 20 CNAME a.example.com.\na.example.com. 300 A 192.0.2.1", 20 * time.Second},
		{"a day at most", "www.example.com. A", 0, "www.example.com. 999999 A 192.0.2.1", 24 * time.Hour},
		{"a TTL of 0", "www.example.com. A", 0, "www.example.com. 0 A 192.0.2.1", 0},
		{"a TTL with the highest bit set (RFC 2181)", "www.example.com. A", 0, "www.example.com. 2147483648 A 192.0.2.1", 0},
		{"no such name: what the SOA record says", "nosuch.example.com. A", dns.RcodeNameError, "authority\n" + soaLine + "120", 120 * time.Second},
		{"or its TTL, if that is shorter", "nosuch.example.com. A", dns.RcodeNameError, "authority\nexample.com. 30 SOA ns.example.com. h.example.com. 1 2 3 4 120", 30 * time.Second},
		{"three hours at most", "nosuch.example.com. A", dns.RcodeNameError, "authority\nexample.com. 99999 SOA ns.example.com. h.example.com. 1 2 3 4 99999", 3 * time.Hour},
		{"no such record", "www.example.com. AAAA", 0, "authority\n" + soaLine + "120", 120 * time.Second},
		{"an alias of what has no such record", "www.example.com. AAAA", 0, "www.example.com. 60 CNAME a.example.com.\nauthority\n" + soaLine + "120", 60 * time.Second},
		{"a denial without SOA record", "www.example.com. AAAA", 0, "", 0},
		{"no such name without SOA record", "nosuch.example.com. AAAA", dns.RcodeNameError, "", 0},
		{"a failure", "www.example.com. AAAA", dns.RcodeServerFailure, "", time.Second},
		{"a refusal", "www.example.com. AAAA", dns.RcodeRefused, "", time.Second},
		{"the alias itself", "www.example.com. CNAME", 0, "www.example.com. 20 CNAME a.example.com.", 20 * time.Second},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			m := said(t, c.question, c.rcode, c.text)
			if got := ttlOf(m); got != c.want {
				t.Errorf("got %s; want %s", got, c.want)
			}
		})
	}
	cut := said(t, "www.example.com. A", 0, "www.example.com. 300 A 192.0.2.1")
	cut.Truncated = true
	if got := ttlOf(cut); got != 0 {
		t.Errorf("a truncated answer: got %s; want it not kept", got)
	}
}

func TestAnswersGrowOld(t *testing.T) {
	q := query(t, "www.example.com. A")
	failure := said(t, "www.example.com. A", dns.RcodeServerFailure, "")
	c := newCache(10, 1<<20)
	c.put(keyFor(q), said(t, "www.example.com. A", 0, "www.example.com. 300 A 192.0.2.1"), noon)
	check := func(after time.Duration, how freshness, ttl uint32) {
		t.Helper()
		m, got := c.get(keyFor(q), noon.Add(after))
		if got != how {
			t.Fatalf("after %s: got %d; want %d", after, got, how)
		}
		if m != nil && m.Answer[0].Header().Ttl != ttl {
			t.Errorf("after %s: got TTL %d; want %d", after, m.Answer[0].Header().Ttl, ttl)
		}
	}
	check(0, fresh, 300)
	check(10*time.Second, fresh, 290)
	check(299*time.Second, fresh, 1)
	check(300*time.Second, stale, 30)
	c.put(keyFor(q), failure, noon.Add(301*time.Second))
	check(302*time.Second, resort, 30)
	check(306*time.Second, stale, 30)
	c.put(keyFor(q), failure, noon.Add(time.Hour))
	check(time.Hour+time.Second, resort, 30)
	check(time.Hour+300*time.Second, absent, 0)
	check(0, absent, 0)

	c.put(keyFor(q), failure, noon)
	check2 := func(after time.Duration, want freshness) {
		t.Helper()
		if _, got := c.get(keyFor(q), noon.Add(after)); got != want {
			t.Errorf("a failure after %s: got %d; want %d", after, got, want)
		}
	}
	check2(500*time.Millisecond, fresh)
	check2(time.Second, absent)
	c.put(keyFor(q), said(t, "www.example.com. A", 0, "www.example.com. 300 A 192.0.2.1"), noon)
	check(-time.Second, absent, 0) // the clock was set back
}

func TestWhatAnswersDependOn(t *testing.T) {
	plain := query(t, "www.example.com. A")
	validated, unchecked := plain.Copy(), plain.Copy()
	validated.SetEdns0(1232, true)
	unchecked.CheckingDisabled = true
	keys := map[cacheKey]bool{}
	for _, q := range []*dns.Msg{plain, validated, unchecked, query(t, "www.example.com. AAAA"), query(t, "example.com. A")} {
		keys[keyFor(q)] = true
	}
	if len(keys) != 5 {
		t.Errorf("got %d keys; want 5", len(keys))
	}
	if keyFor(plain) != keyFor(query(t, "WWW.example.COM. A")) {
		t.Error("a mix of capitals is another question")
	}
}

func TestTheCacheKeepsWhatWasUsedLast(t *testing.T) {
	c := newCache(3, 1<<20)
	put := func(i int) {
		name := fmt.Sprintf("n%d.example.com.", i)
		c.put(keyFor(query(t, name+" A")), said(t, name+" A", 0, name+" 300 A 192.0.2.1"), noon)
	}
	has := func(i int) bool {
		_, how := c.get(keyFor(query(t, fmt.Sprintf("n%d.example.com. A", i))), noon)
		return how == fresh
	}
	put(0)
	put(1)
	put(2)
	has(0)
	put(3)
	if diff := cmp.Diff([]bool{true, false, true, true}, []bool{has(0), has(1), has(2), has(3)}); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	put(3)
	if len(c.entries) != 3 || c.used.Len() != 3 {
		t.Errorf("got %d entries, %d in order; want 3", len(c.entries), c.used.Len())
	}
}

func TestTheCacheHasRoomForSoManyBytes(t *testing.T) {
	c := newCache(1000, 20_000)
	for i := range 1000 {
		name := fmt.Sprintf("n%d.example.com.", i)
		c.put(keyFor(query(t, name+" TXT")), said(t, name+" TXT", 0, name+" 300 TXT "+strings.Repeat("x", i%250)), noon)
		if c.bytes > 20_000 || c.bytes <= 0 {
			t.Fatalf("got %d bytes; want 20,000 at most", c.bytes)
		}
	}
	if len(c.entries) < 5 {
		t.Errorf("got %d entries; want as many as fit", len(c.entries))
	}
	huge := said(t, "huge.example.com. TXT", 0, "huge.example.com. 300 TXT"+strings.Repeat(" "+strings.Repeat("x", 250), 40))
	c.put(keyFor(query(t, "huge.example.com. TXT")), huge, noon)
	if _, how := c.get(keyFor(query(t, "huge.example.com. TXT")), noon); how != absent {
		t.Error("an answer larger than the cache is in it")
	}
	for c.used.Len() > 0 {
		c.remove(c.used.Back())
	}
	if c.bytes != 0 || len(c.entries) != 0 {
		t.Errorf("empty, it has %d bytes, %d entries", c.bytes, len(c.entries))
	}
}

func FuzzCache(f *testing.F) {
	for _, m := range []*dns.Msg{
		said(f, "www.example.com. A", 0, "www.example.com. 300 A 192.0.2.1"),
		said(f, "nosuch.example.com. A", dns.RcodeNameError, "authority\n"+soaLine+"120"),
		said(f, "www.example.com. A", dns.RcodeServerFailure, ""),
	} {
		wire, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire, int64(0))
		f.Add(wire, int64(400))
	}
	f.Fuzz(func(t *testing.T, wire []byte, after int64) {
		got := new(dns.Msg)
		if got.Unpack(wire) != nil || len(got.Question) != 1 {
			return
		}
		q := new(dns.Msg)
		q.Question = got.Question
		if _, err := answerTo(q, got); err != nil {
			return
		}
		c := newCache(2, 1<<20)
		c.put(keyFor(q), got, noon)
		forwarder := NewForwarder(Forward{}, labSelf).forServer(labSelf)
		m, how := c.get(keyFor(q), noon.Add(time.Duration(after%100_000)*time.Second))
		if how == absent {
			return
		}
		for i, rr := range m.Answer {
			if was := got.Answer[i].Header().Ttl; how == fresh && rr.Header().Rrtype != dns.TypeOPT && rr.Header().Ttl > was {
				t.Errorf("TTL %d was %d", rr.Header().Ttl, was)
			}
		}
		if _, err := pack(forwarder.relay(q, m, how != fresh), ednsSize, nil); err != nil {
			t.Logf("cannot be written: %v", err)
		}
	})
}
