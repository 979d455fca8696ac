package ra

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
)

// TestTheKernelFollowsWhatIsDeclared has a Linux host make itself an address and a default route of what it is told,
// give the address up when the prefix is taken back, and the route when the server stops.
func TestTheKernelFollowsWhatIsDeclared(t *testing.T) {
	need(t, "ip")
	server, host := wire(t)
	slaac := Prefix{Prefix: prefix("fd00:31::/64"), OnLink: true, Autonomous: true, Valid: validFor, Preferred: preferredFor}
	var settings atomic.Pointer[Settings]
	settings.Store(&Settings{Router: true, MTU: 1400, Prefixes: []Prefix{slaac}})
	changed := make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	log, ended := &output{}, make(chan error, 1)
	in(t, server, func() {
		s, err := New("srv0", Config{Settings: func() Settings { return *settings.Load() }, Changed: changed}, slog.New(slog.NewTextHandler(log, nil)))
		if err != nil {
			t.Error(err)
			return
		}
		go func() { ended <- s.Run(ctx) }()
	})
	address := func() string {
		return run(t, "ip", "-n", host, "-6", "-o", "addr", "show", "dev", "host0", "scope", "global")
	}
	route := func() string { return run(t, "ip", "-n", host, "-6", "route", "show", "default") }

	waitUntil(t, "the host has an address of the prefix", func() bool { return strings.Contains(address(), "fd00:31::") })
	waitUntil(t, "the host has a default route", func() bool { return strings.Contains(route(), "via fe80::ff:fe00:1") })
	if mtu := run(t, "ip", "netns", "exec", host, "cat", "/proc/sys/net/ipv6/conf/host0/mtu"); strings.TrimSpace(mtu) != "1400" {
		t.Errorf("got MTU %s; want 1400", mtu)
	}

	other := slaac
	other.Prefix = prefix("fd00:32::/64")
	settings.Store(&Settings{Router: true, Prefixes: []Prefix{other}})
	changed <- struct{}{}
	waitUntil(t, "the host has an address of the new prefix", func() bool { return strings.Contains(address(), "fd00:32::") })
	waitUntil(t, "the old one is for old connections only", func() bool { return strings.Contains(address(), "deprecated") })
	if out := run(t, "ip", "-n", host, "-6", "route", "show", "fd00:31::/64"); out != "" {
		t.Errorf("got route %s; want the old prefix no longer on the link", out)
	}

	cancel()
	if err := <-ended; err != nil {
		t.Errorf("got %v; want nothing", err)
	}
	waitUntil(t, "the host has no default route any more", func() bool { return route() == "" })
	if out := address(); !strings.Contains(out, "fd00:32::") {
		t.Errorf("got %s; want the address to stay over a restart", out)
	}
}
