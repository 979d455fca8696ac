package daemon

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/server/internal/dns"
)

func TestMetricsAreReadByPrometheus(t *testing.T) {
	d := &Daemon{}
	d.counters.dns.ended = dns.Stats{UDP: 7, TCP: 2, Answers: map[int]uint64{0: 8, 3: 1}, CacheHits: 4}
	w := httptest.NewRecorder()
	d.metrics().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	text, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		`metald_dns_requests_total{transport="udp"} 7`, `metald_dns_answers_total{code="NXDOMAIN"} 1`,
		`metald_dns_events_total{event="cache_hit"} 4`, "process_resident_memory_bytes",
	} {
		if !strings.Contains(string(text), line) {
			t.Errorf("got no %q in\n%s", line, text)
		}
	}
}

func TestWhatAServerCountedOutlivesIt(t *testing.T) {
	var servers dnsServers
	server := dns.New(nil, nil, nil, dns.Self{}, dns.Config{}, quiet(t))
	end := servers.add(server)
	before := servers.sum()
	end()
	if diff := cmp.Diff(before, servers.sum()); diff != "" {
		t.Errorf("after its end (-before +after):\n%s", diff)
	}
	if len(servers.now) != 0 {
		t.Error("it is kept, and with it all that it remembers")
	}
	got := plus(dns.Stats{UDP: 1, Answers: map[int]uint64{0: 1}}, dns.Stats{UDP: 2, Limited: 3, Answers: map[int]uint64{0: 2, 5: 1}})
	if diff := cmp.Diff(dns.Stats{UDP: 3, Limited: 3, Answers: map[int]uint64{0: 3, 5: 1}}, got); diff != "" {
		t.Errorf("the sum (-want +got):\n%s", diff)
	}
}
