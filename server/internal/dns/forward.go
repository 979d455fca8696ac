package dns

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	// upstreamTimeout is how long one upstream may take, by UDP, and again by TCP. Stub resolvers ask again after 5 s.
	upstreamTimeout = 2 * time.Second

	// maxForwarded requests wait for upstreams at once; more get SERVFAIL.
	maxForwarded = 256
)

// Forward says who is asked for names that are not ours, and for whom. The zero value asks nobody.
type Forward struct {
	Upstreams []netip.AddrPort // asked in this order, until one answers
	Allow     []netip.Prefix   // the clients that it is done for; others are refused
}

// forwarder asks upstreams, for so many requests at once.
type forwarder struct {
	config  Forward
	slots   chan struct{}
	running sync.WaitGroup
}

func newForwarder(config Forward) *forwarder {
	return &forwarder{config: config, slots: make(chan struct{}, maxForwarded)}
}

// serves says whether the client's other questions are forwarded.
func (f *forwarder) serves(client netip.Addr) bool {
	if len(f.config.Upstreams) == 0 {
		return false
	}
	client = client.Unmap().WithZone("")
	for _, prefix := range f.config.Allow {
		if prefix.Contains(client) {
			return true
		}
	}
	return false
}

// start runs act in a goroutine of the forwarder's, or says that there are too many already. wait waits for it.
func (f *forwarder) start(act func()) bool {
	if !f.take() {
		return false
	}
	f.running.Go(func() {
		defer f.release()
		act()
	})
	return true
}

// take takes a slot if one is free.
func (f *forwarder) take() bool {
	select {
	case f.slots <- struct{}{}:
		return true
	default:
		return false
	}
}

func (f *forwarder) release() { <-f.slots }

func (f *forwarder) wait() { f.running.Wait() }

// answer asks the upstreams q's question, and returns the answer for the client; SERVFAIL where no upstream has one.
// The error says why, for the log.
func (f *forwarder) answer(ctx context.Context, q *dns.Msg) (*dns.Msg, error) {
	m := reply(q)
	m.RecursionAvailable = true
	got, err := f.ask(ctx, outgoing(q))
	if got == nil {
		m.Rcode = dns.RcodeServerFailure
		return m, err
	}
	m.Rcode = got.Rcode & 0xf // an extended code is about our own OPT record
	m.AuthenticatedData = got.AuthenticatedData
	m.Answer, m.Ns = got.Answer, got.Ns
	for _, rr := range got.Extra {
		if rr.Header().Rrtype != dns.TypeOPT { // it is about the hop to the upstream
			m.Extra = append(m.Extra, rr)
		}
	}
	return m, err
}

// outgoing is the request to the upstream: q's question, in a message of our own.
func outgoing(q *dns.Msg) *dns.Msg {
	m := new(dns.Msg)
	m.Id = dns.Id()
	m.RecursionDesired, m.CheckingDisabled, m.AuthenticatedData = true, q.CheckingDisabled, q.AuthenticatedData
	m.Question = q.Question
	opt := q.IsEdns0()
	m.SetEdns0(ednsSize, opt != nil && opt.Do())
	return m
}

// ask tries one upstream after the other. An upstream that fails or refuses is passed over; when all do, the last
// word that one of them gave counts.
func (f *forwarder) ask(ctx context.Context, m *dns.Msg) (*dns.Msg, error) {
	var last *dns.Msg
	var failed error
	for _, upstream := range f.config.Upstreams {
		got, err := exchange(ctx, m, upstream.String())
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("ask %s for %s: %w", upstream, m.Question[0].Name, err))
			continue
		}
		if got.Rcode == dns.RcodeServerFailure || got.Rcode == dns.RcodeRefused {
			last = got
			continue
		}
		return got, nil
	}
	return last, failed
}

// exchange asks one upstream by UDP, and by TCP where the answer does not fit.
func exchange(ctx context.Context, m *dns.Msg, upstream string) (*dns.Msg, error) {
	got, err := exchangeBy(ctx, "udp", m, upstream)
	if err == nil && got.Truncated {
		return exchangeBy(ctx, "tcp", m, upstream)
	}
	return got, err
}

// exchangeBy asks over one transport.
func exchangeBy(ctx context.Context, network string, m *dns.Msg, upstream string) (*dns.Msg, error) {
	client := &dns.Client{Net: network, Timeout: upstreamTimeout}
	got, _, err := client.ExchangeContext(ctx, m, upstream)
	if err != nil {
		return nil, err
	}
	if !answers(got, m) {
		return nil, errors.New("it answered another question")
	}
	return got, nil
}

// answers says whether got is an answer to m. The library has compared the ids only.
func answers(got, m *dns.Msg) bool {
	return got.Response && len(got.Question) == 1 &&
		got.Question[0].Qtype == m.Question[0].Qtype && got.Question[0].Qclass == m.Question[0].Qclass &&
		strings.EqualFold(got.Question[0].Name, m.Question[0].Name)
}
