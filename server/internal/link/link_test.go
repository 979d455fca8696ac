package link

import (
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestASelectionTakesNamesAndGlobs(t *testing.T) {
	tests := map[string]struct {
		patterns []string
		name     string
		loopback bool
		want     bool
	}{
		"a plain name":                          {patterns: []string{"eth1"}, name: "eth1", want: true},
		"another name":                          {patterns: []string{"eth1"}, name: "eth10", want: false},
		"a glob over VLANs":                     {patterns: []string{"eth2.*"}, name: "eth2.100", want: true},
		"the parent of the VLANs":               {patterns: []string{"eth2.*"}, name: "eth2", want: false},
		"one of several":                        {patterns: []string{"eth1", "br?"}, name: "br0", want: true},
		"everything":                            {patterns: []string{"*"}, name: "enp1s0f0np0", want: true},
		"everything is not the loopback":        {patterns: []string{"*"}, name: "lo", loopback: true, want: false},
		"no glob matches the loopback":          {patterns: []string{"l?"}, name: "lo", loopback: true, want: false},
		"the loopback by its name":              {patterns: []string{"lo"}, name: "lo", loopback: true, want: true},
		"an interface named like it":            {patterns: []string{"lo*"}, name: "lo1", want: true},
		"one that is left out":                  {patterns: []string{"*", "!docker*"}, name: "docker0", want: false},
		"left out before taken":                 {patterns: []string{"!docker*", "*"}, name: "docker0", want: false},
		"one beside those left out":             {patterns: []string{"*", "!docker*"}, name: "eth0", want: true},
		"only exceptions select nothing":        {patterns: []string{"!docker*"}, name: "eth0", want: false},
		"nothing asked for is nothing selected": {name: "eth0", want: false},
		"a set of characters":                   {patterns: []string{"eth[12]"}, name: "eth2", want: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := parseSelection(test.patterns)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.has(test.name, test.loopback); got != test.want {
				t.Errorf("%q of %q: got %v; want %v", test.name, test.patterns, got, test.want)
			}
		})
	}
}

func TestAMalformedPatternIsInvalid(t *testing.T) {
	for _, pattern := range []string{"", "!", "eth[", "a/b"} {
		if _, err := New([]string{"eth0", pattern}, nil); metal.CodeOf(err) != metal.Invalid {
			t.Errorf("%q: got %v; want an Invalid error", pattern, err)
		}
	}
}

func ipnet(s string) *net.IPNet {
	ip, n, err := net.ParseCIDR(s)
	if err != nil {
		panic(err)
	}
	n.IP = ip
	return n
}

func TestAssembleJoinsInterfacesAndAddresses(t *testing.T) {
	mac := net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1}
	devices := []netlink.Link{
		&netlink.Vlan{LinkAttrs: netlink.LinkAttrs{Index: 7, Name: "eth0.30", HardwareAddr: mac, Flags: net.FlagUp}, VlanId: 30, VlanProtocol: netlink.VLAN_PROTOCOL_8021Q},
		&netlink.Vlan{LinkAttrs: netlink.LinkAttrs{Index: 8, Name: "eth0.40"}, VlanId: 40, VlanProtocol: netlink.VLAN_PROTOCOL_8021AD},
		&netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: 1, Name: "lo", Flags: net.FlagUp | net.FlagLoopback}},
		&netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: 2, Name: "eth0", HardwareAddr: mac, Flags: net.FlagUp}},
		&netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: 9, Name: "wlan0", Flags: net.FlagUp}},
	}
	addresses := []netlink.Addr{
		{IPNet: ipnet("127.0.0.1/8"), LinkIndex: 1},
		{IPNet: ipnet("2001:db8::1/64"), LinkIndex: 2},
		{IPNet: ipnet("10.1.0.2/16"), LinkIndex: 2},
		{IPNet: ipnet("10.0.0.2/24"), LinkIndex: 2},
		{IPNet: ipnet("2001:db8::2/64"), LinkIndex: 2, Flags: unix.IFA_F_TENTATIVE},
		{IPNet: ipnet("2001:db8::3/64"), LinkIndex: 2, Flags: unix.IFA_F_TENTATIVE | unix.IFA_F_OPTIMISTIC},
		{IPNet: ipnet("2001:db8::4/64"), LinkIndex: 2, Flags: unix.IFA_F_DADFAILED},
		{IPNet: ipnet("10.30.0.2/24"), LinkIndex: 7},
		{IPNet: ipnet("192.0.2.9/32"), LinkIndex: 9},
		{LinkIndex: 9},
	}
	got, own := assemble(selection{take: []string{"eth*"}}, devices, addresses)
	want := []Link{
		{Index: 2, Name: "eth0", Hardware: mac, Up: true, Addrs: []netip.Prefix{
			netip.MustParsePrefix("10.0.0.2/24"), netip.MustParsePrefix("10.1.0.2/16"),
			netip.MustParsePrefix("2001:db8::1/64"), netip.MustParsePrefix("2001:db8::3/64"),
		}},
		{Index: 7, Name: "eth0.30", Hardware: mac, VLAN: 30, Up: true, Addrs: []netip.Prefix{netip.MustParsePrefix("10.30.0.2/24")}},
		{Index: 8, Name: "eth0.40"},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("interfaces (-want +got):\n%s", diff)
	}
	for addr, want := range map[string]bool{
		"127.0.0.1": true, "192.0.2.9": true, "2001:db8::2": true, "10.0.0.2": true, "10.0.0.1": false, "::": false,
	} {
		if _, got := own[netip.MustParseAddr(addr)]; got != want {
			t.Errorf("%s is an own address: got %v; want %v", addr, got, want)
		}
	}
}

func fixed(links ...Link) *Watcher {
	w := &Watcher{}
	w.publish(links, map[netip.Addr]struct{}{netip.MustParseAddr("10.0.0.1"): {}, netip.MustParseAddr("fe80::1"): {}})
	return w
}

func at(index int, name string, up bool, addrs ...string) Link {
	l := Link{Index: index, Name: name, Up: up}
	for _, a := range addrs {
		l.Addrs = append(l.Addrs, netip.MustParsePrefix(a))
	}
	return l
}

func TestOnLinkFindsTheLongestPrefixOfAnInterfaceThatIsUp(t *testing.T) {
	w := fixed(
		at(2, "wide", true, "10.0.0.1/8", "fe80::1/64"), at(3, "narrow", true, "10.5.0.1/16", "2001:db8::1/64"),
		at(4, "down", false, "10.5.5.1/24"), at(5, "point", true, "192.0.2.1/32"),
	)
	tests := map[string]string{
		"10.9.0.1": "wide", "10.5.0.77": "narrow", "10.5.5.77": "narrow", "::ffff:10.5.0.77": "narrow", "2001:db8::77": "narrow",
		"11.0.0.1": "", "2001:db8:1::1": "", "fe80::77": "", "192.0.2.2": "", "192.0.2.1": "point",
	}
	for addr, want := range tests {
		l, ok := w.OnLink(netip.MustParseAddr(addr))
		if l.Name != want || ok != (want != "") {
			t.Errorf("%s: got %q, %v; want %q", addr, l.Name, ok, want)
		}
	}
}

func TestByIndexAndOwnReadTheSnapshot(t *testing.T) {
	w := fixed(at(2, "a", true), at(5, "b", true))
	for index, want := range map[int]string{1: "", 2: "a", 3: "", 5: "b", 6: ""} {
		if l, ok := w.ByIndex(index); l.Name != want || ok != (want != "") {
			t.Errorf("index %d: got %q, %v; want %q", index, l.Name, ok, want)
		}
	}
	for addr, want := range map[string]bool{"10.0.0.1": true, "::ffff:10.0.0.1": true, "fe80::1%eth0": true, "10.0.0.2": false} {
		if got := w.Own(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: got %v; want %v", addr, got, want)
		}
	}
}

func TestChangedIsClosedByADifferenceOnly(t *testing.T) {
	w := fixed(at(2, "a", true, "10.0.0.1/24"))
	changed := w.Changed()
	w.publish([]Link{at(2, "a", true, "10.0.0.1/24")}, nil)
	select {
	case <-changed:
		t.Fatal("it was closed by the same interfaces, read again")
	default:
	}
	w.publish([]Link{at(2, "a", true, "10.0.0.2/24")}, nil)
	select {
	case <-changed:
	default:
		t.Fatal("it was not closed by another address")
	}
	if got := describe(w.Now()); got != "a up 10.0.0.2/24" {
		t.Errorf("after the change: got %s", got)
	}
}
