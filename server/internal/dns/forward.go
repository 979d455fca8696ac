package dns

import (
	"context"
	"crypto/x509"
	"errors"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/singleflight"
)

const (
	// maxForwarded requests wait for upstreams at once; more get SERVFAIL.
	maxForwarded = 256

	// stalePatience is how long upstreams are waited for when there is an answer beyond its time (RFC 8767, section 5).
	stalePatience = 1800 * time.Millisecond
)

// Forward says who is asked for names that are not ours, and for whom. The zero value asks nobody.
type Forward struct {
	Upstreams []Upstream     // asked in this order, until one answers; one that fails or is slow is passed over
	Allow     []netip.Prefix // the clients that it is done for; others are refused
	Roots     *x509.CertPool // who signs the certificates of upstreams; nil is whom this machine trusts
}

// A Forwarder asks upstreams, for so many requests at once, and remembers what they said, for all the servers that it
// is given to. It must be closed after they have ended.
type Forwarder struct {
	config    Forward
	self      Self
	upstreams []*upstream
	cache     *cache
	flights   singleflight.Group // by cacheKey
	asking    *slots
}

// NewForwarder makes a forwarder; self is what its answers tell of us.
func NewForwarder(config Forward, self Self) *Forwarder {
	f := &Forwarder{asking: newSlots(maxForwarded), config: config, self: self, cache: newCache(maxCacheEntries, maxCacheBytes)}
	for _, u := range config.Upstreams {
		one := &upstream{Upstream: u}
		if u.Name != "" {
			one.tls = newTLSClient(u, config.Roots)
		}
		f.upstreams = append(f.upstreams, one)
	}
	return f
}

// Close ends the connections to upstreams.
func (f *Forwarder) Close() {
	for _, u := range f.upstreams {
		if u.tls != nil {
			u.tls.close()
		}
	}
}

// forwarder is a Forwarder for one server, which counts and waits for its own requests.
type forwarder struct {
	*Forwarder
	*slots
	hits  atomic.Uint64
	asked atomic.Uint64
}

// forServer makes a share of f; a nil one asks nobody.
func (f *Forwarder) forServer(self Self) *forwarder {
	if f == nil {
		f = NewForwarder(Forward{}, self)
	}
	return &forwarder{Forwarder: f, slots: f.asking.share()}
}

// serves says whether the client's other questions are forwarded.
func (f *forwarder) serves(client netip.Addr) bool {
	return len(f.upstreams) > 0 && within(f.config.Allow, client)
}

// known answers q from the cache, if that can be done without asking.
func (f *forwarder) known(q *dns.Msg, now time.Time) (*dns.Msg, bool) {
	got, how := f.cache.get(keyFor(q), now)
	if how != fresh && how != resort {
		return nil, false
	}
	f.hits.Add(1)
	return f.relay(q, got, how == resort), true
}

// answer asks the upstreams q's question, and returns the answer for the client; SERVFAIL where no upstream has one.
// The error says why, for the log. Clients who ask the same at once wait for one answer.
func (f *forwarder) answer(ctx context.Context, q *dns.Msg) (*dns.Msg, error) {
	type result struct {
		msg *dns.Msg
		old bool
	}
	key := keyFor(q)
	flight := key.name + " " + dns.Type(key.qtype).String() + string([]byte{' ', bit(key.do), bit(key.cd)})
	for {
		led := false
		got, err, _ := f.flights.Do(flight, func() (any, error) {
			led = true
			msg, old, err := f.lookup(ctx, q, key)
			return result{msg, old}, err
		})
		// Another server that asked for all of us, and was stopped meanwhile, has no answer for us.
		if errors.Is(err, context.Canceled) && !led && ctx.Err() == nil {
			continue
		}
		r := got.(result)
		return f.relay(q, r.msg, r.old), err
	}
}

func bit(b bool) byte {
	if b {
		return '1'
	}
	return '0'
}

// lookup asks upstreams. Where they fail, what they said before is used, and old says so; msg is nil where nobody ever
// said anything.
func (f *forwarder) lookup(ctx context.Context, q *dns.Msg, key cacheKey) (msg *dns.Msg, old bool, err error) {
	before, how := f.cache.get(key, time.Now())
	if how == fresh { // another request was quicker
		return before, false, nil
	}
	limit := 2 * upstreamTimeout
	if how != absent {
		limit = stalePatience
	}
	asking, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	f.asked.Add(1)
	got, err := askAll(asking, f.upstreams, outgoing(q))
	if ctx.Err() != nil {
		return nil, false, ctx.Err()
	}
	if got != nil && !failed(got) {
		f.cache.put(key, got, time.Now())
		return got, false, nil
	}
	failure := got
	if failure == nil {
		failure = new(dns.Msg).SetRcode(q, dns.RcodeServerFailure)
	}
	f.cache.put(key, failure, time.Now())
	if how != absent {
		return before, true, err
	}
	return got, false, err
}

// relay is what the client that asked q is told of what an upstream said: SERVFAIL where that is nil.
func (f *forwarder) relay(q, got *dns.Msg, old bool) *dns.Msg {
	m := reply(q, f.self)
	m.RecursionAvailable = true
	if got == nil {
		m.Rcode = dns.RcodeServerFailure
		return m
	}
	m.Rcode = got.Rcode
	if got.Rcode > 0xf { // an extended code is about our own OPT record
		m.Rcode = dns.RcodeServerFailure
	}
	opt := q.IsEdns0()
	// Only who asks for it is told what the upstream has validated (RFC 6840, section 5.8).
	m.AuthenticatedData = got.AuthenticatedData && (q.AuthenticatedData || opt != nil && opt.Do())
	m.Answer, m.Ns = spelled(got.Answer, q.Question[0].Name), got.Ns
	for _, rr := range got.Extra {
		if t := rr.Header().Rrtype; t != dns.TypeOPT && t != dns.TypeTSIG { // they are about the hop to the upstream
			m.Extra = append(m.Extra, rr)
		}
	}
	if mine := m.IsEdns0(); mine != nil && old {
		mine.Option = append(mine.Option, &dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeStaleAnswer})
	}
	return m
}

// spelled are the records with the name that was asked for written as in the question.
func spelled(rrs []dns.RR, qname string) []dns.RR {
	list := make([]dns.RR, len(rrs))
	for i, rr := range rrs {
		if name := rr.Header().Name; name != qname && strings.EqualFold(name, qname) {
			rr = dns.Copy(rr)
			rr.Header().Name = qname
		}
		list[i] = rr
	}
	return list
}

// outgoing is the request to the upstream: q's question, in a message of our own.
func outgoing(q *dns.Msg) *dns.Msg {
	m := new(dns.Msg)
	m.RecursionDesired, m.CheckingDisabled, m.AuthenticatedData = true, q.CheckingDisabled, true
	m.Question = q.Question
	opt := q.IsEdns0()
	m.SetEdns0(ednsSize, opt != nil && opt.Do())
	return m
}
