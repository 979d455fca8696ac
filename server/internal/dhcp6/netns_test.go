package dhcp6

import (
	"log/slog"
	"testing"

	"github.com/metalform/terraform-provider-metal/server/internal/netns"
)

// wire joins two namespaces by a veth pair whose ends have these names, the second the MAC address of the tests'
// client, and waits until both have a link-local address.
func wire(t *testing.T, a netns.Space, endA string, b netns.Space, endB string) {
	t.Helper()
	netns.Wire(t, a, endA, b, endB)
	b.Run(t, "ip link set "+endB+" down")
	b.Run(t, "ip link set "+endB+" address "+string(mac)+" up")
	a.UntilLinkLocal(t, endA)
	b.UntilLinkLocal(t, endB)
}

// serve runs a server on eth0 of the namespace until the test ends, and returns its log.
func serve(t *testing.T, ns netns.Space, store Store) *netns.Output {
	t.Helper()
	log := &netns.Output{}
	var server *Server
	ns.Must(t, func() (err error) {
		server, err = New(t.Context(), Config{
			Interface: "eth0", Ours: ours, DUID: serverDUID.ToBytes(), Store: store,
			Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		})
		return err
	})
	netns.Keep(t, "the DHCPv6 server", server.Run)
	return log
}
