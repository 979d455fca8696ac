// Package metadata renders what an installed system is told of itself: the files of cloud-init's NoCloud seed. It is
// pure: facts in, text out. It also reads what such a system reports once it is up.
//
// Every file but user-data is YAML of the simplest kind, so that a system without cloud-init can read it with awk: one
// scalar a line, indented by two spaces a level, never folded; a scalar is bare or in double quotes.
package metadata

import (
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Names of the files of a seed.
const (
	UserData      = "user-data"
	MetaData      = "meta-data"
	VendorData    = "vendor-data"
	NetworkConfig = "network-config"
)

// Interface is the name that the installed system gives the NIC it booted from.
const Interface = "boot0"

// Facts are what a seed is made of.
type Facts struct {
	// InstanceID tells cloud-init whether it runs in a new installation: its once-per-instance work is done again when
	// the id changes. Letters, digits, dots, dashes and underscores; at most 128.
	InstanceID string
	Hostname   string // one DNS label
	FQDN       string // the whole DNS name; empty: the system has none
	// SSHKeys are authorized_keys lines for the image's default user and, where the image allows it, root.
	SSHKeys []string
	// UserData is the person's own, in any form that cloud-init knows; empty: none. At most MaxUserData bytes.
	UserData []byte
	Network  NetworkFacts
	// PhoneHomeURL is where the system reports that it is up; empty: nowhere.
	PhoneHomeURL string
	NTP          []netip.Addr // empty: the image's own choice
	// KernelParameters are added to the command line of the installed kernel, where GRUB loads it. They take effect at
	// the system's next boot: at the first one cloud-init has yet to write them.
	KernelParameters string
}

// NetworkFacts are how the installed system reaches the network through the NIC it booted from.
type NetworkFacts struct {
	Mode    string // static, the default, or dhcp
	MAC     metal.MAC
	Addr    netip.Prefix // the machine's own address with the length of its subnet; in mode dhcp only its family counts
	Gateway netip.Addr   // the zero value: none
	DNS     []netip.Addr
	Search  []string // DNS search domains
	// Declared is what else the system has of links, completed by netconf.Resolve; the zero value: only the boot NIC.
	Declared metal.NetworkSpec
}

const (
	maxName = 253 // RFC 1035, 2.3.4, without the final dot
	maxURL  = 2048

	maxParams = 2048 // COMMAND_LINE_SIZE of x86 and arm64 Linux
)

var (
	instanceForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)
	labelForm    = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)
	// paramsForm leaves out all that the shell, which reads GRUB's defaults, would take for its own within quotes.
	paramsForm = regexp.MustCompile(`^[A-Za-z0-9 _.,:;=/@%+~^*()<>\[\]{}&|?#-]*$`)
)

// Seed returns the files of a NoCloud seed by name. Facts that no system could use are an Invalid error.
func Seed(f Facts) (map[string]string, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	keys := make([]string, 0, len(f.SSHKeys))
	for _, line := range f.SSHKeys {
		key, _, err := ParseSSHKey(line)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	user, err := userData(f.UserData)
	if err != nil {
		return nil, err
	}
	return map[string]string{
		UserData:      user,
		MetaData:      metaData(f, keys).String(),
		VendorData:    "#cloud-config\n" + vendorData(f).String(),
		NetworkConfig: networkConfig(f.Network).String(),
	}, nil
}

func (f Facts) check() error {
	switch {
	case !instanceForm.MatchString(f.InstanceID):
		return metal.Errorf(metal.Invalid, "%q is not an instance id: letters, digits, dots, dashes and underscores, at most 128", f.InstanceID)
	case !labelForm.MatchString(f.Hostname):
		return metal.Errorf(metal.Invalid, "%q is not a host name: one DNS label", f.Hostname)
	case f.FQDN != "" && !isDomain(f.FQDN):
		return metal.Errorf(metal.Invalid, "%q is not a DNS name", f.FQDN)
	case !paramsForm.MatchString(f.KernelParameters):
		return metal.Errorf(metal.Invalid, "the kernel parameters hold a quote, a backslash, a dollar sign, a line break or the like")
	case len(f.KernelParameters) > maxParams:
		return metal.Errorf(metal.Invalid, "the kernel parameters have %d characters; at most %d are allowed", len(f.KernelParameters), maxParams)
	}
	for _, a := range f.NTP {
		if !a.IsValid() {
			return metal.Errorf(metal.Invalid, "a time server has no address")
		}
	}
	if f.PhoneHomeURL != "" {
		if err := checkURL(f.PhoneHomeURL); err != nil {
			return err
		}
	}
	return f.Network.check()
}

// checkURL checks the URL to report to. It may hold a secret, so it is never shown.
func checkURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "":
		return metal.Errorf(metal.Invalid, "the URL to report to is not an http(s) URL")
	case len(s) > maxURL || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return metal.Errorf(metal.Invalid, "the URL to report to holds spaces or other than ASCII characters, or more than %d of them", maxURL)
	case strings.ContainsRune(s, '$'):
		// cloud-init's phone_home takes $NAME in the URL for a variable of its own.
		return metal.Errorf(metal.Invalid, "the URL to report to holds a dollar sign")
	}
	return nil
}

func (n NetworkFacts) check() error {
	if mac, err := metal.ParseMAC(string(n.MAC)); err != nil {
		return err
	} else if mac != n.MAC {
		return metal.Errorf(metal.Invalid, "%q is not a MAC address in canonical form: want %s", n.MAC, mac)
	}
	switch n.Mode {
	case "", "static":
		if !n.Addr.IsValid() {
			return metal.Errorf(metal.Invalid, "a static network configuration needs an address")
		}
	case "dhcp":
	default:
		return metal.Errorf(metal.Invalid, "%q is not a network mode: static or dhcp", n.Mode)
	}
	if n.Gateway.IsValid() && n.Addr.IsValid() && n.Gateway.Is4() != n.Addr.Addr().Is4() {
		return metal.Errorf(metal.Invalid, "gateway %v is of another family than address %v", n.Gateway, n.Addr)
	}
	for _, a := range n.DNS {
		if !a.IsValid() {
			return metal.Errorf(metal.Invalid, "a name server has no address")
		}
	}
	for _, d := range n.Search {
		if !isDomain(d) {
			return metal.Errorf(metal.Invalid, "%q is not a DNS name to search in", d)
		}
	}
	return checkDeclared(n.Declared)
}

// isDomain says whether s is a DNS name made of host name labels (RFC 1123, 2.1), with or without a final dot.
func isDomain(s string) bool {
	s = strings.TrimSuffix(s, ".")
	if len(s) > maxName {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if !labelForm.MatchString(label) {
			return false
		}
	}
	return true
}
