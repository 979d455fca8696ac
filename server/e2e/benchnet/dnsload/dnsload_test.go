package dnsload

import (
	"math"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

var few = Hosts{Domain: "lab.test", Count: 300}

func TestTheZonesHaveEveryHost(t *testing.T) {
	zones, err := few.Zones()
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]int{}
	for _, z := range zones {
		p := dns.NewZoneParser(strings.NewReader(z.Text), "", z.Name)
		for rr, ok := p.Next(); ok; rr, ok = p.Next() {
			if !dns.IsSubDomain(dns.Fqdn(z.Name), rr.Header().Name) {
				t.Fatalf("zone %s has %s, which is not in it", z.Name, rr)
			}
			have[strings.TrimPrefix(rr.String(), rr.Header().Name+"\t60\t")]++
			have[dns.TypeToString[rr.Header().Rrtype]]++
		}
		if err := p.Err(); err != nil {
			t.Errorf("zone %s: %v", z.Name, err)
		}
	}
	for what, want := range map[string]int{
		"SOA": 3, "NS": 3, "A": few.Count + 1, "AAAA": few.Count, "PTR": 2 * few.Count,
		"IN\tA\t10.97.1.43": 1, "IN\tAAAA\tfd00:99::2:0:12b": 1, "IN\tPTR\tnode-00299.lab.test.": 2,
	} {
		if have[what] != want {
			t.Errorf("got %d of %q; want %d", have[what], what, want)
		}
	}
}

func TestTheMixHasItsParts(t *testing.T) {
	const count = 6_000
	text, err := few.Mix(count)
	if err != nil {
		t.Fatal(err)
	}
	again, err := few.Mix(count)
	if err != nil || again != text {
		t.Errorf("got another mix the second time, or %v; want the same", err)
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) != count {
		t.Fatalf("got %d queries; want %d", len(lines), count)
	}
	parts, mixed := map[string]float64{}, 0.0
	for _, line := range lines {
		name, kind, _ := strings.Cut(line, " ")
		parts[kind] += 1.0 / count
		if strings.HasPrefix(strings.ToLower(name), "no-") {
			parts["missing"] += 1.0 / count
		}
		if name != strings.ToLower(name) {
			mixed += 1.0 / count
		}
	}
	for kind, want := range map[string]float64{
		"A": (shareA + shareMissing) / 100.0, "AAAA": shareAAAA / 100.0, "PTR": (sharePTR + sharePTR6 + shareMissing4) / 100.0,
		"missing": shareMissing / 100.0, "MX": 0.03,
	} {
		if math.Abs(parts[kind]-want) > 0.02 {
			t.Errorf("got %.3f of %s; want %.3f", parts[kind], kind, want)
		}
	}
	if mixed < 0.25 || mixed > 0.34 {
		t.Errorf("got %.3f with letters of either case; want about a third", mixed)
	}
}

const report = `Statistics:

  Queries sent:         151042
  Queries completed:    151040 (100.00%)
  Queries lost:         2 (0.00%)

  Response codes:       NOERROR 128384 (85.00%), NXDOMAIN 22656 (15.00%)
  Average packet size:  request 39, response 61
  Run time (s):         4.000571
  Queries per second:   37754.610529

  Average Latency (s):  0.002497 (min 0.000161, max 0.021853)
`

func TestTheReportIsRead(t *testing.T) {
	got, err := parse([]byte(report))
	want := Result{Completed: 151040, Lost: 2, Rate: 37754.610529, Codes: map[string]int{"NOERROR": 128384, "NXDOMAIN": 22656}}
	if err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("got %v; (-want +got):\n%s", err, cmp.Diff(want, got))
	}
	if share := got.Share("NXDOMAIN"); math.Abs(share-0.15) > 1e-9 {
		t.Errorf("got a share of %v; want 0.15", share)
	}
	if _, err := parse([]byte("Error: unable to open input file")); err == nil {
		t.Error("got no error of an error message")
	}
}

func TestAddressesOfAnAnswer(t *testing.T) {
	m := new(dns.Msg)
	for _, text := range []string{"a.test. 60 IN CNAME b.test.", "b.test. 60 IN A 192.0.2.7", "b.test. 60 IN AAAA 2001:db8::7"} {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		m.Answer = append(m.Answer, rr)
	}
	got := addresses(m)
	want := []netip.Addr{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
