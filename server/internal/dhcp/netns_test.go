package dhcp

import (
	"log/slog"
	"net/netip"
	"testing"

	"github.com/metalform/terraform-provider-metal/server/internal/netns"
)

// serve runs a server on an interface of a namespace until the test ends, and returns its log.
func serve(t *testing.T, ns netns.Space, iface string, addr netip.Addr, store Store, changes ...func(*Config)) *netns.Output {
	t.Helper()
	log := &netns.Output{}
	cfg := Config{Interface: iface, Ours: addr, Store: store, Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, change := range changes {
		change(&cfg)
	}
	var s *Server
	ns.Must(t, func() (err error) {
		s, err = New(t.Context(), cfg)
		return err
	})
	netns.Keep(t, "the DHCP server", s.Run)
	return log
}

// near is a server's namespace with the address 172.31.0.1/24 on eth0, and a client's on the same wire.
func near(t *testing.T) (server, client netns.Space) {
	t.Helper()
	server, client = netns.New(t, "s"), netns.New(t, "c")
	netns.Wire(t, server, "eth0", client, "eth0")
	server.Run(t, "ip addr add 172.31.0.1/24 dev eth0")
	return server, client
}
