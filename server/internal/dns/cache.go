package dns

import (
	"container/list"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	maxCacheEntries = 50_000
	maxCacheBytes   = 32 << 20

	maxTTL         = 24 * time.Hour   // that an answer is kept, whatever it says (RFC 8767, section 4)
	maxNegativeTTL = 3 * time.Hour    // that a denial is (RFC 2308, section 5)
	failureTTL     = time.Second      // that upstreams' failure is (RFC 9520, section 3.2)
	staleFor       = time.Hour        // that an answer is used beyond its time while upstreams fail (RFC 8767)
	staleTTL       = 30 * time.Second // that others may keep it (RFC 8767, section 4)
	staleRetry     = 5 * time.Second  // before upstreams are asked again (RFC 8767, section 5)
)

// A cacheKey is what an answer depends on.
type cacheKey struct {
	name   string // in lower case
	qtype  uint16
	do, cd bool
}

func keyFor(q *dns.Msg) cacheKey {
	opt := q.IsEdns0()
	return cacheKey{strings.ToLower(q.Question[0].Name), q.Question[0].Qtype, opt != nil && opt.Do(), q.CheckingDisabled}
}

// cached is one answer of an upstream. It never changes but for retry.
type cached struct {
	key     cacheKey
	msg     *dns.Msg
	stored  time.Time
	expires time.Time
	retry   time.Time // while stale it is used without asking until then
	size    int
}

// cache keeps the answers of upstreams (RFC 2181, RFC 2308), those that were used last, so many and so many bytes.
type cache struct {
	mu      sync.Mutex
	entries map[cacheKey]*list.Element // of *cached
	used    *list.List                 // the last used first
	bytes   int
	limit   int // entries
	space   int // bytes
}

func newCache(entries, bytes int) *cache {
	return &cache{entries: map[cacheKey]*list.Element{}, used: list.New(), limit: entries, space: bytes}
}

// A freshness says what an answer of the cache is good for.
type freshness int

const (
	absent freshness = iota
	fresh            // as if an upstream had just said it
	stale            // if upstreams fail
	resort           // as they do just now
)

// get returns what is known at a time, with TTLs counted down.
func (c *cache) get(key cacheKey, now time.Time) (*dns.Msg, freshness) {
	c.mu.Lock()
	defer c.mu.Unlock()
	element, ok := c.entries[key]
	if !ok {
		return nil, absent
	}
	e := element.Value.(*cached)
	if now.Before(e.stored) { // the clock was set back: nothing is known of its age
		c.remove(element)
		return nil, absent
	}
	if now.Before(e.expires) {
		c.used.MoveToFront(element)
		return aged(e.msg, now.Sub(e.stored), 0), fresh
	}
	if failed(e.msg) || !now.Before(e.expires.Add(staleFor)) {
		c.remove(element)
		return nil, absent
	}
	c.used.MoveToFront(element)
	if now.Before(e.retry) {
		return aged(e.msg, now.Sub(e.stored), staleTTL), resort
	}
	return aged(e.msg, now.Sub(e.stored), staleTTL), stale
}

// put remembers an answer, if it may be: one that failed only where nothing better is there.
func (c *cache) put(key cacheKey, m *dns.Msg, now time.Time) {
	ttl := ttlOf(m)
	if ttl <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if element, ok := c.entries[key]; ok {
		e := element.Value.(*cached)
		if failed(m) && !failed(e.msg) && now.Before(e.expires.Add(staleFor)) {
			e.retry = now.Add(staleRetry)
			return
		}
		c.remove(element)
	}
	const overhead = 512 // of the maps, lists and pointers
	e := &cached{key: key, msg: m, stored: now, expires: now.Add(ttl), size: overhead + 3*m.Len()}
	if e.size > c.space {
		return
	}
	c.entries[key] = c.used.PushFront(e)
	c.bytes += e.size
	for len(c.entries) > c.limit || c.bytes > c.space {
		c.remove(c.used.Back())
	}
}

func (c *cache) remove(element *list.Element) {
	e := c.used.Remove(element).(*cached)
	delete(c.entries, e.key)
	c.bytes -= e.size
}

// ttlOf is how long an answer may be kept; 0 is not at all.
func ttlOf(m *dns.Msg) time.Duration {
	if failed(m) {
		return failureTTL
	}
	if m.Truncated {
		return 0
	}
	least, limit := maxTTL, maxTTL
	if negative(m) {
		soa, ok := denial(m)
		if !ok {
			return 0 // RFC 2308, section 5
		}
		least, limit = seconds(soa.Minttl), maxNegativeTTL
	}
	for _, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, rr := range section {
			if rr.Header().Rrtype != dns.TypeOPT {
				least = min(least, seconds(rr.Header().Ttl))
			}
		}
	}
	return min(least, limit)
}

// seconds is a TTL; one with the highest bit set is 0 (RFC 2181, section 8).
func seconds(ttl uint32) time.Duration {
	if int32(ttl) < 0 {
		return 0
	}
	return time.Duration(ttl) * time.Second
}

// negative says whether an answer denies that there is a name, or a record of that type (RFC 2308, section 2), at the
// end of a chain of aliases or without one.
func negative(m *dns.Msg) bool {
	if m.Rcode == dns.RcodeNameError {
		return true
	}
	for _, rr := range m.Answer {
		if t := rr.Header().Rrtype; t == m.Question[0].Qtype || m.Question[0].Qtype == dns.TypeANY {
			return false
		}
	}
	return true
}

func denial(m *dns.Msg) (*dns.SOA, bool) {
	for _, rr := range m.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			return soa, true
		}
	}
	return nil, false
}

// aged is a copy of an answer after a while; its records have at least a TTL.
func aged(m *dns.Msg, age, least time.Duration) *dns.Msg {
	m = m.Copy()
	for _, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, rr := range section {
			if h := rr.Header(); h.Rrtype != dns.TypeOPT {
				left := min(seconds(h.Ttl), maxTTL) - age
				if least > 0 {
					left = least // it is beyond its time
				}
				h.Ttl = uint32(max(left, 0).Round(time.Second) / time.Second)
			}
		}
	}
	return m
}
