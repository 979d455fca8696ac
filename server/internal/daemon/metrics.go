package daemon

import (
	"net/http"
	"strconv"
	"sync"

	miekg "github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/metalform/terraform-provider-metal/server/internal/dns"
)

// counters are what the services count, for the metrics.
type counters struct{ dns dnsServers }

// dnsServers are the name servers that run, one for each address, and what those counted that ended.
type dnsServers struct {
	mu    sync.Mutex
	now   map[*dns.Server]bool
	ended dns.Stats
}

// add counts a server in until end is called.
func (s *dnsServers) add(server *dns.Server) (end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == nil {
		s.now = map[*dns.Server]bool{}
	}
	s.now[server] = true
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.now, server)
		s.ended = plus(s.ended, server.Stats())
	}
}

// sum is what all of them counted.
func (s *dnsServers) sum() dns.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := s.ended
	for server := range s.now {
		sum = plus(sum, server.Stats())
	}
	return sum
}

func plus(a, b dns.Stats) dns.Stats {
	answers := map[int]uint64{}
	for _, counted := range []map[int]uint64{a.Answers, b.Answers} {
		for code, n := range counted {
			answers[code] += n
		}
	}
	return dns.Stats{
		UDP: a.UDP + b.UDP, TCP: a.TCP + b.TCP, Answers: answers, Forwarded: a.Forwarded + b.Forwarded, CacheHits: a.CacheHits + b.CacheHits,
		Transfers: a.Transfers + b.Transfers, Updates: a.Updates + b.Updates, Limited: a.Limited + b.Limited, Dropped: a.Dropped + b.Dropped,
	}
}

var (
	dnsRequests = prometheus.NewDesc("metald_dns_requests_total", "DNS requests by transport.", []string{"transport"}, nil)
	dnsAnswers  = prometheus.NewDesc("metald_dns_answers_total", "DNS answers by response code.", []string{"code"}, nil)
	dnsEvents   = prometheus.NewDesc("metald_dns_events_total", "What became of DNS requests besides: forwarded, cache_hit, transfer, update, limited or dropped.", []string{"event"}, nil)
)

// Describe is prometheus.Collector's.
func (c *counters) Describe(to chan<- *prometheus.Desc) {
	to <- dnsRequests
	to <- dnsAnswers
	to <- dnsEvents
}

// Collect is prometheus.Collector's.
func (c *counters) Collect(to chan<- prometheus.Metric) {
	n := c.dns.sum()
	count := func(desc *prometheus.Desc, value uint64, label string) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(value), label)
	}
	count(dnsRequests, n.UDP, "udp")
	count(dnsRequests, n.TCP, "tcp")
	for code, answers := range n.Answers {
		name := miekg.RcodeToString[code]
		if name == "" {
			name = strconv.Itoa(code)
		}
		count(dnsAnswers, answers, name)
	}
	for event, value := range map[string]uint64{
		"forwarded": n.Forwarded, "cache_hit": n.CacheHits, "transfer": n.Transfers, "update": n.Updates, "limited": n.Limited, "dropped": n.Dropped,
	} {
		count(dnsEvents, value, event)
	}
}

// metrics serves the counters, and those of the Go runtime and the process, as Prometheus reads them.
func (d *Daemon) metrics() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(&d.counters, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}
