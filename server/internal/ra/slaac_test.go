package ra

import (
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/metalform/terraform-provider-metal/server/internal/netns"
)

// TestTheKernelFollowsWhatIsDeclared has a Linux host make itself an address and a default route of what it is told,
// give the address up when the prefix is taken back, and the route when the server stops.
func TestTheKernelFollowsWhatIsDeclared(t *testing.T) {
	netns.Need(t)
	server, host := wire(t)
	slaac := Prefix{Prefix: prefix("fd00:31::/64"), OnLink: true, Autonomous: true, Valid: validFor, Preferred: preferredFor}
	var settings atomic.Pointer[Settings]
	settings.Store(&Settings{Router: true, MTU: 1400, Prefixes: []Prefix{slaac}})
	changed := make(chan struct{}, 1)
	log := &netns.Output{}
	var s *Server
	server.Must(t, func() (err error) {
		s, err = New("srv0", Config{Settings: func() Settings { return *settings.Load() }, Changed: changed}, slog.New(slog.NewTextHandler(log, nil)))
		return err
	})
	end := netns.Keep(t, "the router's advertisements", s.Run)
	address := func() string {
		return host.Run(t, "ip -6 -o addr show dev host0 scope global")
	}
	route := func() string { return host.Run(t, "ip -6 route show default") }

	netns.Until(t, "the host has an address of the prefix", func() bool { return strings.Contains(address(), "fd00:31::") })
	netns.Until(t, "the host has a default route", func() bool { return strings.Contains(route(), "via fe80::ff:fe00:1") })
	netns.Until(t, "the host has the MTU", func() bool {
		return strings.TrimSpace(host.Run(t, "cat /proc/sys/net/ipv6/conf/host0/mtu")) == "1400"
	})

	other := slaac
	other.Prefix = prefix("fd00:32::/64")
	settings.Store(&Settings{Router: true, Prefixes: []Prefix{other}})
	changed <- struct{}{}
	netns.Until(t, "the host has an address of the new prefix", func() bool { return strings.Contains(address(), "fd00:32::") })
	netns.Until(t, "the old one is for old connections only", func() bool { return strings.Contains(address(), "deprecated") })
	netns.Until(t, "the old prefix is no longer on the link", func() bool { return host.Run(t, "ip -6 route show fd00:31::/64") == "" })

	end()
	netns.Until(t, "the host has no default route any more", func() bool { return route() == "" })
	if out := address(); !strings.Contains(out, "fd00:32::") {
		t.Errorf("got %s; want the address to stay over a restart", out)
	}
}
