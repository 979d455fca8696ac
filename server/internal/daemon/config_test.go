package daemon

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// load reads a configuration from a file, and returns its faults as "line: summary".
func load(t *testing.T, text string) (*Config, []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "metald.hcl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, _, diags := Load(path, nil)
	var faults []string
	for _, d := range diags {
		switch {
		case d.Subject == nil:
			t.Errorf("%q has no place", d.Summary)
		case d.Subject.Filename != path:
			t.Errorf("%q is in file %s; want %s", d.Summary, d.Subject.Filename, path)
		case d.Detail == "":
			t.Errorf("%q has no detail", d.Summary)
		}
		faults = append(faults, strings.TrimSpace(d.Subject.String()[len(path)+1:])+" "+d.Summary)
	}
	return c, faults
}

func TestEveryFaultIsToldWithItsLine(t *testing.T) {
	const first = "interface = \"lo\"\n"
	for _, test := range []struct {
		name, text string
		want       []string // "line,column-column summary", of which the line and the summary are compared
	}{
		{"nothing is wrong", first, nil},
		{"no interface", "zone = \"x\"\n", []string{"1 No interface"}},
		{"half a sentence", first + "api {\n", []string{"2 Unclosed configuration block"}},
		{"a setting that is not", first + "colour = \"red\"\n", []string{"2 Unsupported argument"}},
		{"a block that is not", first + "\nbios {}\n", []string{"3 Unsupported block type"}},
		{"a block twice", first + "api {}\napi {}\n", []string{"3 Duplicate api block"}},
		{"a number that is text", first + "ntp {\n  local_stratum = \"ten\"\n}\n", []string{"3 Unsuitable value type"}},
		{"a key without its certificate", first + "api {\n  key = \"x\"\n}\n", []string{"2 Half a certificate"}},
		{"a certificate without its key", first + "api {\n  certificate = \"x\"\n}\n", []string{"3 Half a certificate"}},
		{"addresses to listen on", first + "api {\n  listen = \"nowhere\"\n}\nboot {\n  listen = \"example:80\"\n}\ndns {\n  listen = \"1.2.3.4:99999\"\n}\nntp {\n  listen = \":\"\n}\n",
			[]string{"3 Bad address to listen on", "6 Bad address to listen on", "9 Bad address to listen on", "12 Bad address to listen on"}},
		{"the firmware speaks no https", first + "boot {\n  url = \"https://boot\"\n}\n", []string{"3 Bad URL of the boot server"}},
		{"forwarders and networks", first + "dns {\n  forward = [\"1.1.1.1\", \"one\"]\n  allow = [\"10.0.0.0/8\", \"10.0.0.0\"]\n}\n", []string{"3 Bad forwarder", "4 Bad network"}},
		{"stratum", first + "ntp {\n  local_stratum = 16\n}\n", []string{"3 Bad stratum"}},
		{"times", first + "limits {\n  erase = \"-1s\"\n  boot = \"soon\"\n  idle = \"90\"\n}\n", []string{"4 Bad duration", "3 Bad duration", "5 Bad duration"}},
		{"numbers", first + "limits {\n  boots = -1\n}\nimages {\n  max_gib = -5\n}\n", []string{"3 Bad number", "6 Bad number"}},
		{"a relative path", first + "images {\n  directories = [\"/srv\", \"srv\"]\n}\n", []string{"3 Not an absolute path"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, got := load(t, test.text)
			for i, g := range got {
				place, summary, _ := strings.Cut(g, " ")
				line, _, _ := strings.Cut(place, ",")
				got[i] = line + " " + summary
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatIsLeftOutHasItsDefault(t *testing.T) {
	c, faults := load(t, "interface = \"lo\"\ndns {\n  enabled = false\n}\n")
	if len(faults) != 0 {
		t.Fatal(faults)
	}
	on, off, limit := true, false, 200
	want := &Config{
		Interface: "lo", DataDir: "/var/lib/metald", Zone: "metal.internal", Subnet: &on,
		API:  &API{Listen: ":7443"},
		Boot: &Boot{Listen: ":7080", Env: "/var/lib/metald/bootenv", Loaders: []string{"/usr/lib/ipxe", "/usr/lib/shim", "/usr/lib/grub/x86_64-efi-signed", "/var/lib/metald/bootenv"}},
		DHCP: &Service{Enabled: &on}, TFTP: &Service{Enabled: &on}, RA: &Service{Enabled: &on},
		DNS: &DNS{Enabled: &off, RateLimit: &limit}, NTP: &NTP{Enabled: &on, Listen: ":123"}, Images: &Images{MaxGiB: 256}, Limits: &Limits{},
		Neighbours: &Neighbours{Probe: &on, Listen: &on, Rogues: "10m"},
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

func TestFlagsGoBeforeTheFile(t *testing.T) {
	c, _, faults := Load("", func(c *Config) { c.Interface, c.DataDir = "eth7", "/srv/metald" })
	if faults.HasErrors() || c.Interface != "eth7" || c.Boot.Env != "/srv/metald/bootenv" {
		t.Errorf("got %+v, %v; want the flags', and what follows from them", c, faults)
	}
	if _, _, faults := Load(filepath.Join(t.TempDir(), "none.hcl"), nil); !faults.HasErrors() {
		t.Error("a file that is not there is no fault")
	}
}

// onLoopback is a configuration with nothing but the API and the boot server, on free ports.
func onLoopback(t *testing.T) *Config {
	t.Helper()
	c, faults := load(t, "interface = \"lo\"\nauto_subnet = false\napi {\n  listen = \"127.0.0.1:0\"\n}\nboot {\n  listen = \"127.0.0.1:0\"\n}\n"+
		"dhcp {\n  enabled = false\n}\ntftp {\n  enabled = false\n}\nrouter_advertisements {\n  enabled = false\n}\ndns {\n  enabled = false\n}\nntp {\n  enabled = false\n}\n")
	if len(faults) != 0 {
		t.Fatal(faults)
	}
	c.DataDir = filepath.Join(t.TempDir(), "data")
	return c
}

func TestAStartThatCannotBeSaysWhy(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		change func(*Config)
		want   []string
	}{
		{"the API's port is taken", func(c *Config) { c.API.Listen = taken.Addr().String() }, []string{taken.Addr().String(), "api.listen"}},
		{"the boot server's port is taken", func(c *Config) { c.Boot.Listen = taken.Addr().String() }, []string{taken.Addr().String(), "boot.listen"}},
		{"the data directory is a file", func(c *Config) { c.DataDir = file }, []string{"data directory", file}},
		{"the data directory cannot be made", func(c *Config) { c.DataDir = "/proc/metald" }, []string{"data directory", "/proc/metald"}},
		{"there is no such interface", func(c *Config) { c.Interface = "none7" }, []string{"there is no interface none7"}},
		{"the certificate is not there", func(c *Config) { c.API.Cert, c.API.Key = "/none.pem", "/none.key" }, []string{"load the API's certificate", "/none.pem"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := onLoopback(t)
			test.change(c)
			d, err := New(t.Context(), c, "test", quiet(t))
			if err == nil {
				t.Fatalf("it started; closing: %v", d.Close())
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v; want %q in it", err, want)
				}
			}
		})
	}
}
