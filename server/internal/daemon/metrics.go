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

// dnsServers are the name servers that were started: one for each address. One that ended is kept with what it counted.
type dnsServers struct {
	mu   sync.Mutex
	list []*dns.Server
}

func (s *dnsServers) add(server *dns.Server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, server)
}

// sum is what all of them counted.
func (s *dnsServers) sum() dns.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := dns.Stats{Answers: map[int]uint64{}}
	for _, server := range s.list {
		n := server.Stats()
		sum.UDP, sum.TCP, sum.Forwarded, sum.CacheHits = sum.UDP+n.UDP, sum.TCP+n.TCP, sum.Forwarded+n.Forwarded, sum.CacheHits+n.CacheHits
		sum.Transfers, sum.Updates, sum.Limited, sum.Dropped = sum.Transfers+n.Transfers, sum.Updates+n.Updates, sum.Limited+n.Limited, sum.Dropped+n.Dropped
		for code, answers := range n.Answers {
			sum.Answers[code] += answers
		}
	}
	return sum
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
