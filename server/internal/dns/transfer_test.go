package dns

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/zone"
)

func TestWhoMayCopyAZone(t *testing.T) {
	networks := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}
	cases := []struct {
		name   string
		spec   metal.TransferSpec
		client string
		key    string
		want   bool
	}{
		{"nobody, where nobody is named", metal.TransferSpec{}, "127.0.0.1", "", false},
		{"nor who has a key", metal.TransferSpec{}, "127.0.0.1", "xfer", false},
		{"nor who is notified", metal.TransferSpec{Notify: []string{"127.0.0.1"}}, "127.0.0.1", "", false},
		{"who comes from a network", metal.TransferSpec{Networks: networks}, "192.0.2.7", "", true},
		{"the same, as IPv6 sockets see it", metal.TransferSpec{Networks: networks}, "::ffff:192.0.2.7", "", true},
		{"who comes from an IPv6 network", metal.TransferSpec{Networks: networks}, "2001:db8::7", "", true},
		{"not who comes from elsewhere", metal.TransferSpec{Networks: networks}, "192.0.3.7", "", false},
		{"who has a key", metal.TransferSpec{Keys: []string{"other", "xfer"}}, "203.0.113.1", "xfer", true},
		{"not who has another", metal.TransferSpec{Keys: []string{"xfer"}}, "203.0.113.1", "other", false},
		{"not who has none", metal.TransferSpec{Keys: []string{"xfer"}}, "203.0.113.1", "", false},
		{"both, where both are named", metal.TransferSpec{Networks: networks, Keys: []string{"xfer"}}, "192.0.2.7", "xfer", true},
		{"not the key alone", metal.TransferSpec{Networks: networks, Keys: []string{"xfer"}}, "203.0.113.1", "xfer", false},
		{"not the network alone", metal.TransferSpec{Networks: networks, Keys: []string{"xfer"}}, "192.0.2.7", "", false},
		{"an empty name is no key", metal.TransferSpec{Keys: []string{""}}, "192.0.2.7", "", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := mayTransfer(c.spec, netip.MustParseAddr(c.client), c.key); got != c.want {
				t.Errorf("got %t; want %t", got, c.want)
			}
		})
	}
}

// small is a zone that loopback may copy, and that has changed twice.
func small(t testing.TB) *zone.Zones {
	t.Helper()
	z, err := zone.New(zone.Config{Zone: "lab.example", NameServer: "ns.lab.example", Serial: 10})
	if err != nil {
		t.Fatal(err)
	}
	z.Change(func(b *zone.Batch) {
		b.SetZone(metal.Zone{Name: "small.test", Spec: metal.ZoneSpec{Transfer: metal.TransferSpec{Networks: loopback}}})
		b.SetRecordSet(metal.RecordSet{Zone: "small.test", Name: "a", Type: "A", Spec: metal.RecordSetSpec{Values: []string{"192.0.2.1"}}})
	})
	for _, value := range []string{"192.0.2.2", "192.0.2.3"} {
		z.Change(func(b *zone.Batch) {
			b.SetRecordSet(metal.RecordSet{Zone: "small.test", Name: "a", Type: "A", Spec: metal.RecordSetSpec{Values: []string{value}}})
		})
	}
	return z
}

// ixfr is a request for what changed after a serial.
func ixfr(name string, serial uint32) *dns.Msg {
	return new(dns.Msg).SetIxfr(name, serial, "ns.", "hostmaster.")
}

// brief writes records as name, type and data, that of SOA records as the serial.
func brief(rrs []dns.RR) (list []string) {
	for _, rr := range rrs {
		if soa, ok := rr.(*dns.SOA); ok {
			list = append(list, fmt.Sprint("SOA ", soa.Serial))
			continue
		}
		fields := strings.Fields(rr.String())
		list = append(list, strings.Join(append(fields[:1:1], fields[3:]...), " "))
	}
	return list
}

func TestTransfers(t *testing.T) {
	zones := small(t)
	found, _ := zones.Now().Zone("small.test")
	now := found.Serial()
	soa := func(serial uint32) string { return fmt.Sprint("SOA ", serial) }
	all := []string{soa(now), "a.small.test. A 192.0.2.3", "small.test. NS ns.lab.example.", soa(now)}
	cases := []struct {
		name  string
		q     *dns.Msg
		from  string
		rcode int
		want  []string
	}{
		{"all of it", new(dns.Msg).SetAxfr("small.test."), "127.0.0.1", 0, all},
		{"a mix of capitals", new(dns.Msg).SetAxfr("SMALL.test."), "127.0.0.1", 0, all},
		{"what changed last", ixfr("small.test.", now-1), "127.0.0.1", 0,
			[]string{soa(now), soa(now - 1), "a.small.test. A 192.0.2.2", soa(now), "a.small.test. A 192.0.2.3", soa(now)}},
		{"two changes", ixfr("small.test.", now-2), "127.0.0.1", 0, []string{
			soa(now), soa(now - 2), "a.small.test. A 192.0.2.1", soa(now - 1), "a.small.test. A 192.0.2.2",
			soa(now - 1), "a.small.test. A 192.0.2.2", soa(now), "a.small.test. A 192.0.2.3", soa(now)}},
		{"a client that has everything", ixfr("small.test.", now), "127.0.0.1", 0, []string{soa(now)}},
		{"a client that has more than we", ixfr("small.test.", now+5), "127.0.0.1", 0, []string{soa(now)}},
		{"a serial from before the beginning", ixfr("small.test.", now-1000), "127.0.0.1", 0, all},
		{"a serial that is nowhere near (RFC 1982)", ixfr("small.test.", now-1<<30), "127.0.0.1", 0, all},
		{"IXFR without a serial", &dns.Msg{Question: ixfr("small.test.", 1).Question}, "127.0.0.1", dns.RcodeFormatError, nil},
		{"IXFR with something else than a serial", &dns.Msg{Question: ixfr("small.test.", 1).Question,
			Ns: []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: "small.test.", Rrtype: dns.TypeA}}}}, "127.0.0.1", dns.RcodeFormatError, nil},
		{"a client from elsewhere", new(dns.Msg).SetAxfr("small.test."), "192.0.2.1", dns.RcodeRefused, nil},
		{"a zone that nobody may copy", new(dns.Msg).SetAxfr("lab.example."), "127.0.0.1", dns.RcodeRefused, nil},
		{"a name within a zone", new(dns.Msg).SetAxfr("a.small.test."), "127.0.0.1", dns.RcodeNotAuth, nil},
		{"a zone that is not ours", new(dns.Msg).SetAxfr("example.com."), "127.0.0.1", dns.RcodeRefused, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := transferOf(c.q, zones.Now(), netip.MustParseAddr(c.from), "")
			if got.rcode != c.rcode {
				t.Errorf("got %s; want %s", dns.RcodeToString[got.rcode], dns.RcodeToString[c.rcode])
			}
			var list []string
			if got.records != nil {
				list = brief(slices.Collect(got.records))
			}
			if slices.Equal(c.want, all) && len(list) > 2 { // in no order of names
				slices.Sort(list[1 : len(list)-1])
			}
			if diff := cmp.Diff(c.want, list); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestEveryRecordIsInSomeMessageAndNoneIsTooLong(t *testing.T) {
	var rrs []dns.RR
	for i := range 5000 {
		rrs = append(rrs, &dns.TXT{Hdr: dns.RR_Header{Name: fmt.Sprintf("n%d.lab.example.", i), Rrtype: dns.TypeTXT, Class: dns.ClassINET}, Txt: []string{strings.Repeat("x", i%250)}})
	}
	long := make([]string, 200)
	for i := range long {
		long[i] = strings.Repeat("y", 255)
	}
	rrs[77].(*dns.TXT).Txt = long // 51,200 bytes, more than a message should have
	head := new(dns.Msg).SetReply(new(dns.Msg).SetAxfr("lab.example."))
	total, count := 0, 0
	for m := range messages(head, slices.Values(rrs)) {
		wire, err := m.Pack()
		if err != nil || len(wire) > 1<<16-1000 {
			t.Fatalf("message %d: got %d bytes, %v", count, len(wire), err)
		}
		if len(m.Question) > 0 != (count == 0) {
			t.Errorf("message %d has %d questions; want one in the first only", count, len(m.Question))
		}
		for i, rr := range m.Answer {
			if rr != rrs[total+i] {
				t.Fatalf("record %d is not in its place", total+i)
			}
		}
		total += len(m.Answer)
		count++
	}
	if total != len(rrs) || count < 10 {
		t.Errorf("got %d records in %d messages; want %d in many", total, count, len(rrs))
	}
}

func TestTransfersAreRefusedByDefault(t *testing.T) {
	_, server, _ := serveWith(t, rack(t), Config{Keys: xferKeys})
	for _, arguments := range []string{"rich.test AXFR", "+tcp lab.example IXFR=1", "-y hmac-sha256:xfer:" + encoded(xferSecret) + " rich.test AXFR", "0.31.172.in-addr.arpa AXFR"} {
		if got := dig(t, server, strings.Fields(arguments)...); !strings.Contains(got, "Transfer failed") && !strings.Contains(got, "status: REFUSED") {
			t.Errorf("dig %s: want it refused; got\n%s", arguments, got)
		}
	}
}

func TestDigCopiesAZone(t *testing.T) {
	zones := rack(t)
	zones.Change(func(b *zone.Batch) {
		b.SetZone(metal.Zone{Name: "rich.test", Spec: metal.ZoneSpec{Transfer: metal.TransferSpec{Keys: []string{"xfer", "hmac-sha384", "hmac-sha512"}}}})
		for i := range 3000 { // so that it takes many messages
			b.SetRecordSet(metal.RecordSet{Zone: "rich.test", Name: fmt.Sprintf("n%d", i), Type: "TXT", Spec: metal.RecordSetSpec{Values: []string{strings.Repeat("x", 100)}}})
		}
	})
	_, server, _ := serveWith(t, zones, Config{Keys: xferKeys})
	for _, key := range []string{"hmac-sha256:xfer:", "hmac-sha384:hmac-sha384:", "hmac-sha512:hmac-sha512:"} {
		got := dig(t, server, "-y", key+encoded(xferSecret), "rich.test", "AXFR")
		if n := strings.Count(got, "\tTXT\t\"xxx"); n != 3000 || strings.Count(got, "\tSOA\t") != 2 || strings.Contains(got, "Couldn't verify") || strings.Contains(got, "failed") {
			t.Errorf("key %s: got %d records:\n%.2000s", key, n, got)
		}
	}
	for name, says := range map[string]string{
		"hmac-sha256:xfer:" + encoded("another secret of some length"): "BADSIG",
		"hmac-sha256:nobody:" + encoded(xferSecret):                    "BADKEY",
		"hmac-sha512:xfer:" + encoded(xferSecret):                      "BADKEY",
	} {
		if got := dig(t, server, "-y", name, "rich.test", "AXFR"); !strings.Contains(got, says) || strings.Contains(got, "TXT") {
			t.Errorf("want %s; got\n%s", says, got)
		}
		if got := dig(t, server, "-y", name, "mail.rich.test", "A"); !strings.Contains(got, "status: NOTAUTH") || !strings.Contains(got, says) || strings.Contains(got, "192.0.2.25") {
			t.Errorf("a plain question: want NOTAUTH and %s; got\n%s", says, got)
		}
	}
	if got := dig(t, server, "-y", "hmac-sha256:xfer:"+encoded(xferSecret), "mail.rich.test", "A"); !strings.Contains(got, "192.0.2.25") || !strings.Contains(got, "TSIG PSEUDOSECTION") || strings.Contains(got, "Couldn't verify") {
		t.Errorf("a signed question: want a signed answer; got\n%s", got)
	}
}

func TestIXFRByUDPIsOnePacketOrTheSerial(t *testing.T) {
	zones := small(t)
	server := serve(t, zones, Forward{})
	found, _ := zones.Now().Zone("small.test")
	if got := brief(ask(t, server, ixfr("small.test.", found.Serial()-1)).Answer); len(got) != 6 {
		t.Errorf("got %v; want the change", got)
	}
	zones.Change(func(b *zone.Batch) {
		for i := range 100 {
			b.SetRecordSet(metal.RecordSet{Zone: "small.test", Name: fmt.Sprint("n", i), Type: "A", Spec: metal.RecordSetSpec{Values: []string{"192.0.2.1"}}})
		}
	})
	found, _ = zones.Now().Zone("small.test")
	answer := ask(t, server, ixfr("small.test.", found.Serial()-1))
	if got := brief(answer.Answer); len(got) != 1 || got[0] != fmt.Sprint("SOA ", found.Serial()) || answer.Truncated {
		t.Errorf("got %v; want the serial alone", got)
	}
}

func TestAZoneThatChangesWhileItIsCopiedIsCopiedAsItWas(t *testing.T) {
	zones := small(t)
	found, _ := zones.Now().Zone("small.test")
	var got []dns.RR
	for rr := range whole(found) {
		got = append(got, rr)
		zones.Change(func(b *zone.Batch) {
			b.SetRecordSet(metal.RecordSet{Zone: "small.test", Name: fmt.Sprint("n", len(got)), Type: "A", Spec: metal.RecordSetSpec{Values: []string{"192.0.2.1"}}})
		})
	}
	if len(got) != 4 || got[0] != got[3] {
		t.Errorf("got %v; want the four records there were", brief(got))
	}
	if moved, _ := zones.Now().Zone("small.test"); moved.Serial() == found.Serial() {
		t.Error("the zone did not change")
	}
}

func TestMoreTransfersThanAllowedFail(t *testing.T) {
	zones := small(t)
	s, server, _ := serveWith(t, zones, Config{})
	for range maxTransfers {
		if !s.transfers.take() {
			t.Fatal("one was taken by somebody else")
		}
	}
	copyIt := func() *dns.Msg {
		client := &dns.Client{Net: "tcp", Timeout: patience}
		m, _, err := client.Exchange(new(dns.Msg).SetAxfr("small.test."), server.String())
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	if m := copyIt(); m.Rcode != dns.RcodeServerFailure || len(m.Answer) > 0 {
		t.Errorf("got %v; want SERVFAIL", m)
	}
	s.transfers.release()
	if m := copyIt(); m.Rcode != dns.RcodeSuccess || len(m.Answer) != 4 || !m.Authoritative {
		t.Errorf("got %v; want the zone", m)
	}
}
