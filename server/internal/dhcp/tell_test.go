package dhcp

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func asking(codes ...byte) dhcpv4.Modifier { return saying(codeAsked, string(codes)) }

func route(to, via string) metal.StaticRoute {
	return metal.StaticRoute{Spec: metal.StaticRouteSpec{Destination: prefix(to), Gateway: ip(via)}}
}

// everything is a view of which all can be told.
func everything(v *View) {
	v.Hostname, v.Search, v.MTU = "node-1", []string{"metal.test"}, 1500
	v.Routes = []metal.StaticRoute{route("10.8.0.0/13", "172.31.0.253")}
	v.Options = metal.DHCPOptions{
		MTU: 9000, Syslog: []netip.Addr{ip("10.0.0.7"), ip("10.0.0.8")}, TimeZone: "Europe/Berlin", WPAD: "http://p/wpad.dat",
		Custom: []metal.DHCPOption{{Code: 224, Type: "uint16", Value: "258"}, {Code: 43, Type: "hex", Value: "0a00"}},
	}
}

const big = "\x05\xdc" // option 57: the client takes a whole Ethernet frame

func TestAClientIsToldWhatItAsksFor(t *testing.T) {
	always := []int{1, 51, 53, 54, 58, 59}
	cases := []struct {
		name  string
		asked []byte
		view  View
		want  []int // beside those that are always there
	}{
		{"one that asks for nothing is told all that is declared", nil, view(everything), []int{3, 6, 7, 12, 15, 26, 42, 43, 101, 119, 121, 224, 252}},
		{"one that asks for one thing", []byte{6}, view(everything), []int{6}},
		{"one that asks for all, and for more", []byte{1, 3, 6, 7, 12, 15, 26, 28, 42, 43, 44, 101, 119, 121, 224, 249, 252}, view(everything),
			[]int{3, 6, 7, 12, 15, 26, 28, 42, 43, 101, 119, 121, 224, 249, 252}},
		{"one that asks where there is little to tell", []byte{1, 3, 6, 7, 12, 15, 26, 28, 42, 43, 101, 119, 121, 224, 249, 252}, view(), []int{3, 6, 15, 28, 42}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := decided(t, client(dhcpv4.MessageTypeDiscover, asking(c.asked...), saying(57, big)), c.view)
			want := map[int]bool{}
			for _, code := range append(always, c.want...) {
				want[code] = true
			}
			got := map[int]bool{}
			for _, code := range codes(r) {
				got[code] = true
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("options, got + / want -:\n%s", diff)
			}
		})
	}
}

func TestValuesComeAsTheRFCsWriteThem(t *testing.T) {
	r := decided(t, client(dhcpv4.MessageTypeRequest, wanting("172.31.0.150"), asking(3, 6, 7, 12, 15, 26, 28, 42, 43, 101, 119, 121, 224, 249, 252), saying(57, big)), view(everything, active))
	routes := "\x0d\x0a\x08\xac\x1f\x00\xfd" + "\x00\xac\x1f\x00\xfe"
	want := map[uint8]string{
		1: "\xff\xff\xff\x00", 3: "\xac\x1f\x00\xfe", 6: "\xac\x1f\x00\x01", 7: "\x0a\x00\x00\x07\x0a\x00\x00\x08", 12: "node-1", 15: "metal.test",
		26: "\x23\x28", 28: "\xac\x1f\x00\xff", 42: "\xac\x1f\x00\x01", 43: "\x0a\x00", 51: "\x00\x00\x02\x58", 53: "\x05", 54: "\xac\x1f\x00\x01",
		58: "\x00\x00\x01\x2c", 59: "\x00\x00\x02\x0d", 101: "Europe/Berlin", 119: "\x05metal\x04test\x00", 121: routes, 224: "\x01\x02", 249: routes,
		252: "http://p/wpad.dat",
	}
	got := map[uint8]string{}
	for code, value := range r.Options {
		got[code] = string(value)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("got + / want -:\n%s", diff)
	}
}

func TestDeclaredOptionsWinOverWhatTheNetworkTells(t *testing.T) {
	v := view(func(v *View) {
		v.MTU = 1500
		v.Options = custom(metal.DHCPOption{Code: 3, Type: "ip", Value: "172.31.0.9"}, metal.DHCPOption{Code: 6, Type: "ips", Value: "9.9.9.9,1.1.1.1"},
			metal.DHCPOption{Code: 54, Type: "ip", Value: "9.9.9.9"}, metal.DHCPOption{Code: 300, Type: "ip", Value: "9.9.9.9"}, metal.DHCPOption{Code: 225, Type: "ip", Value: "no"})
	})
	r := decided(t, client(dhcpv4.MessageTypeDiscover, asking(3, 6, 26, 44, 54, 225)), v)
	got := []string{r.Router()[0].String(), r.DNS()[0].String(), r.DNS()[1].String(), r.ServerIdentifier().String(), string(r.Options[26]), string(r.Options[225])}
	if diff := cmp.Diff([]string{"172.31.0.9", "9.9.9.9", "1.1.1.1", "172.31.0.1", "\x05\xdc", ""}, got); diff != "" {
		t.Errorf("got + / want -:\n%s", diff)
	}
}

func TestRoutes(t *testing.T) {
	gateway := ip("10.0.0.254")
	cases := []struct {
		name    string
		gateway netip.Addr
		list    []metal.StaticRoute
		want    string
	}{
		{"none: the router option says it all", gateway, nil, ""},
		{"the one to the gateway goes with them", gateway, []metal.StaticRoute{route("10.17.0.0/16", "10.0.0.1")}, "\x10\x0a\x11\x0a\x00\x00\x01\x00\x0a\x00\x00\xfe"},
		{"a network without a gateway", netip.Addr{}, []metal.StaticRoute{route("10.229.0.128/25", "10.0.0.1")}, "\x19\x0a\xe5\x00\x80\x0a\x00\x00\x01"},
		{"host bits are left out", netip.Addr{}, []metal.StaticRoute{route("10.229.3.4/8", "10.0.0.1")}, "\x08\x0a\x0a\x00\x00\x01"},
		{"one host", netip.Addr{}, []metal.StaticRoute{route("10.198.122.47/32", "10.0.0.1")}, "\x20\x0a\xc6\x7a\x2f\x0a\x00\x00\x01"},
		{"IPv6 has no place here", gateway, []metal.StaticRoute{route("fd00::/8", "fd00::1")}, ""},
	}
	for _, c := range cases {
		if got := string(routes(c.gateway, c.list)); got != c.want {
			t.Errorf("%s: got % x; want % x", c.name, got, c.want)
		}
	}
}

func TestBroadcastAddresses(t *testing.T) {
	for cidr, want := range map[string]string{"10.0.0.0/8": "10.255.255.255", "10.0.0.4/30": "10.0.0.7", "10.0.0.4/31": "", "10.0.0.4/32": "", "0.0.0.0/0": "255.255.255.255", "fd00::/64": ""} {
		got, _ := netip.AddrFromSlice(broadcast(prefix(cidr)))
		if want == "" && got.IsValid() || want != "" && got.String() != want {
			t.Errorf("%s: got %s; want %s", cidr, got, want)
		}
	}
}

func TestAClientThatAsksForItsNameInDNSIsToldIt(t *testing.T) {
	cases := []struct {
		name, sent, want string
		view             View
	}{
		{"in DNS form, by the client itself", "\x04\x00\x00\x06laptop", "\x07\xff\xff\x06laptop\x05metal\x04test\x00", view()},
		{"in DNS form, by the server", "\x05\x00\x00\x06laptop\x04home\x00", "\x05\xff\xff\x06laptop\x05metal\x04test\x00", view()},
		{"as text", "\x01\x00\x00laptop.home", "\x01\xff\xfflaptop.metal.test", view()},
		{"a machine has its own name", "\x01\x00\x00laptop.home", "\x01\xff\xffnode-1.metal.test", view(machine)},
		{"one that sends no name is told ours", "\x01\x00\x00", "\x01\xff\xffnode-1.metal.test", view(machine)},
		{"no name at all", "\x01\x00\x00", "", view()},
		{"no domain", "\x01\x00\x00laptop", "", view(func(v *View) { v.Domain = "" })},
		{"a name that is cut off", "\x05\x00\x00\x09laptop", "", view()},
		{"nothing", "", "", view()},
	}
	for _, c := range cases {
		pkt := client(dhcpv4.MessageTypeDiscover)
		if c.sent != "" {
			pkt.Options[codeFQDN] = []byte(c.sent)
		}
		if got := string(decided(t, pkt, c.view).Options[codeFQDN]); got != c.want {
			t.Errorf("%s: got %q; want %q", c.name, got, c.want)
		}
	}
}

func TestAnotherBootServiceTakesThePlaceOfOurs(t *testing.T) {
	both := metal.DHCPOptions{BootServer: "10.0.0.9", BootFile: "pxelinux.0"}
	type told struct{ Server, Name, File, Option66, Class, Vendor string }
	cases := []struct {
		name    string
		kind    string
		options metal.DHCPOptions
		asked   []byte
		want    told
	}{
		{"firmware", "BIOS PXE", both, []byte{1}, told{"10.0.0.9", "10.0.0.9", "pxelinux.0", "10.0.0.9", "PXEClient", "\x06\x01\x08\xff"}},
		{"UEFI by HTTP", "UEFI HTTP", metal.DHCPOptions{BootFile: "http://b/x.efi"}, nil, told{"0.0.0.0", "", "http://b/x.efi", "", "HTTPClient", ""}},
		{"iPXE", "iPXE on UEFI", both, nil, told{"10.0.0.9", "10.0.0.9", "pxelinux.0", "10.0.0.9", "PXEClient", "\x06\x01\x08\xff"}},
		{"a telephone that asks", "Linux", metal.DHCPOptions{BootServer: "tftp.test"}, []byte{66}, told{"0.0.0.0", "tftp.test", "", "tftp.test", "", ""}},
		{"a client that does not ask", "Linux", both, []byte{1, 3}, told{Server: "0.0.0.0"}},
		{"firmware with vendor options of its own", "BIOS PXE", metal.DHCPOptions{BootFile: "f", Custom: []metal.DHCPOption{{Code: 43, Type: "hex", Value: "0601"}}}, nil,
			told{"0.0.0.0", "", "f", "", "", "\x06\x01"}},
		{"a name that the header has no room for", "Linux", metal.DHCPOptions{BootServer: strings.Repeat("a", 64)}, nil, told{Server: "0.0.0.0", Option66: strings.Repeat("a", 64)}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			options := append([]dhcpv4.Modifier(nil), firmware(c.kind)...)
			if c.asked != nil {
				options = append(options, asking(c.asked...))
			}
			r := decided(t, client(dhcpv4.MessageTypeDiscover, options...), view(machine, func(v *View) { v.Options = c.options }))
			got := told{r.ServerIPAddr.String(), r.ServerHostName, r.BootFileName, r.TFTPServerName(), r.ClassIdentifier(), string(r.Options[43])}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("got + / want -:\n%s", diff)
			}
		})
	}
}

func TestWhatDoesNotFitIsLeftOutInItsOrder(t *testing.T) {
	v := view(everything, func(v *View) {
		v.Options.Custom = append(v.Options.Custom, metal.DHCPOption{Code: 6, Type: "ips", Value: "9.9.9.9"},
			metal.DHCPOption{Code: 225, Type: "text", Value: strings.Repeat("x", 100)}, metal.DHCPOption{Code: 226, Type: "text", Value: strings.Repeat("y", 260)})
	})
	has := func(size string) map[int]bool {
		pkt := client(dhcpv4.MessageTypeDiscover, saying(57, size))
		r := decided(t, pkt, v)
		got := map[int]bool{}
		for _, code := range codes(r) {
			got[code] = true
		}
		return got
	}
	if got := has(big); !got[226] || !got[225] || !got[224] {
		t.Errorf("1500 bytes: got %v; want all custom options", got)
	}
	if got := len(appendReply(nil, Respond(client(dhcpv4.MessageTypeDiscover, saying(57, "\xff\xff")), view(everything, func(v *View) {
		v.Options.Custom = []metal.DHCPOption{{Code: 224, Type: "text", Value: strings.Repeat("x", 700)}, {Code: 225, Type: "text", Value: strings.Repeat("y", 700)}}
	}), now).Reply)); got > 1500-28 || got < 700 {
		t.Errorf("a client that takes 65535 bytes: got %d; want one Ethernet frame", got)
	}
	if got := has("\x02\x40"); got[226] || !got[225] || !got[252] {
		t.Errorf("576 bytes: got %v; want the last custom option left out, and nothing else", got)
	}
}

func TestRepliesOnTheWire(t *testing.T) {
	long := strings.Repeat("0123456789", 60)
	r := &dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootReply, HWType: 1, Flags: 0x8000, ClientIPAddr: net.IPv4zero, YourIPAddr: net.IP{10, 0, 0, 9}, ServerIPAddr: net.ParseIP("10.0.0.1"),
		ClientHWAddr: hw, TransactionID: dhcpv4.TransactionID{1, 2, 3, 4}, ServerHostName: strings.Repeat("s", 70), BootFileName: strings.Repeat("f", 140),
		Options: dhcpv4.Options{53: {2}, 82: []byte("agent"), 224: []byte(long), 80: nil, 12: []byte(strings.Repeat("n", 255)), 254: {1}},
	}
	short := &dhcpv4.DHCPv4{OpCode: dhcpv4.OpcodeBootReply, HWType: 1, ClientHWAddr: hw, Options: dhcpv4.Options{53: {6}}}
	before := []byte("before")
	for _, r := range []*dhcpv4.DHCPv4{r, short} {
		got := appendReply(before, r)
		if diff := cmp.Diff(append([]byte("before"), r.ToBytes()...), got); diff != "" {
			t.Errorf("beside the library's, got + / want -:\n%s", diff)
		}
		if n := length(r); n > len(got)-len(before) || len(got)-len(before) > leastLength && n != len(got)-len(before) {
			t.Errorf("got a length of %d; want %d", n, len(got)-len(before))
		}
	}
	read, err := dhcpv4.FromBytes(appendReply(nil, r))
	if err != nil || string(read.Options[224]) != long {
		t.Errorf("got %v, %v; want the long option whole (RFC 3396)", read, err)
	}
}
