package redfish

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const systemsPath = "/redfish/v1/Systems/"

// A target is where a Redfish service is.
type target struct {
	endpoint string // scheme://host[:port], without a slash at the end
	system   string // path of the system; "" to look for it
}

// parseAddress reads host, host:port, or a URL whose path is that of the service or of one of its systems. Other text
// is Invalid. Messages do not show it: it may hold a password.
func parseAddress(s string, allowPlain bool) (target, error) {
	if !strings.Contains(s, "://") {
		if addr, err := netip.ParseAddr(s); err == nil && addr.Is6() {
			s = "[" + s + "]"
		}
		s = "https://" + s
	}
	u, err := url.Parse(s)
	if err != nil {
		return target{}, metal.Errorf(metal.Invalid, "the address of the Redfish BMC is not host, host:port or a URL")
	}
	switch {
	case u.User != nil:
		return target{}, metal.Errorf(metal.Invalid, "the address of the Redfish BMC holds a user name: give name and password apart")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.RawPath != "":
		return target{}, metal.Errorf(metal.Invalid, "the address of the Redfish BMC at %q has more than a path after the host", u.Host)
	case u.Scheme == "http" && !allowPlain:
		return target{}, metal.Errorf(metal.Invalid,
			"the address of the Redfish BMC at %q is http, which shows the password to the network: use https, or set insecure", u.Host)
	case u.Scheme != "http" && u.Scheme != "https":
		return target{}, metal.Errorf(metal.Invalid, "the address of the Redfish BMC at %q has the scheme %q: use https", u.Host, u.Scheme)
	case !isHost(u.Hostname()) || !isPort(u):
		return target{}, metal.Errorf(metal.Invalid, "the address of the Redfish BMC has the host %q: write host or host:port", u.Host)
	}
	t := target{endpoint: u.Scheme + "://" + u.Host}
	switch path := strings.TrimRight(u.Path, "/"); {
	case path == "" || path == "/redfish" || path == "/redfish/v1":
	case isSystem(path):
		t.system = path
	default:
		return target{}, metal.Errorf(metal.Invalid, "the address of the Redfish BMC at %q has the path %q: leave it out, or name a system as in %s1",
			u.Host, u.Path, systemsPath)
	}
	return t, nil
}

// isSystem says whether path is one segment below the systems' path.
func isSystem(path string) bool {
	id, ok := strings.CutPrefix(path, systemsPath)
	return ok && id != "" && id != "." && id != ".." && !strings.ContainsAny(id, "/?#%\\ ") && isPrintable(id)
}

func isPrintable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f }) < 0
}

func isPort(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	n, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil && n != 0
}

// isHost says whether s is an IP address or could be a DNS name.
func isHost(s string) bool {
	if net.ParseIP(s) != nil {
		return true
	}
	name := func(r rune) bool {
		return r == '-' || r == '.' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
	}
	return s != "" && len(s) <= 253 && strings.IndexFunc(s, func(r rune) bool { return !name(r) }) < 0
}
