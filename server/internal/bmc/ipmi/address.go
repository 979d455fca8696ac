package ipmi

import (
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// defaultPort is the primary RMCP port (IPMI 2.0, 13.1.2).
const defaultPort = "623"

// parseAddress returns host:port of host, host:port, an IPv6 address or [IPv6]:port. Other text is Invalid.
func parseAddress(s string) (string, error) {
	bare := s
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		bare = s[1 : len(s)-1]
	}
	if addr, err := netip.ParseAddr(bare); err == nil {
		return net.JoinHostPort(addr.String(), defaultPort), nil
	}
	host, port := s, defaultPort
	if strings.Contains(s, ":") {
		var err error
		if host, port, err = net.SplitHostPort(s); err != nil {
			return "", invalidAddress(s)
		}
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || !isHost(host) {
		return "", invalidAddress(s)
	}
	return net.JoinHostPort(host, strconv.FormatUint(n, 10)), nil
}

// isHost says whether s is an IP address or could be a DNS name.
func isHost(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	name := func(r rune) bool {
		return r == '-' || r == '.' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
	}
	return s != "" && len(s) <= 253 && strings.IndexFunc(s, func(r rune) bool { return !name(r) }) < 0
}

func invalidAddress(s string) error {
	return metal.Errorf(metal.Invalid, "%q is not the address of an IPMI BMC: write host or host:port", s)
}
