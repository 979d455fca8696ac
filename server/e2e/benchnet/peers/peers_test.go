package peers

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/testnet"
)

func network() *testnet.Net {
	return &testnet.Net{
		Server: testnet.Side{Interface: "srv9", Addr: netip.MustParseAddr("10.99.0.1"), Addr6: netip.MustParseAddr("fd00:99::1")},
		Client: testnet.Side{Interface: "cli9", Addr: netip.MustParseAddr("10.99.0.2"), Addr6: netip.MustParseAddr("fd00:99::2")},
	}
}

func TestConfigurationsAreFilledIn(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name, text string
		isJSON     bool
		want       []string
	}{
		{"kea4", kea4, true, []string{`"10.96.0.0/12"`, `"srv9"`, `"10.104.0.0 - 10.111.255.254"`, `["10.99.0.2"]`, dir + "/leases4.csv"}},
		{"kea6", kea6, true, []string{`"fd00:99::/64"`, `"srv9"`, `"fd00:99::1:0:0 - fd00:99::1:ffff:ffff"`, dir + "/leases6.csv"}},
		{"dnsmasq", dnsmasq, false, []string{"interface=srv9\n", "dhcp-range=10.104.0.0,10.111.255.254,", "dhcp-leasefile=" + dir}},
		{"named", named, false, []string{"listen-on { 10.99.0.1; };", `directory "` + dir}},
		{"knot", knot, false, []string{"listen: 10.99.0.1@53\n", "rundir: " + dir}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(dir, c.name)
			if err := fill(path, c.text, network(), dir); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if c.isJSON && !json.Valid(got) {
				t.Errorf("got no JSON:\n%s", got)
			}
			for _, want := range c.want {
				if !strings.Contains(string(got), want) {
					t.Errorf("got:\n%s\nwant %q in it", got, want)
				}
			}
		})
	}
}

func TestProgramsAreFoundUnpackedOrOnThePath(t *testing.T) {
	dir := t.TempDir()
	unpacked := filepath.Join(dir, "usr/sbin/sh")
	if err := os.MkdirAll(filepath.Dir(unpacked), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(unpacked, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if got, err := Dir(dir).Find("sh"); err != nil || got != unpacked {
		t.Errorf("got %q, %v; want the one that is unpacked", got, err)
	}
	if got, err := Dir(t.TempDir()).Find("sh"); err != nil || !filepath.IsAbs(got) {
		t.Errorf("got %q, %v; want that of the system", got, err)
	}
	if _, err := Dir(dir).Find("no-such-daemon"); err == nil || !strings.Contains(err.Error(), ".ci/peers") {
		t.Errorf("got %v; want an error that says what to do", err)
	}
}
