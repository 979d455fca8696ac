package neighbour

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

func sameAddr(a, b netip.Addr) bool { return a == b }

var (
	we   = hardware{0x52, 0x54, 0, 0, 0, 1}
	they = hardware{0x52, 0x54, 0, 0, 0, 2}
)

func TestAnARPProbeIsAsRFC5227WritesIt(t *testing.T) {
	got := hex.EncodeToString(arpProbe(we, addr("10.0.0.9")))
	want := "ffffffffffff" + "525400000001" + "0806" + // broadcast
		"0001" + "0800" + "06" + "04" + "0001" + // Ethernet, IPv4, request
		"525400000001" + "00000000" + // from nobody
		"000000000000" + "0a000009"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestARPTellsWhoUsesAnAddress(t *testing.T) {
	request := arp{op: arpRequest, senderHardware: they, sender: addr("10.0.0.2"), target: addr("10.0.0.1")}
	reply := arp{op: arpReply, senderHardware: they, sender: addr("10.0.0.2"), targetHardware: we, target: addr("10.0.0.1")}
	announcement := arp{op: arpReply, senderHardware: they, sender: addr("10.0.0.2"), target: addr("10.0.0.2")}
	with := func(a arp, change func(*arp)) arp { change(&a); return a }
	uses := claim{addr: addr("10.0.0.2"), hardware: they}
	tests := map[string]struct {
		packet  arp
		want    claim // zero: none
		sighted bool
	}{
		"a request":                        {request, uses, true},
		"a reply, perhaps of a proxy":      {reply, uses, false},
		"a gratuitous reply":               {announcement, uses, true},
		"a gratuitous request":             {with(announcement, func(a *arp) { a.op = arpRequest }), uses, true},
		"a probe":                          {with(request, func(a *arp) { a.sender = addr("0.0.0.0") }), claim{addr("10.0.0.1"), they, true}, false},
		"a reply from nobody":              {with(reply, func(a *arp) { a.sender = addr("0.0.0.0") }), claim{}, false},
		"a probe for nothing":              {arp{op: arpRequest, senderHardware: they, sender: addr("0.0.0.0"), target: addr("0.0.0.0")}, claim{}, false},
		"a multicast address as sender":    {with(request, func(a *arp) { a.sender = addr("224.0.0.1") }), claim{}, false},
		"the broadcast address as sender":  {with(request, func(a *arp) { a.sender = addr("255.255.255.255") }), claim{}, false},
		"a group as hardware":              {with(request, func(a *arp) { a.senderHardware = everyone() }), claim{}, false},
		"no hardware":                      {with(request, func(a *arp) { a.senderHardware = hardware{} }), claim{}, false},
		"another operation (RARP request)": {with(request, func(a *arp) { a.op = 3 }), claim{}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var got claim
			if a, ok := parseARP(test.packet.frame()); ok {
				if diff := cmp.Diff(test.packet, a, cmp.AllowUnexported(arp{}), cmp.Comparer(sameAddr)); diff != "" {
					t.Errorf("read back (-want +got):\n%s", diff)
				}
				if c, ok := a.claim(); ok {
					got = c
				}
			}
			if got != test.want {
				t.Errorf("got %+v; want %+v", got, test.want)
			}
			if _, sighted := sightedARP(test.packet.frame()); sighted != test.sighted {
				t.Errorf("sighted: got %v; want %v", sighted, test.sighted)
			}
		})
	}
}

func TestMalformedARPIsRefused(t *testing.T) {
	good := arpProbe(they, addr("10.0.0.9"))
	for at, name := range map[int]string{12: "another EtherType", 15: "another hardware type", 16: "another protocol", 18: "another hardware length", 19: "another address length"} {
		bad := bytes.Clone(good)
		bad[at] ^= 0x55
		if _, ok := parseARP(bad); ok {
			t.Errorf("%s was taken", name)
		}
	}
	for length := range good {
		if _, ok := parseARP(good[:length]); ok {
			t.Errorf("the first %d bytes were taken", length)
		}
	}
	if _, ok := parseARP(append(bytes.Clone(good), make([]byte, 18)...)); !ok {
		t.Error("a frame with the padding of Ethernet was refused")
	}
}

// message builds a neighbour message.
func message(kind byte, from, to, target string, flags byte, options ...byte) []byte {
	b := appendEther(nil, groupHardware(addr(to)), they, etherIPv6)
	b = appendIPv6(b, addr(from), addr(to), protocolICMPv6, ndpHops, ndpLength+len(options))
	b = append(b, kind, 0, 0, 0, flags, 0, 0, 0)
	b = append(b, addr(target).AsSlice()...)
	b = append(b, options...)
	seal(b)
	return b
}

func TestAnNDPProbeIsASolicitationOfDuplicateAddressDetection(t *testing.T) {
	p := gopacket.NewPacket(ndpProbe(we, addr("2001:db8::12:3456")), layers.LayerTypeEthernet, gopacket.Default)
	if p.ErrorLayer() != nil {
		t.Fatal(p.ErrorLayer().Error())
	}
	ether := p.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
	ip := p.Layer(layers.LayerTypeIPv6).(*layers.IPv6)
	solicitation := p.Layer(layers.LayerTypeICMPv6NeighborSolicitation).(*layers.ICMPv6NeighborSolicitation)
	for _, c := range [][2]string{
		{ether.DstMAC.String(), "33:33:ff:12:34:56"}, {ether.SrcMAC.String(), "52:54:00:00:00:01"},
		{ip.SrcIP.String(), "::"}, {ip.DstIP.String(), "ff02::1:ff12:3456"}, {solicitation.TargetAddress.String(), "2001:db8::12:3456"},
	} {
		if c[0] != c[1] {
			t.Errorf("got %s; want %s", c[0], c[1])
		}
	}
	if ip.HopLimit != 255 || len(solicitation.Options) != 0 {
		t.Errorf("got hop limit %d and %d options; want 255 and none", ip.HopLimit, len(solicitation.Options))
	}
}

func TestNDPTellsWhoUsesAnAddress(t *testing.T) {
	const host, all, node = "2001:db8::2", "ff02::1", "ff02::1:ff00:2"
	third := hardware{0x52, 0x54, 0, 0, 0, 3}
	link := func(kind byte) []byte { return append([]byte{kind, 1}, third[:]...) }
	badSum := message(136, host, all, host, 0x20)
	badSum[len(badSum)-1] ^= 1
	hops := message(136, host, all, host, 0x20)
	hops[etherLength+7] = 254
	code := message(136, host, all, host, 0x20)
	code[etherLength+ipv6Length+1] = 1
	seal(code)
	tests := map[string]struct {
		frame   []byte
		want    claim
		sighted bool
	}{
		"an advertisement":                          {message(136, host, all, host, 0x20), claim{addr(host), they, false}, true},
		"an advertisement with its card":            {message(136, host, all, host, 0x20, link(2)...), claim{addr(host), third, false}, true},
		"an advertisement for us alone":             {message(136, host, "2001:db8::1", host, 0x60, link(2)...), claim{addr(host), third, false}, true},
		"a solicited one to all":                    {message(136, host, all, host, 0x60), claim{}, false},
		"an advertisement from nobody":              {message(136, "::", all, host, 0x20), claim{}, false},
		"a multicast target":                        {message(136, host, all, "ff02::5", 0x20), claim{}, false},
		"a solicitation tells of the sender":        {message(135, host, "ff02::1:ff00:1", "2001:db8::1", 0, link(1)...), claim{addr(host), third, false}, true},
		"a solicitation without an option":          {message(135, host, "ff02::1:ff00:1", "2001:db8::1", 0), claim{addr(host), they, false}, true},
		"somebody else's probe":                     {message(135, "::", node, host, 0), claim{addr(host), they, true}, false},
		"a probe with a nonce (RFC 7527)":           {message(135, "::", node, host, 0, 14, 1, 1, 2, 3, 4, 5, 6), claim{addr(host), they, true}, false},
		"a probe with a card":                       {message(135, "::", node, host, 0, link(1)...), claim{}, false},
		"a probe to another group":                  {message(135, "::", all, host, 0), claim{}, false},
		"an option of length 0":                     {message(136, host, all, host, 0x20, 2, 0, 0, 0, 0, 0, 0, 0), claim{}, false},
		"an option beyond the end":                  {message(136, host, all, host, 0x20, 2, 2, 0, 0, 0, 0, 0, 0), claim{}, false},
		"half an option":                            {message(136, host, all, host, 0x20, 2), claim{}, false},
		"a card that is a group":                    {message(136, host, all, host, 0x20, 2, 1, 0x33, 0x33, 0, 0, 0, 1), claim{}, false},
		"a wrong checksum":                          {badSum, claim{}, false},
		"one that a router passed on":               {hops, claim{}, false},
		"a code":                                    {code, claim{}, false},
		"a router advertisement is of another kind": {message(134, host, all, host, 0), claim{}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var got claim
			if n, ok := parseNDP(test.frame); ok {
				if c, ok := n.claim(); ok {
					got = c
				}
			}
			if got != test.want {
				t.Errorf("got %+v; want %+v", got, test.want)
			}
			if _, sighted := sightedNDP(test.frame); sighted != test.sighted {
				t.Errorf("sighted: got %v; want %v", sighted, test.sighted)
			}
		})
	}
}

func TestDatagramsAreWhatAnotherDecoderReads(t *testing.T) {
	for _, payload := range []string{"", "odd", "even"} {
		v6 := datagram6(we, netip.MustParseAddrPort("[fe80::1]:546"), allServers(), []byte(payload))
		for name, frame := range map[string][]byte{"IPv4": datagram4(we, 68, 67, []byte(payload)), "IPv6": v6} {
			p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.DecodeOptions{NoCopy: true})
			udp, ok := p.Layer(layers.LayerTypeUDP).(*layers.UDP)
			if !ok {
				t.Fatalf("%s: no UDP in %v", name, p)
			}
			if err := udp.SetNetworkLayerForChecksum(p.NetworkLayer()); err != nil {
				t.Fatal(err)
			}
			if err, result := udp.VerifyChecksum(); err != nil || !result.Valid {
				t.Errorf("%s, %q: the UDP checksum is %04x; want %04x (%v)", name, payload, result.Actual, result.Correct, err)
			}
			if string(udp.Payload) != payload {
				t.Errorf("%s: got the payload %q; want %q", name, udp.Payload, payload)
			}
		}
		ip := datagram4(we, 68, 67, []byte(payload))[etherLength:]
		if got := checksum(ip[:20], 0); got != 0 {
			t.Errorf("the sum of the IPv4 header: got %04x; want 0", got)
		}
	}
}

func TestTheSenderOfADatagramCannotReachBeyondIt(t *testing.T) {
	good := datagram4(they, 67, 68, []byte("offer"))
	good6 := datagram6(they, netip.MustParseAddrPort("[fe80::2]:547"), netip.MustParseAddrPort("[fe80::1]:546"), []byte("offer"))
	if _, payload, ok := payload4(good, 68); !ok || string(payload) != "offer" {
		t.Fatalf("got %q, %v; want the payload", payload, ok)
	}
	if from, payload, ok := payload6(good6, 546); !ok || string(payload) != "offer" || from != addr("fe80::2") {
		t.Fatalf("got %q from %s, %v; want the payload", payload, from, ok)
	}
	for length := range good {
		if _, _, ok := payload4(good[:length], 68); ok {
			t.Errorf("IPv4: the first %d bytes were taken", length)
		}
	}
	for length := range good6 {
		if _, _, ok := payload6(good6[:length], 546); ok {
			t.Errorf("IPv6: the first %d bytes were taken", length)
		}
	}
	if _, payload, ok := payload4(append(bytes.Clone(good), 0, 0, 0), 68); !ok || string(payload) != "offer" {
		t.Errorf("with padding: got %q, %v; want the payload alone", payload, ok)
	}
	for name, change := range map[string]func([]byte){
		"a header shorter than 20 bytes": func(b []byte) { b[0] = 0x44 },
		"a header beyond the end":        func(b []byte) { b[0] = 0x4f },
		"IPv6 in IPv4's EtherType":       func(b []byte) { b[0] = 0x65 },
		"a total beyond the end":         func(b []byte) { binary.BigEndian.PutUint16(b[2:], 2000) },
		"more fragments":                 func(b []byte) { b[6] = 0x20 },
		"TCP":                            func(b []byte) { b[9] = 6 },
		"a UDP length beyond the end":    func(b []byte) { binary.BigEndian.PutUint16(b[24:], 200) },
		"a UDP length below 8":           func(b []byte) { binary.BigEndian.PutUint16(b[24:], 7) },
		"another port":                   func(b []byte) { b[23] = 69 },
	} {
		bad := bytes.Clone(good)
		change(bad[etherLength:])
		if _, _, ok := payload4(bad, 68); ok {
			t.Errorf("%s was taken", name)
		}
	}
}

// FuzzFrames gives every parser of frames the same bytes: none may panic, and what is taken must make sense.
func FuzzFrames(f *testing.F) {
	f.Add(arpProbe(they, addr("10.0.0.9")))
	f.Add(arp{op: arpReply, senderHardware: they, sender: addr("10.0.0.2"), target: addr("10.0.0.2")}.frame())
	f.Add(ndpProbe(they, addr("2001:db8::9")))
	f.Add(message(136, "2001:db8::2", "ff02::1", "2001:db8::2", 0x20, 2, 1, 0x52, 0x54, 0, 0, 0, 3))
	f.Add(message(135, "2001:db8::2", "ff02::1:ff00:1", "2001:db8::1", 0, 1, 1, 0x52, 0x54, 0, 0, 0, 3))
	f.Add(offerFrame(nil))
	f.Add(advertiseFrame(nil))
	f.Fuzz(func(t *testing.T, frame []byte) {
		before := bytes.Clone(frame)
		check := func(what string, c claim, ok bool) {
			if ok && (!c.hardware.own() || !unicast(c.addr)) {
				t.Errorf("%s: took %+v", what, c)
			}
		}
		if a, ok := parseARP(frame); ok {
			c, ok := a.claim()
			check("ARP", c, ok)
			if again, ok := parseARP(a.frame()); !ok || again != a {
				t.Errorf("ARP: got %+v back; want %+v", again, a)
			}
		}
		c, ok := sightedARP(frame)
		check("sighted by ARP", c, ok)
		if n, ok := parseNDP(frame); ok {
			c, ok := n.claim()
			check("NDP", c, ok)
		}
		c, ok = sightedNDP(frame)
		check("sighted by NDP", c, ok)
		if rogue, ok := judgeOffer(frame, testXID4, testClient); ok && rogue.Server.Is6() {
			t.Errorf("offer: took %+v", rogue)
		}
		if rogue, ok := judgeAdvertise(frame, testXID6, testClient); ok && !rogue.Server.Is6() {
			t.Errorf("advertise: took %+v", rogue)
		}
		if !bytes.Equal(before, frame) {
			t.Error("the frame was modified")
		}
	})
}

func FuzzEcho(f *testing.F) {
	mark := echoMark{id: 0x4711, nonce: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}}
	for _, six := range []bool{false, true} {
		kinds := echoKindsOf(six)
		b, err := mark.request(kinds, 7)
		if err != nil {
			f.Fatal(err)
		}
		if mark.answered(kinds, b) {
			f.Error("a request was taken for a reply")
		}
		b[0] = map[bool]byte{false: 0, true: 129}[six]
		if !mark.answered(kinds, b) {
			f.Error("the reply was not taken")
		}
		for _, other := range []echoMark{{id: 0x4712, nonce: mark.nonce}, {id: mark.id}} {
			if other.answered(kinds, b) {
				f.Error("the reply to somebody else was taken")
			}
		}
		f.Add(b, six)
	}
	f.Fuzz(func(t *testing.T, b []byte, six bool) {
		if mark.answered(echoKindsOf(six), b) && !bytes.Contains(b, mark.nonce[:]) {
			t.Errorf("took %x, which has not our nonce", b)
		}
	})
}
