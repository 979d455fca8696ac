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

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const (
	// upstreamTimeout is how long one upstream may take, by UDP, and again by TCP. Stub resolvers ask again after 5 s.
	upstreamTimeout = 2 * time.Second

	// An upstream that failed is asked after the others for firstRest, which doubles with each failure up to longRest.
	firstRest, longRest = time.Second, 30 * time.Second
)

// An Upstream is a server that names elsewhere are asked of.
type Upstream struct {
	Addr netip.AddrPort
	// Name is what the server's certificate must be valid for; with it the server is asked by TLS (RFC 7858), without
	// by UDP and TCP.
	Name string
}

// ParseUpstream reads an upstream as a person writes it: 192.0.2.1, 192.0.2.1:5353, 2001:db8::1, [2001:db8::1]:53, or
// tls://192.0.2.1:853#dns.example.com for one that is asked by TLS and has a certificate of that name. Without a port
// it is 53, and 853 for TLS. Everything else is metal.Invalid.
func ParseUpstream(text string) (Upstream, error) {
	invalid := func(why string) (Upstream, error) {
		return Upstream{}, metal.Errorf(metal.Invalid, "%.100q is no DNS server to ask: %s; write it as in 192.0.2.1, [2001:db8::1]:53 or tls://192.0.2.1:853#dns.example.com", text, why)
	}
	var u Upstream
	port := uint16(53)
	address, secure := strings.CutPrefix(text, "tls://")
	if secure {
		port = 853
		var ok bool
		if address, u.Name, ok = strings.Cut(address, "#"); !ok {
			return invalid("TLS needs the name in the server's certificate, behind a #")
		}
		u.Name = strings.TrimSuffix(strings.ToLower(u.Name), ".")
		if !isHostName(u.Name) {
			return invalid("what stands behind the # is no host name")
		}
	}
	given, err := netip.ParseAddrPort(address)
	if err != nil {
		bare := address
		if inner, ok := strings.CutPrefix(address, "["); ok && strings.HasSuffix(inner, "]") {
			bare = strings.TrimSuffix(inner, "]")
		}
		addr, err := netip.ParseAddr(bare)
		if err != nil || addr.Is4() && bare != address {
			return invalid("it does not begin with an IP address")
		}
		given = netip.AddrPortFrom(addr, port)
	}
	if strings.ContainsAny(given.Addr().Zone(), "[]:#%/ ") {
		return invalid("there is no interface of that name")
	}
	u.Addr = netip.AddrPortFrom(given.Addr().Unmap(), given.Port())
	if u.Addr.Port() == 0 || u.Addr.Addr().IsUnspecified() || u.Addr.Addr().IsMulticast() {
		return invalid("nobody can be reached there")
	}
	return u, nil
}

// isHostName says whether a text is a host name, as certificates have them.
func isHostName(text string) bool {
	if _, err := netip.ParseAddr(text); err == nil || len(text) > 253 {
		return false
	}
	for label := range strings.SplitSeq(text, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return true
}

// String is the upstream as ParseUpstream reads it.
func (u Upstream) String() string {
	if u.Name != "" {
		return "tls://" + u.Addr.String() + "#" + u.Name
	}
	return u.Addr.String()
}

// upstream is an Upstream with what is known of how it does.
type upstream struct {
	Upstream
	tls *tlsClient // nil for one that is asked by UDP

	mu       sync.Mutex
	failures int
	rests    time.Time // until then it is asked after the others
}

// resting says whether others are to be asked first.
func (u *upstream) resting(now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return now.Before(u.rests)
}

// note remembers whether it answered.
func (u *upstream) note(ok bool, now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if ok {
		u.failures, u.rests = 0, time.Time{}
		return
	}
	u.rests = now.Add(min(firstRest<<min(u.failures, 10), longRest))
	u.failures++
}

// inOrder are the upstreams as they are to be asked: those that rest are last.
func inOrder(all []*upstream, now time.Time) []*upstream {
	var first, last []*upstream
	for _, u := range all {
		if u.resting(now) {
			last = append(last, u)
		} else {
			first = append(first, u)
		}
	}
	return append(first, last...)
}

// exchange asks the upstream: by TLS, or by UDP and then by TCP where the answer does not fit.
func (u *upstream) exchange(ctx context.Context, m *dns.Msg) (*dns.Msg, error) {
	if u.tls != nil {
		return u.tls.exchange(ctx, m)
	}
	got, err := exchangeBy(ctx, "udp", m, u.Addr.String())
	if err == nil && got.Truncated {
		return exchangeBy(ctx, "tcp", m, u.Addr.String())
	}
	return got, err
}

// exchangeBy asks over one transport, from a port of its own that nobody can know before.
func exchangeBy(ctx context.Context, network string, m *dns.Msg, upstream string) (*dns.Msg, error) {
	client := &dns.Client{Net: network, Timeout: upstreamTimeout, UDPSize: ednsSize}
	conn, err := client.DialContext(ctx, upstream)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() }) // the library looks at the deadline only
	defer stop()
	got, _, err := client.ExchangeWithConnContext(ctx, m, conn)
	if err != nil {
		return nil, err
	}
	return answerTo(m, got)
}

var errOther = errors.New("it answered another question")

// answerTo returns got if it is an answer to m. The ids are the same.
func answerTo(m, got *dns.Msg) (*dns.Msg, error) {
	if !got.Response || got.Opcode != dns.OpcodeQuery || len(got.Question) != 1 ||
		got.Question[0].Qtype != m.Question[0].Qtype || got.Question[0].Qclass != m.Question[0].Qclass ||
		!strings.EqualFold(got.Question[0].Name, m.Question[0].Name) {
		return nil, errOther
	}
	return got, nil
}

// failed says that an answer is none that helps anybody: another upstream may know more.
func failed(m *dns.Msg) bool {
	return m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError && m.Rcode != dns.RcodeYXDomain
}

// askAll asks upstreams until one answers. The next one is asked when one fails, or is slow, which is then still waited
// for. Where none helps, the last word that one of them gave counts.
func askAll(ctx context.Context, all []*upstream, m *dns.Msg) (last *dns.Msg, err error) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	type result struct {
		*upstream
		got *dns.Msg
		err error
	}
	order := inOrder(all, time.Now())
	results := make(chan result, len(order))
	slow := time.NewTimer(slowUpstream)
	defer slow.Stop()
	asked, open := 0, 0
	next := func() {
		if asked == len(order) {
			return
		}
		u := order[asked]
		asked++
		open++
		running.Go(func() {
			mine := m.Copy()
			mine.Id = dns.Id()
			got, err := u.exchange(ctx, mine)
			results <- result{u, got, err}
		})
		slow.Reset(slowUpstream)
	}
	next()
	for open > 0 {
		select {
		case <-slow.C:
			next()
			continue
		case r := <-results:
			open--
			if ctx.Err() == nil {
				r.note(r.err == nil, time.Now())
			}
			switch {
			case r.err != nil:
				err = errors.Join(err, fmt.Errorf("ask %s for %s: %w", r.Upstream, m.Question[0].Name, r.err))
			case failed(r.got):
				last = r.got
			default:
				return r.got, nil
			}
		}
		next()
	}
	return last, err
}

// slowUpstream is how long an upstream is waited for before the next one is asked as well.
const slowUpstream = 400 * time.Millisecond
