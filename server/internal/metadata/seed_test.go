package metadata

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const (
	ed25519Key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICEKyVw3NtItZ9ZLlaH3HJH9YLljUWKbXaUhnxBFn3yi"
	secondKey  = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKcYZ0wH6a1bXq5dO2mJ9l8r2bJm0hB1m8Jm8i3vQn5y"
)

// full are facts in which nothing is empty.
func full() Facts {
	return Facts{
		InstanceID: "op-0123456789ab",
		Hostname:   "node7",
		FQDN:       "node7.metal.example.org.",
		SSHKeys:    []string{ed25519Key + " ada@example.org", secondKey},
		UserData:   []byte("#!/bin/sh\necho hello\n"),
		Network: NetworkFacts{
			Mode: "static", MAC: "52:54:00:12:34:56", Addr: netip.MustParsePrefix("192.0.2.7/24"),
			Gateway: netip.MustParseAddr("192.0.2.1"),
			DNS:     []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::53")},
			Search:  []string{"metal.example.org", "example.org."},
		},
		PhoneHomeURL:     "http://192.0.2.1:7080/phone-home/op-0123456789ab/tok_en-1",
		NTP:              []netip.Addr{netip.MustParseAddr("192.0.2.1")},
		KernelParameters: "console=ttyS0,115200n8 hugepages=4",
	}
}

// declared has a bond over both NICs that carries a VLAN, and a bridge over that.
func declared() Facts {
	f := full()
	stp := false
	f.Network.Declared = metal.NetworkSpec{
		Interfaces: []metal.NetworkInterface{
			{NetworkLink: metal.NetworkLink{Name: "boot0"}, MAC: "52:54:00:12:34:56"},
			{NetworkLink: metal.NetworkLink{Name: "lan1", MTU: 9000}, MAC: "52:54:00:12:34:57"},
		},
		Bonds: []metal.NetworkBond{{
			NetworkLink: metal.NetworkLink{Name: "bond0", Primary: true, Addresses: []string{"2001:db8::7/64"}, Routes: []metal.NetworkRoute{{To: "10.0.0.0/8", Via: "192.0.2.9", Metric: 50}}},
			Interfaces:  []string{"boot0", "lan1"}, Mode: "802.3ad", MIIMon: 100, LACPRate: "fast", XmitHashPolicy: "layer3+4",
		}},
		VLANs: []metal.NetworkVLAN{{NetworkLink: metal.NetworkLink{Name: "v30"}, ID: 30, Link: "bond0"}},
		Bridges: []metal.NetworkBridge{{
			NetworkLink: metal.NetworkLink{Name: "br30", Addresses: []string{"198.51.100.7/24"}, DNS: []string{"198.51.100.1"}}, Interfaces: []string{"v30"}, STP: &stp,
		}},
	}
	return f
}

func TestSeedIsWhatTheGoldenFilesHold(t *testing.T) {
	dhcp := full()
	dhcp.Network = NetworkFacts{Mode: "dhcp", MAC: "52:54:00:12:34:56"}
	six := full()
	six.Network.Addr, six.Network.Gateway = netip.MustParsePrefix("2001:db8::7/64"), netip.MustParseAddr("2001:db8::1")
	least := Facts{
		InstanceID: "i-1", Hostname: "123",
		Network: NetworkFacts{MAC: "00:11:22:33:44:55", Addr: netip.MustParsePrefix("192.0.2.7/24")},
	}
	for name, facts := range map[string]Facts{"static": full(), "dhcp": dhcp, "ipv6": six, "least": least, "declared": declared()} {
		t.Run(name, func(t *testing.T) {
			seed, err := Seed(facts)
			if err != nil {
				t.Fatal(err)
			}
			for file, got := range seed {
				path := filepath.Join("testdata", name, file)
				if os.Getenv("UPDATE_GOLDEN") != "" {
					if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), got); diff != "" {
					t.Errorf("%s (-want +got; UPDATE_GOLDEN=1 writes it anew):\n%s", file, diff)
				}
			}
		})
	}
}

func TestSeedRefusesFactsThatNoSystemCouldUse(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Facts)
		says   string
	}{
		{"no instance id", func(f *Facts) { f.InstanceID = "" }, "instance id"},
		{"an instance id with a line break", func(f *Facts) { f.InstanceID = "a\nb" }, "instance id"},
		{"no host name", func(f *Facts) { f.Hostname = "" }, "host name"},
		{"a host name with dots", func(f *Facts) { f.Hostname = "a.b" }, "host name"},
		{"a host name that adds a line", func(f *Facts) { f.Hostname = "a\nruncmd: [reboot]" }, "host name"},
		{"a host name that ends in a line break", func(f *Facts) { f.Hostname = "a\n" }, "host name"},
		{"a name with an empty label", func(f *Facts) { f.FQDN = "a..b" }, "DNS name"},
		{"a name with spaces", func(f *Facts) { f.FQDN = "a b.example.org" }, "DNS name"},
		{"a name that is too long", func(f *Facts) { f.FQDN = strings.Repeat("abcdefg.", 32) + "org" }, "DNS name"},
		{"a key that is none", func(f *Facts) { f.SSHKeys = []string{"hello"} }, "SSH public key"},
		{"two keys in one", func(f *Facts) { f.SSHKeys = []string{ed25519Key + "\n" + secondKey} }, "line break"},
		{"no MAC", func(f *Facts) { f.Network.MAC = "" }, "MAC"},
		{"a MAC that is not canonical", func(f *Facts) { f.Network.MAC = "52-54-00-12-34-5A" }, "canonical"},
		{"a declaration that nobody completed", func(f *Facts) {
			f.Network.Declared.VLANs = []metal.NetworkVLAN{{NetworkLink: metal.NetworkLink{Name: "v"}}}
		}, "0 links"},
		{"an unknown mode", func(f *Facts) { f.Network.Mode = "bond" }, "network mode"},
		{"a static mode without an address", func(f *Facts) { f.Network.Addr = netip.Prefix{} }, "needs an address"},
		{"a gateway of another family", func(f *Facts) { f.Network.Gateway = netip.MustParseAddr("fe80::1") }, "family"},
		{"a name server without an address", func(f *Facts) { f.Network.DNS = []netip.Addr{{}} }, "name server"},
		{"a time server without an address", func(f *Facts) { f.NTP = []netip.Addr{{}} }, "time server"},
		{"a search domain that is none", func(f *Facts) { f.Network.Search = []string{"a b"} }, "search"},
		{"a report to nowhere", func(f *Facts) { f.PhoneHomeURL = "file:///x" }, "URL to report to"},
		{"a report URL that cloud-init would fill in", func(f *Facts) { f.PhoneHomeURL = "http://h/$INSTANCE_ID" }, "dollar"},
		{"a report URL with a space", func(f *Facts) { f.PhoneHomeURL = "http://h/a b" }, "spaces"},
		{"a report URL that is too long", func(f *Facts) { f.PhoneHomeURL = "http://h/" + strings.Repeat("a", 2048) }, "2048"},
		{"kernel parameters that end the quotes", func(f *Facts) { f.KernelParameters = `a" ; reboot #` }, "kernel parameters"},
		{"kernel parameters that run a command", func(f *Facts) { f.KernelParameters = "a=$(reboot)" }, "kernel parameters"},
		{"kernel parameters on two lines", func(f *Facts) { f.KernelParameters = "a\nb" }, "kernel parameters"},
		{"user data that are too large", func(f *Facts) { f.UserData = make([]byte, MaxUserData+1) }, "at most"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := full()
			tt.change(&f)
			seed, err := Seed(f)
			if metal.CodeOf(err) != metal.Invalid || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v; want an invalid error that says %q", err, tt.says)
			}
			if seed != nil {
				t.Errorf("got a seed with an error: %v", seed)
			}
		})
	}
}

func TestErrorsDoNotShowTheReportURL(t *testing.T) {
	for _, u := range []string{"ftp://h/secret", "http://h/secret$", "http://h/secret b", "http://h:x/secret", "://secret"} {
		f := full()
		f.PhoneHomeURL = u
		if _, err := Seed(f); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("got %v; want an error without the URL", err)
		}
	}
}
