package dhcp

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/miekg/dns"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func custom(list ...metal.DHCPOption) metal.DHCPOptions { return metal.DHCPOptions{Custom: list} }

func TestCustomOptionsAreWrittenByTheirType(t *testing.T) {
	cases := []struct{ kind, value, want, refused string }{
		{"ip", "10.0.0.1", "\x0a\x00\x00\x01", ""},
		{"ip", "fd00::1", "", "not an IPv4 address"},
		{"ip", "10.0.0.1,10.0.0.2", "", "not an IPv4 address"},
		{"ips", "10.0.0.1, 10.0.0.2", "\x0a\x00\x00\x01\x0a\x00\x00\x02", ""},
		{"ips", "", "", "not a list of IPv4 addresses"},
		{"ips", "10.0.0.1,", "", "not a list of IPv4 addresses"},
		{"uint8", "255", "\xff", ""},
		{"uint8", "256", "", "not a number of 8 bits"},
		{"uint16", "258", "\x01\x02", ""},
		{"uint16", "-1", "", "not a number of 16 bits"},
		{"uint32", "16909060", "\x01\x02\x03\x04", ""},
		{"uint32", "0x1", "", "not a number of 32 bits"},
		{"bool", "true", "\x01", ""},
		{"bool", "false", "\x00", ""},
		{"bool", "yes", "", "not true or false"},
		{"text", "ü", "ü", ""},
		{"text", "", "", "empty"},
		{"text", "a\x00b", "", "zero byte"},
		{"fqdn", "a.Example.net", "\x01a\x07example\x03net\x00", ""},
		{"fqdn", "example.net.", "\x07example\x03net\x00", ""},
		{"fqdn", "a..b", "", "not a domain name"},
		{"fqdn", "-", "\x01-\x00", ""},
		{"hex", "00ff", "\x00\xff", ""},
		{"hex", "", "", ""},
		{"hex", "0", "", "even number of hex digits"},
		{"date", "today", "", `no type "date"`},
	}
	for _, c := range cases {
		o := metal.DHCPOption{Code: 224, Type: c.kind, Value: c.value}
		got, err := encode(o)
		if c.refused != "" {
			for _, err := range []error{err, CheckOptions(custom(o))} {
				if metal.CodeOf(err) != metal.Invalid || !strings.Contains(err.Error(), c.refused) || !strings.Contains(err.Error(), "option 224") {
					t.Errorf("%s %q: got %v; want it refused as option 224: %s", c.kind, c.value, err, c.refused)
				}
			}
			continue
		}
		if err != nil || string(got) != c.want {
			t.Errorf("%s %q: got %q, %v; want %q", c.kind, c.value, got, err, c.want)
		}
		if err := CheckOptions(custom(o)); err != nil {
			t.Errorf("%s %q: got %v; want it taken", c.kind, c.value, err)
		}
	}
}

func TestOptionsThatNobodyMaySetByHand(t *testing.T) {
	forbidden := map[int]string{
		0: "fills up", 255: "fills up", 1: "CIDR", 12: "name", 51: "lease_seconds", 58: "lease_seconds", 59: "lease_seconds", 50: "conversation",
		52: "protocol", 53: "protocol", 54: "protocol", 55: "conversation", 57: "conversation", 60: "conversation", 61: "conversation", 82: "protocol",
		7: "set syslog", 26: "set mtu", 66: "set boot_server", 67: "set boot_file", 100: "set time_zone", 101: "set time_zone", 252: "set wpad",
		-1: "1 to 254", 256: "1 to 254", 65535: "1 to 254",
	}
	for code := -1; code <= 256; code++ {
		err := CheckOptions(custom(metal.DHCPOption{Code: code, Type: "hex", Value: "0a000001"}))
		why, bad := forbidden[code]
		switch {
		case bad && (metal.CodeOf(err) != metal.Invalid || !strings.Contains(err.Error(), why)):
			t.Errorf("option %d: got %v; want it refused: %s", code, err, why)
		case !bad && err != nil && notByHand(code) == "":
			t.Errorf("option %d: got %v; want it taken", code, err)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	good := metal.DHCPOptions{
		MTU: 9000, BootServer: "tftp.example.net", BootFile: "pxelinux.0", Syslog: []netip.Addr{ip("10.0.0.1")}, TimeZone: "Europe/Berlin",
		WPAD: "http://proxy.example.net/wpad.dat", Custom: []metal.DHCPOption{{Code: 6, Type: "ips", Value: "9.9.9.9,1.1.1.1"}, {Code: 43, Type: "hex", Value: "0102"}},
	}
	cases := []struct {
		name    string
		change  func(*metal.DHCPOptions)
		refused string
	}{
		{"all at once", func(*metal.DHCPOptions) {}, ""},
		{"nothing", func(o *metal.DHCPOptions) { *o = metal.DHCPOptions{} }, ""},
		{"the least MTU", func(o *metal.DHCPOptions) { o.MTU = 68 }, ""},
		{"less than that", func(o *metal.DHCPOptions) { o.MTU = 67 }, "mtu: 67"},
		{"an MTU of more than 16 bits", func(o *metal.DHCPOptions) { o.MTU = 65536 }, "mtu: 65536"},
		{"a negative MTU", func(o *metal.DHCPOptions) { o.MTU = -1 }, "mtu: -1"},
		{"a log server by IPv6", func(o *metal.DHCPOptions) { o.Syslog = []netip.Addr{ip("fd00::1")} }, "syslog: fd00::1"},
		{"no log server", func(o *metal.DHCPOptions) { o.Syslog = []netip.Addr{{}} }, "syslog"},
		{"too many log servers", func(o *metal.DHCPOptions) { o.Syslog = slices.Repeat(o.Syslog, 61) }, "syslog: 61"},
		{"a proxy that is no URL", func(o *metal.DHCPOptions) { o.WPAD = "proxy" }, "wpad"},
		{"a file with a line break", func(o *metal.DHCPOptions) { o.BootFile = "a\nb" }, "boot_file"},
		{"a server of 256 bytes", func(o *metal.DHCPOptions) { o.BootServer = strings.Repeat("a", 256) }, "boot_server"},
		{"a time zone with a tab", func(o *metal.DHCPOptions) { o.TimeZone = "a\tb" }, "time_zone"},
		{"a code twice", func(o *metal.DHCPOptions) { o.Custom = append(o.Custom, o.Custom[0]) }, "option 6 is there twice"},
		{"name servers that are text", func(o *metal.DHCPOptions) {
			o.Custom = []metal.DHCPOption{{Code: 6, Type: "text", Value: "9.9.9.9"}}
		}, "use type ips"},
		{"name servers in hex", func(o *metal.DHCPOptions) {
			o.Custom = []metal.DHCPOption{{Code: 6, Type: "hex", Value: "09090909"}}
		}, ""},
		{"no name servers in hex", func(o *metal.DHCPOptions) { o.Custom = []metal.DHCPOption{{Code: 6, Type: "hex"}} }, "use type ips"},
		{"more than a packet has room for", func(o *metal.DHCPOptions) {
			o.Custom = []metal.DHCPOption{{Code: 224, Type: "text", Value: strings.Repeat("a", 1000)}, {Code: 225, Type: "text", Value: strings.Repeat("a", 30)}}
		}, "1034 bytes"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			o := good
			c.change(&o)
			err := CheckOptions(o)
			switch {
			case c.refused == "" && err != nil:
				t.Errorf("got %v; want nothing", err)
			case c.refused != "" && (metal.CodeOf(err) != metal.Invalid || !strings.Contains(err.Error(), c.refused)):
				t.Errorf("got %v; want it refused: %s", err, c.refused)
			}
		})
	}
}

func TestSearchListsAreCompressed(t *testing.T) {
	cases := []struct {
		domains []string
		want    string
	}{
		{nil, ""},
		{[]string{"eng.apple.com", "marketing.apple.com"}, "\x03eng\x05apple\x03com\x00\x09marketing\xc0\x04"}, // RFC 3397, 2
		{[]string{"a.test", "A.test."}, "\x01a\x04test\x00\xc0\x00"},
		{[]string{"test", "a.test", "b.a.test"}, "\x04test\x00\x01a\xc0\x00\x01b\xc0\x06"},
		{[]string{"a.test", "no name", "", ".", "b..test", strings.Repeat("a", 64) + ".test", strings.Repeat("a.", 128), "b.test"}, "\x01a\x04test\x00\x01b\xc0\x02"},
	}
	for _, c := range cases {
		got := searchList(c.domains)
		if string(got) != c.want {
			t.Errorf("%v: got %q; want %q", c.domains, got, c.want)
		}
	}
	// What another implementation reads of a list so long that some names are beyond the reach of pointers.
	var long []string
	for i := range 400 {
		long = append(long, strings.Repeat(string(rune('a'+i%26)), 60)+"."+strings.Repeat(string(rune('a'+i/26)), 60)+".test")
	}
	var got []string
	wire := searchList(long)
	for at := 0; at < len(wire); {
		name, next, err := dns.UnpackDomainName(wire, at)
		if err != nil {
			t.Fatal(err)
		}
		got, at = append(got, strings.TrimSuffix(name, ".")), next
	}
	if diff := cmp.Diff(long, got); diff != "" {
		t.Errorf("got + / want -:\n%s", diff)
	}
}

// FuzzCheckOptions checks that what is taken can be told, and comes to the client as it was written.
func FuzzCheckOptions(f *testing.F) {
	for _, kind := range []string{"ip", "ips", "uint8", "uint16", "uint32", "bool", "text", "fqdn", "hex", "date"} {
		f.Add(224, kind, "10.0.0.1", 1500, "tftp", "file", "http://a/b", "UTC")
	}
	f.Add(6, "text", "abcd", 0, "", "", "", "")
	f.Add(255, "hex", "", 68, "\x00", "\n", "x", "")
	f.Add(119, "fqdn", "a.b", 65535, strings.Repeat("a", 255), strings.Repeat("b", 255), "", "")
	f.Fuzz(func(t *testing.T, code int, kind, value string, mtu int, server, file, wpad, zone string) {
		o := metal.DHCPOptions{MTU: mtu, BootServer: server, BootFile: file, WPAD: wpad, TimeZone: zone, Custom: []metal.DHCPOption{{Code: code, Type: kind, Value: value}}}
		if err := CheckOptions(o); err != nil {
			if metal.CodeOf(err) != metal.Invalid {
				t.Errorf("got %v; want an invalid request", err)
			}
			return
		}
		wire, err := encode(o.Custom[0])
		if err != nil {
			t.Fatalf("option %d was taken, and cannot be written: %v", code, err)
		}
		big := saying(57, "\x08\x00")
		r := again(t, Respond(client(dhcpv4.MessageTypeDiscover, append(firmware("BIOS PXE"), big)...), view(func(v *View) { v.Options = o }), now))
		const surelyFits = 800
		if len(wire)+len(server)+len(file)+len(wpad)+len(zone) > surelyFits {
			return
		}
		got := r.Options[uint8(code)]
		if code != codeVendor && string(got) != string(wire) {
			t.Errorf("option %d: got % x; want % x", code, got, wire)
		}
		if file != "" && r.BootFileNameOption() != strings.TrimRight(file, "\x00") {
			t.Errorf("got boot file %q; want %q", r.BootFileNameOption(), file)
		}
	})
}
