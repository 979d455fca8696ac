package network

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func testMAC() net.HardwareAddr { return net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1} }

func TestDORAGetsALease(t *testing.T) {
	l := &fakeLink{answer: serve}
	got, err := dora(t.Context(), l, testMAC())
	if err != nil {
		t.Fatal(err)
	}
	want := Lease{
		Address: netip.MustParsePrefix("172.31.0.100/24"), Gateway: netip.MustParseAddr("172.31.0.1"),
		DNS: []netip.Addr{netip.MustParseAddr("172.31.0.53")}, Domain: "lab.example",
		Server: netip.MustParseAddr("172.31.0.1"), Duration: 10 * time.Minute, Renew: 5 * time.Minute,
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for i, m := range l.sent {
		if m.ClassIdentifier() != vendorClass || !cmp.Equal(m.Options.Get(dhcpv4.OptionClientIdentifier), append([]byte{1}, testMAC()...)) {
			t.Errorf("message %d: got %s; want vendor class and client identifier", i, m.Summary())
		}
	}
}

func TestDORATriesUntilSomebodyAnswers(t *testing.T) {
	tries := 0
	l := &fakeLink{answer: func(m *dhcpv4.DHCPv4) []*dhcpv4.DHCPv4 {
		if tries++; tries < 3 {
			return nil
		}
		return serve(m)
	}}
	if _, err := dora(t.Context(), l, testMAC()); err != nil {
		t.Fatal(err)
	}
	if len(l.sent) != 4 {
		t.Errorf("got %d messages; want two lost ones, a discover and a request", len(l.sent))
	}
}

func TestDORALeavesAnswersToOthersAlone(t *testing.T) {
	l := &fakeLink{answer: func(m *dhcpv4.DHCPv4) []*dhcpv4.DHCPv4 {
		other := *m
		other.TransactionID[0]++
		foreign := *m
		foreign.ClientHWAddr = net.HardwareAddr{0x52, 0x54, 0, 0, 0, 2}
		answers := append(serve(&other), serve(&foreign)...)
		for _, a := range answers {
			a.YourIPAddr = net.IPv4(10, 0, 0, 1)
		}
		return append(answers, serve(m)...)
	}}
	got, err := dora(t.Context(), l, testMAC())
	if err != nil || got.Address.Addr() != netip.MustParseAddr("172.31.0.100") {
		t.Errorf("got %v, %v; want 172.31.0.100", got.Address, err)
	}
}

func TestDORABeginsAgainAfterARefusal(t *testing.T) {
	refused := false
	l := &fakeLink{answer: func(m *dhcpv4.DHCPv4) []*dhcpv4.DHCPv4 {
		if m.MessageType() == dhcpv4.MessageTypeRequest && !refused {
			refused = true
			return []*dhcpv4.DHCPv4{reply(m, dhcpv4.MessageTypeNak)}
		}
		return serve(m)
	}}
	if _, err := dora(t.Context(), l, testMAC()); err != nil {
		t.Errorf("got %v; want a lease on the second try", err)
	}
}

func TestDORAEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	l := &fakeLink{answer: func(*dhcpv4.DHCPv4) []*dhcpv4.DHCPv4 { cancel(); return nil }}
	if _, err := dora(ctx, l, testMAC()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v; want the context's error", err)
	}
}

func TestLeasesThatMakeNoSenseAreRefused(t *testing.T) {
	tests := []struct {
		name   string
		change func(m *dhcpv4.DHCPv4)
		ok     bool
		bits   int
	}{
		{"as it should be", func(*dhcpv4.DHCPv4) {}, true, 24},
		{"no address", func(m *dhcpv4.DHCPv4) { m.YourIPAddr = net.IPv4zero }, false, 0},
		{"a mask with a hole", func(m *dhcpv4.DHCPv4) { m.UpdateOption(dhcpv4.OptSubnetMask(net.IPMask{255, 0, 255, 0})) }, false, 0},
		{"no mask", func(m *dhcpv4.DHCPv4) { m.Options.Del(dhcpv4.OptionSubnetMask) }, true, 16},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			discover, err := dhcpv4.NewDiscovery(testMAC())
			if err != nil {
				t.Fatal(err)
			}
			ack := reply(discover, dhcpv4.MessageTypeAck)
			tt.change(ack)
			lease, err := leaseOf(ack)
			if (err == nil) != tt.ok || (tt.ok && lease.Address.Bits() != tt.bits) {
				t.Errorf("got %v, %v; want ok %v with %d bits", lease.Address, err, tt.ok, tt.bits)
			}
		})
	}
}

func TestResolvConfTakesNoForeignLines(t *testing.T) {
	l := Lease{DNS: []netip.Addr{netip.MustParseAddr("10.0.0.1")}, Domain: "lab.example"}
	if got := string(resolvConf(l)); got != "search lab.example\nnameserver 10.0.0.1\n" {
		t.Errorf("got %q", got)
	}
	l.Domain = "x\nnameserver 6.6.6.6"
	if got := string(resolvConf(l)); got != "nameserver 10.0.0.1\n" {
		t.Errorf("got %q; want the domain to be left out", got)
	}
}

func FuzzAnswer(f *testing.F) {
	discover, err := dhcpv4.NewDiscovery(testMAC())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(toClient(reply(discover, dhcpv4.MessageTypeAck).ToBytes()))
	f.Add([]byte{0x45})
	f.Fuzz(func(t *testing.T, raw []byte) {
		if answer, ok := answerTo(discover, raw); ok {
			leaseOf(answer)
		}
	})
}

func TestPacketsOfOthersAreNoAnswers(t *testing.T) {
	good := toClient([]byte("payload"))
	if got, ok := clientPayload(good); !ok || string(got) != "payload" {
		t.Errorf("got %q, %v; want the payload", got, ok)
	}
	changes := map[string]func(b []byte){
		"another version":     func(b []byte) { b[0] = 0x65 },
		"another protocol":    func(b []byte) { b[9] = 6 },
		"another port":        func(b []byte) { b[23] = 99 },
		"a fragment":          func(b []byte) { b[7] = 1 },
		"a short header":      func(b []byte) { b[0] = 0x44 },
		"longer than it is":   func(b []byte) { b[3]++ },
		"UDP longer than IP":  func(b []byte) { b[25]++ },
		"UDP without headers": func(b []byte) { b[25] = 7 },
	}
	for name, change := range changes {
		bad := toClient([]byte("payload"))
		change(bad)
		if _, ok := clientPayload(bad); ok {
			t.Errorf("%s: got a payload; want none", name)
		}
	}
}

func TestBroadcastDatagramHasAValidHeader(t *testing.T) {
	b := broadcastDatagram([]byte("odd"))
	if checksum(b[:ipHeaderLength]) != 0 {
		t.Errorf("got header % x; want its checksum to fit", b[:ipHeaderLength])
	}
}

// serve answers as a DHCP server does.
func serve(m *dhcpv4.DHCPv4) []*dhcpv4.DHCPv4 {
	switch m.MessageType() {
	case dhcpv4.MessageTypeDiscover:
		return []*dhcpv4.DHCPv4{reply(m, dhcpv4.MessageTypeOffer)}
	case dhcpv4.MessageTypeRequest:
		return []*dhcpv4.DHCPv4{reply(m, dhcpv4.MessageTypeAck)}
	}
	return nil
}

func reply(m *dhcpv4.DHCPv4, kind dhcpv4.MessageType) *dhcpv4.DHCPv4 {
	r, err := dhcpv4.NewReplyFromRequest(m,
		dhcpv4.WithMessageType(kind), dhcpv4.WithYourIP(net.IPv4(172, 31, 0, 100)), dhcpv4.WithLeaseTime(600),
		dhcpv4.WithNetmask(net.CIDRMask(24, 32)), dhcpv4.WithRouter(net.IPv4(172, 31, 0, 1)),
		dhcpv4.WithDNS(net.IPv4(172, 31, 0, 53)), dhcpv4.WithOption(dhcpv4.OptDomainName("lab.example")),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(172, 31, 0, 1))))
	if err != nil {
		panic(err) // the modifiers are well formed
	}
	return r
}

// toClient turns a client's datagram round, as a server would send it.
func toClient(payload []byte) []byte {
	b := broadcastDatagram(payload)
	b[21], b[23] = serverPort, clientPort
	return b
}

// fakeLink answers at once, or lets the deadline pass without waiting for it.
type fakeLink struct {
	answer  func(m *dhcpv4.DHCPv4) []*dhcpv4.DHCPv4
	sent    []*dhcpv4.DHCPv4
	waiting [][]byte
}

func (l *fakeLink) Broadcast(ip []byte) error {
	m, err := dhcpv4.FromBytes(ip[ipHeaderLength+udpHeaderLength:])
	if err != nil {
		return err
	}
	l.sent = append(l.sent, m)
	l.waiting = nil
	for _, a := range l.answer(m) {
		l.waiting = append(l.waiting, toClient(a.ToBytes()))
	}
	return nil
}

func (l *fakeLink) Receive(time.Time) ([]byte, error) {
	if len(l.waiting) == 0 {
		return nil, os.ErrDeadlineExceeded
	}
	raw := l.waiting[0]
	l.waiting = l.waiting[1:]
	return raw, nil
}

func (l *fakeLink) Close() error { return nil }

func TestLLDP(t *testing.T) {
	tlv := func(kind int, value string) string {
		head := kind<<9 | len(value)
		return string([]byte{byte(head >> 8), byte(head)}) + value
	}
	mac := "\x04\x00\x11\x22\x33\x44\x55"
	head := tlv(1, mac) + tlv(2, "\x05Ethernet1/7") + tlv(3, "\x00\x78")
	full := metal.Neighbor{Chassis: "00:11:22:33:44:55", Port: "Ethernet1/7"}
	named := full
	named.System, named.VLAN = "leaf-3", 42
	tests := []struct {
		name  string
		pdu   string
		want  metal.Neighbor
		alive bool
		ok    bool
	}{
		{"the three that all send", head + tlv(0, ""), full, true, true},
		{"without an end", head, full, true, true},
		{"with a name and a VLAN", head + tlv(5, "leaf-3\n") + tlv(127, "\x00\x80\xc2\x01\x00\x2a") + tlv(0, ""), named, true, true},
		{"goodbye", tlv(1, mac) + tlv(2, "\x05Ethernet1/7") + tlv(3, "\x00\x00"), full, false, true},
		{"an address as chassis", tlv(1, "\x05\x01\x0a\x00\x00\x01") + tlv(2, "\x03\x00\x11\x22\x33\x44\x56") + tlv(3, "\x00\x78"), metal.Neighbor{Chassis: "10.0.0.1", Port: "00:11:22:33:44:56"}, true, true},
		{"nothing", "", metal.Neighbor{}, false, false},
		{"the wrong order", tlv(2, "\x05x") + head, metal.Neighbor{}, false, false},
		{"the life time twice, the second empty", head + tlv(3, ""), metal.Neighbor{}, false, false},
		{"longer than it is", head + "\x0b\xff", metal.Neighbor{}, false, false},
		{"an end too soon", tlv(1, mac) + tlv(0, ""), metal.Neighbor{}, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, alive, ok := parseLLDP([]byte(tt.pdu))
			if got != tt.want || alive != tt.alive || ok != tt.ok {
				t.Errorf("got %+v, %v, %v; want %+v, %v, %v", got, alive, ok, tt.want, tt.alive, tt.ok)
			}
		})
	}
}

func TestNeighborsAreForgottenWhenTheySayGoodbye(t *testing.T) {
	var n Neighbors
	pdu := []byte("\x02\x03\x07ab\x04\x03\x05cd\x06\x02\x00\x78\x00\x00")
	n.put("eth0", pdu)
	if got := n.Of("eth0"); got == nil || got.Chassis != "ab" || n.Of("eth1") != nil {
		t.Errorf("got %+v on eth0, %+v on eth1; want ab and nobody", got, n.Of("eth1"))
	}
	pdu[len(pdu)-3] = 0
	n.put("eth0", pdu)
	if got := n.Of("eth0"); got != nil {
		t.Errorf("got %+v after goodbye; want nobody", got)
	}
}

func FuzzLLDP(f *testing.F) {
	f.Add([]byte("\x02\x03\x07ab\x04\x03\x05cd\x06\x02\x00\x78\x0a\x01x\xfe\x06\x00\x80\xc2\x01\x00\x2a\x00\x00"))
	f.Add([]byte("\x02\x02\x04a\x04\x02\x03c\x06\x02\x00\x78\x06\x01\x00"))
	f.Fuzz(func(t *testing.T, pdu []byte) {
		n, _, ok := parseLLDP(pdu)
		if ok && (len(n.System) > maxName || n.VLAN > 4095) {
			t.Errorf("got %+v; want bounded values", n)
		}
	})
}
