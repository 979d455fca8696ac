package metadata

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// python runs a script with Debian's Python, which is the one that has cloud-init's modules, and decodes what it prints.
func python(t *testing.T, script string, stdin []byte, out any) {
	t.Helper()
	tool(t, "cloud-init")
	cmd := exec.Command("/usr/bin/python3", "-c", script)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(stdin), &stderr
	b, err := cmd.Output()
	if err != nil {
		t.Fatalf("python: %v\n%s", err, stderr.Bytes())
	}
	if err := json.Unmarshal(b, out); err != nil {
		t.Fatalf("python printed %q: %v", b, err)
	}
}

func seedOf(t *testing.T, f Facts) map[string]string {
	t.Helper()
	seed, err := Seed(f)
	if err != nil {
		t.Fatal(err)
	}
	return seed
}

func TestCloudInitReadsHostNamesAsText(t *testing.T) {
	const script = `
import json, sys
from cloudinit import util
print(json.dumps([util.load_yaml(t) for t in json.load(sys.stdin)]))`
	names := []string{"node7", "123", "1e5", "0x1f", "on", "off", "yes", "no", "y", "n", "null", "true", "1-2", "0b1", "010", "NO"}
	var texts []string
	var want []map[string]any
	for _, name := range names {
		f := full()
		f.Hostname, f.InstanceID, f.SSHKeys = name, name, nil
		texts = append(texts, seedOf(t, f)[MetaData])
		want = append(want, map[string]any{"instance-id": name, "local-hostname": name})
	}
	stdin, err := json.Marshal(texts)
	if err != nil {
		t.Fatal(err)
	}
	var got []map[string]any
	python(t, script, stdin, &got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("meta-data (-want +got):\n%s", diff)
	}
}

func TestCloudInitAddsTheKeysOfTheSeedToThoseOfTheUserData(t *testing.T) {
	// As DataSourceNoCloud and cc_ssh.handle do it.
	const script = `
import json, sys
from cloudinit import util
from cloudinit.sources import normalize_pubkey_data
seed = json.load(sys.stdin)
keys = normalize_pubkey_data(util.load_yaml(seed["meta-data"]).get("public-keys"))
cfg = util.mergemanydict([util.load_yaml(seed["user-data"]), util.load_yaml(seed["vendor-data"])])
keys.extend(cfg.get("ssh_authorized_keys", []))
print(json.dumps({"keys": keys, "hostname": cfg["hostname"], "tries": cfg["phone_home"]["tries"]}))`
	f := full()
	f.UserData = []byte("#cloud-config\nhostname: mine\nssh_authorized_keys: [\"" + secondKey + " mine\"]\n")
	f.SSHKeys = []string{`from="192.0.2.0/24" ` + ed25519Key + " Ada's laptop: \"home\" # 1"}
	stdin, err := json.Marshal(seedOf(t, f))
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	python(t, script, stdin, &got)
	want := map[string]any{"keys": []any{f.SSHKeys[0], secondKey + " mine"}, "hostname": "mine", "tries": 10.0}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCloudInitsSchemaTakesTheVendorData(t *testing.T) {
	tool(t, "cloud-init")
	least := full()
	least.PhoneHomeURL, least.NTP, least.KernelParameters, least.FQDN = "", nil, "", ""
	for name, f := range map[string]Facts{"full": full(), "least": least} {
		file := filepath.Join(t.TempDir(), "vendor-data")
		if err := os.WriteFile(file, []byte(seedOf(t, f)[VendorData]), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("cloud-init", "schema", "--config-file", file).CombinedOutput(); err != nil || !strings.Contains(string(out), "Valid") {
			t.Errorf("%s: cloud-init schema: %v\n%s", name, err, out)
		}
	}
}

func TestCloudInitRendersTheNetworkConfig(t *testing.T) {
	tool(t, "cloud-init")
	six := full()
	six.Network.Addr, six.Network.Gateway = netip.MustParsePrefix("2001:db8::7/64"), netip.MustParseAddr("2001:db8::1")
	dhcp := full()
	dhcp.Network = NetworkFacts{Mode: "dhcp", MAC: "52:54:00:12:34:56"}
	tests := []struct {
		name, renderer, file string
		facts                Facts
		want                 []string
	}{
		{"IPv4", "netplan", "etc/netplan/50-cloud-init.yaml", full(), []string{"192.0.2.7/24", "to: 0.0.0.0/0", "via: 192.0.2.1", "macaddress: '52:54:00:12:34:56'"}},
		{"IPv4", "networkd", "etc/systemd/network/10-cloud-init-boot0.network", full(), []string{"Address=192.0.2.7/24", "Gateway=192.0.2.1", "MACAddress=52:54:00:12:34:56", "DNS=192.0.2.1"}},
		{"IPv4", "eni", "etc/network/interfaces.d/50-cloud-init", full(), []string{"address 192.0.2.7/24", "default gw 192.0.2.1"}},
		{"IPv4", "network-manager", "etc/NetworkManager/system-connections/cloud-init-boot0.nmconnection", full(), []string{"address1=192.0.2.7/24", "route1=0.0.0.0/0,192.0.2.1"}},
		{"IPv6", "netplan", "etc/netplan/50-cloud-init.yaml", six, []string{"2001:db8::7/64", "to: ::/0", "via: 2001:db8::1"}},
		{"IPv6", "networkd", "etc/systemd/network/10-cloud-init-boot0.network", six, []string{"Address=2001:db8::7/64", "Gateway=2001:db8::1"}},
		{"DHCP", "netplan", "etc/netplan/50-cloud-init.yaml", dhcp, []string{"dhcp4: true", "macaddress"}},
		{"bond", "network-manager", "etc/NetworkManager/system-connections/cloud-init-bond0.nmconnection", declared(), []string{"mode=802.3ad", "address1=192.0.2.7/24"}},
		{"bond", "eni", "etc/network/interfaces.d/50-cloud-init", declared(), []string{"bond-lacp-rate fast", "vlan-raw-device bond0", "bridge_ports v30"}},
		{"DHCP", "networkd", "etc/systemd/network/10-cloud-init-boot0.network", dhcp, []string{"DHCP=ipv4"}},
	}
	for _, tt := range tests {
		t.Run(tt.name+" by "+tt.renderer, func(t *testing.T) {
			dir := t.TempDir()
			config := filepath.Join(dir, NetworkConfig)
			if err := os.WriteFile(config, []byte(seedOf(t, tt.facts)[NetworkConfig]), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command("cloud-init", "devel", "net-convert", "-p", config, "-k", "yaml", "-d", dir, "-D", "debian", "-O", tt.renderer).CombinedOutput(); err != nil {
				t.Fatalf("cloud-init devel net-convert: %v\n%s", err, out)
			}
			got, err := os.ReadFile(filepath.Join(dir, tt.file))
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range tt.want {
				if !strings.Contains(string(got), want) {
					t.Errorf("%q is missing in\n%s", want, got)
				}
			}
		})
	}
}

func TestUserDataGoThroughUnchanged(t *testing.T) {
	gz := func(s string) string {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		w.Write([]byte(s))
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	tests := []struct {
		name, in, want string
		says           string // of the error, where there is one
	}{
		{"none is an empty cloud-config", "", "#cloud-config\n{}\n", ""},
		{"cloud-config", "#cloud-config\nruncmd: [ls]\n", "#cloud-config\nruncmd: [ls]\n", ""},
		{"a script without a final line break", "#!/bin/sh\ntrue", "#!/bin/sh\ntrue", ""},
		{"MIME with its own line breaks", "Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\n--b--\r\n", "Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\n--b--\r\n", ""},
		{"a template of cloud-init", "## template: jinja\n#cloud-config\n", "## template: jinja\n#cloud-config\n", ""},
		{"gzip is undone", gz("#!/bin/sh\n"), "#!/bin/sh\n", ""},
		{"gzip cut off", gz("#!/bin/sh\n")[:20], "", "cut off"},
		{"gzip that is damaged", "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff", "", "cannot be unpacked"},
		{"a gzip bomb", gz(strings.Repeat("a", MaxUserData+1)), "", "unpack to more"},
		{"what is not text", "\xff\xfe\x00", "", "UTF-8"},
		{"what is not text, in gzip", gz("\xff\xfe\x00"), "", "UTF-8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := full()
			f.UserData = []byte(tt.in)
			seed, err := Seed(f)
			if tt.says != "" {
				if metal.CodeOf(err) != metal.Invalid || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("got %v; want an invalid error that says %q", err, tt.says)
				}
				return
			}
			if err != nil || seed[UserData] != tt.want {
				t.Errorf("got %q, %v; want %q", seed[UserData], err, tt.want)
			}
		})
	}
}
