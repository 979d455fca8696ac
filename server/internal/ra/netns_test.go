package ra

import (
	"log/slog"
	"testing"

	"github.com/metalform/terraform-provider-metal/server/internal/netns"
)

// start runs a server on the interface of the namespace until the test ends, and returns its log.
func start(t *testing.T, ns netns.Space, iface string, config Config) *netns.Output {
	t.Helper()
	log := &netns.Output{}
	var server *Server
	ns.Must(t, func() (err error) {
		server, err = New(iface, config, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
		return err
	})
	netns.Keep(t, "the router's advertisements", server.Run)
	return log
}

// wire makes two namespaces, joined by a veth pair: the server's end is srv0, the host's host0.
func wire(t *testing.T) (server, host netns.Space) {
	t.Helper()
	server, host = netns.New(t, "s"), netns.New(t, "h")
	netns.Wire(t, server, "srv0", host, "host0")
	server.Run(t, "ip link set srv0 down")
	server.Run(t, "ip link set srv0 address 02:00:00:00:00:01 up")
	server.UntilLinkLocal(t, "srv0")
	host.UntilLinkLocal(t, "host0")
	return server, host
}
