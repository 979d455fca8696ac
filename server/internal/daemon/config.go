package daemon

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/metalform/terraform-provider-metal/server/internal/dns"
)

// Config is metald's configuration file. What is left out has the default that Default and complete give it.
type Config struct {
	Interface string `hcl:"interface,optional"` // where machines are; the one thing without a default
	// Interfaces are others that are served too, by name or pattern ("eth2.*"), as soon as they are there.
	Interfaces []string    `hcl:"interfaces,optional"`
	DataDir    string      `hcl:"data_dir,optional"`
	Zone       string      `hcl:"zone,optional"`        // DNS domain of machines
	Subnet     *bool       `hcl:"auto_subnet,optional"` // on first start make a subnet of the interface's network
	API        *API        `hcl:"api,block"`
	Boot       *Boot       `hcl:"boot,block"`
	DHCP       *Service    `hcl:"dhcp,block"`
	TFTP       *Service    `hcl:"tftp,block"`
	RA         *Service    `hcl:"router_advertisements,block"`
	DNS        *DNS        `hcl:"dns,block"`
	NTP        *NTP        `hcl:"ntp,block"`
	Neighbours *Neighbours `hcl:"neighbours,block"`
	Images     *Images     `hcl:"images,block"`
	Limits     *Limits     `hcl:"limits,block"`
}

// API is the HTTPS API.
type API struct {
	Listen string   `hcl:"listen,optional"` // default :7443
	Names  []string `hcl:"names,optional"`  // more names and addresses for the certificate
	Cert   string   `hcl:"certificate,optional"`
	Key    string   `hcl:"key,optional"`
}

// Boot is the HTTP server that machines boot from, and agents speak to.
type Boot struct {
	Listen  string   `hcl:"listen,optional"`  // default :7080
	URL     string   `hcl:"url,optional"`     // as machines reach it; default the interface's address
	Loaders []string `hcl:"loaders,optional"` // directories with iPXE's binaries
	Env     string   `hcl:"environments,optional"`
	// Secure serves UEFI machines by shim and GRUB, which run with Secure Boot on or off, instead of by iPXE.
	Secure bool `hcl:"secure_boot,optional"`
	// KernelParameters are for every RAM environment, before those of the machine.
	KernelParameters string `hcl:"kernel_parameters,optional"`
}

// Service is one that can be turned off.
type Service struct {
	Enabled *bool `hcl:"enabled,optional"`
}

// DNS is the name server.
type DNS struct {
	Enabled *bool    `hcl:"enabled,optional"`
	Listen  string   `hcl:"listen,optional"` // default: port 53 of our address on the interface
	Forward []string `hcl:"forward,optional"`
	Allow   []string `hcl:"allow,optional"` // networks that may have names looked up elsewhere; default: the interface's network
	// RateLimit is how many answers a second by UDP one network gets to one question, those in Allow not counted; 0 is
	// without limit; default 200.
	RateLimit *int `hcl:"rate_limit,optional"`
	QueryLog  bool `hcl:"query_log,optional"` // log each request
}

// NTP is the time server.
type NTP struct {
	Enabled *bool    `hcl:"enabled,optional"`
	Listen  string   `hcl:"listen,optional"`  // default :123
	Servers []string `hcl:"servers,optional"` // that the clock is compared with; default: what the kernel says of it
	Allow   []string `hcl:"allow,optional"`   // networks that are told the time; default: all
	// LocalStratum serves this machine's clock at that stratum while nothing disciplines it; 0 does not.
	LocalStratum int `hcl:"local_stratum,optional"`
}

// Neighbours is what metald asks and hears on the wire about others.
type Neighbours struct {
	Probe  *bool  `hcl:"probe,optional"`  // before an address is given to a host, ask whether somebody has it
	Listen *bool  `hcl:"listen,optional"` // for addresses in use that nobody was given
	Rogues string `hcl:"rogues,optional"` // how often to look for other DHCP servers; 0s: never; default 10m
}

// Images is the image store.
type Images struct {
	Directories []string `hcl:"directories,optional"` // that sources may be files in
	MaxGiB      int      `hcl:"max_gib,optional"`
}

// Limits are times, as Go durations.
type Limits struct {
	Boot       string `hcl:"boot,optional"`
	Boots      int    `hcl:"boots,optional"`
	Silence    string `hcl:"silence,optional"`
	Report     string `hcl:"report,optional"`
	Idle       string `hcl:"idle,optional"`
	Commission string `hcl:"commission,optional"`
	Deploy     string `hcl:"deploy,optional"`
	Erase      string `hcl:"erase,optional"`
	Release    string `hcl:"release,optional"`
	Undeploy   string `hcl:"undeploy,optional"`
}

// Load reads a configuration file, or takes the defaults when path is empty. The diagnostics have every fault, with
// file and line; WriteFaults shows them.
func Load(path string, override func(*Config)) (*Config, *hclparse.Parser, hcl.Diagnostics) {
	parser := hclparse.NewParser()
	c := new(Config)
	var file *hcl.File
	if path != "" {
		f, diags := parser.ParseHCLFile(path)
		if diags.HasErrors() {
			return nil, parser, diags
		}
		file = f
		if diags := gohcl.DecodeBody(f.Body, nil, c); diags.HasErrors() {
			return nil, parser, diags
		}
	}
	if override != nil {
		override(c)
	}
	c.complete()
	return c, parser, c.faults(file)
}

func (c *Config) complete() {
	text := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	flag := func(b **bool) {
		if *b == nil {
			on := true
			*b = &on
		}
	}
	text(&c.DataDir, "/var/lib/metald")
	text(&c.Zone, "metal.internal")
	flag(&c.Subnet)
	orNew(&c.API)
	orNew(&c.Boot)
	orNew(&c.DHCP)
	orNew(&c.TFTP)
	orNew(&c.RA)
	orNew(&c.DNS)
	orNew(&c.NTP)
	orNew(&c.Images)
	orNew(&c.Limits)
	orNew(&c.Neighbours)
	for _, b := range []**bool{&c.Neighbours.Probe, &c.Neighbours.Listen, &c.DHCP.Enabled, &c.TFTP.Enabled, &c.RA.Enabled, &c.DNS.Enabled, &c.NTP.Enabled} {
		flag(b)
	}
	text(&c.API.Listen, ":7443")
	text(&c.Boot.Listen, ":7080")
	text(&c.Boot.Env, filepath.Join(c.DataDir, "bootenv"))
	if len(c.Boot.Loaders) == 0 {
		c.Boot.Loaders = []string{"/usr/lib/ipxe", "/usr/lib/shim", "/usr/lib/grub/x86_64-efi-signed"}
	}
	c.Boot.Loaders = append(c.Boot.Loaders, c.Boot.Env)
	text(&c.NTP.Listen, ":123")
	if c.DNS.RateLimit == nil {
		limit := 200
		c.DNS.RateLimit = &limit
	}
	text(&c.Neighbours.Rogues, "10m")
	if c.Images.MaxGiB == 0 {
		c.Images.MaxGiB = 256
	}
}

func orNew[T any](p **T) {
	if *p == nil {
		*p = new(T)
	}
}

// faults checks what the syntax cannot.
func (c *Config) faults(file *hcl.File) hcl.Diagnostics {
	var all hcl.Diagnostics
	fault := func(summary, detail string, path ...string) {
		all = append(all, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: rangeOf(file, path...)})
	}
	if c.Interface == "" {
		fault("No interface", `metald must know the network interface that machines are on: set interface, or give -interface.`, "interface")
	}
	if (c.API.Cert == "") != (c.API.Key == "") {
		fault("Half a certificate", "certificate and key go together.", "api", "certificate")
	}
	for _, l := range []struct{ value, block string }{{c.API.Listen, "api"}, {c.Boot.Listen, "boot"}, {c.DNS.Listen, "dns"}, {c.NTP.Listen, "ntp"}} {
		if l.value == "" {
			continue
		}
		if _, err := listenPort(l.value); err != nil {
			fault("Bad address to listen on", err.Error(), l.block, "listen")
		}
	}
	if u, err := url.Parse(c.Boot.URL); c.Boot.URL != "" && (err != nil || u.Scheme != "http" || u.Host == "") {
		fault("Bad URL of the boot server", fmt.Sprintf("%q is not an http URL, as in http://192.0.2.1:7080: the firmware of machines speaks no https.", c.Boot.URL), "boot", "url")
	}
	for _, a := range c.DNS.Forward {
		if _, err := dns.ParseUpstream(a); err != nil {
			fault("Bad forwarder", err.Error(), "dns", "forward")
		}
	}
	for _, a := range c.DNS.Allow {
		if _, err := netip.ParsePrefix(a); err != nil {
			fault("Bad network", fmt.Sprintf("%q is not a network, as in 192.0.2.0/24.", a), "dns", "allow")
		}
	}
	for _, a := range c.NTP.Allow {
		if _, err := netip.ParsePrefix(a); err != nil {
			fault("Bad network", fmt.Sprintf("%q is not a network, as in 192.0.2.0/24.", a), "ntp", "allow")
		}
	}
	for _, pattern := range c.Interfaces {
		if _, err := path.Match(pattern, ""); err != nil {
			fault("Bad pattern", fmt.Sprintf("%q is no name of an interface and no pattern, as in eth2.*.", pattern), "interfaces")
		}
	}
	if d, err := time.ParseDuration(c.Neighbours.Rogues); err != nil || d < 0 || d > 0 && d < time.Minute {
		fault("Bad duration", fmt.Sprintf("%q is not a duration of a minute at least, as in 10m, or 0s for never.", c.Neighbours.Rogues), "neighbours", "rogues")
	}
	if s := c.NTP.LocalStratum; s < 0 || s > 15 {
		fault("Bad stratum", "local_stratum is 1 to 15, or 0 for none (RFC 5905, 7.3).", "ntp", "local_stratum")
	}
	for _, n := range []struct {
		value       int
		block, name string
	}{{*c.DNS.RateLimit, "dns", "rate_limit"}, {c.Limits.Boots, "limits", "boots"}, {c.Images.MaxGiB, "images", "max_gib"}} {
		if n.value < 0 {
			fault("Bad number", fmt.Sprintf("%s cannot be below zero.", n.name), n.block, n.name)
		}
	}
	limits := c.Limits.durations()
	for _, name := range slices.Sorted(maps.Keys(limits)) {
		value := limits[name]
		if d, err := time.ParseDuration(value); value != "" && (err != nil || d <= 0) {
			fault("Bad duration", fmt.Sprintf("%q is not a duration above zero, as in 90s or 30m.", value), "limits", name)
		}
	}
	for _, dir := range c.Images.Directories {
		if !filepath.IsAbs(dir) {
			fault("Not an absolute path", fmt.Sprintf("%q: directories of images are absolute paths.", dir), "images", "directories")
		}
	}
	return all
}

func (l *Limits) durations() map[string]string {
	return map[string]string{
		"boot": l.Boot, "silence": l.Silence, "report": l.Report, "idle": l.Idle, "commission": l.Commission,
		"deploy": l.Deploy, "erase": l.Erase, "release": l.Release, "undeploy": l.Undeploy,
	}
}

// duration returns one of the limits, which faults has checked; 0 where it is not set.
func duration(text string) time.Duration {
	d, _ := time.ParseDuration(text)
	return d
}

func listenPort(addr string) (string, error) {
	host, port, ok := cutLast(addr, ":")
	if !ok || port == "" {
		return "", fmt.Errorf("%q has no port: write address:port, or :port for every address", addr)
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); host != "" && err != nil {
		return "", fmt.Errorf("%q does not begin with an IP address", addr)
	}
	var n uint16
	if _, err := fmt.Sscanf(port, "%d", &n); err != nil || fmt.Sprint(n) != port {
		return "", fmt.Errorf("%q is not a port: ports are 1 to 65535", port)
	}
	return port, nil
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// rangeOf finds where the file has an attribute, or else the block it should be in.
func rangeOf(file *hcl.File, path ...string) *hcl.Range {
	if file == nil {
		return nil
	}
	body, ok := file.Body.(*hclsyntax.Body)
	if !ok {
		return nil
	}
	found := body.SrcRange
	for _, name := range path {
		if a, ok := body.Attributes[name]; ok {
			found = a.SrcRange
			break
		}
		for _, b := range body.Blocks {
			if b.Type == name {
				body, found = b.Body, b.DefRange()
				break
			}
		}
	}
	return &found
}

// WriteFaults shows diagnostics with the lines they are about.
func WriteFaults(parser *hclparse.Parser, diags hcl.Diagnostics) error {
	return hcl.NewDiagnosticTextWriter(os.Stderr, parser.Files(), 100, false).WriteDiagnostics(diags)
}
