package dhcp

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/server/internal/netns"
)

// TestPeerNetworkd runs systemd's own client, on a machine without systemd: in a mount namespace with a /run of its own.
func TestPeerNetworkd(t *testing.T) {
	t.Parallel()
	const networkd = "/lib/systemd/systemd-networkd"
	netns.Need(t, networkd, "unshare")
	server, client := near(t)
	m := newMemory(t, rack("172.31.0.0/24"))
	m.shape = telling
	log := serve(t, server, "eth0", ours, m)
	const name = "10-eth0.network"
	units := t.TempDir()
	text := `[Match]
Name=eth0
[Network]
DHCP=ipv4
LinkLocalAddressing=no
IPv6AcceptRA=no
[DHCPv4]
UseMTU=yes
UseDomains=yes
UseRoutes=yes
SendHostname=yes
Hostname=desk-3
SendDecline=no
`
	if err := os.WriteFile(filepath.Join(units, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	// Where /sys cannot be written it takes itself to be in a container, and does not wait for udev to name the link.
	line := strings.Join([]string{
		"mount -t tmpfs none /run", "mkdir -p /run/systemd/netif/leases /run/systemd/netif/links /run/systemd/netif/lldp /run/systemd/network",
		"cp " + filepath.Join(units, name) + " /run/systemd/network/", "mount -o remount,ro,bind /sys",
		"chown -R systemd-network:systemd-network /run/systemd/netif", "exec " + networkd,
	}, " && ")
	console := client.Start(t, "env", "SYSTEMD_LOG_LEVEL=debug", "SYSTEMD_LOG_TARGET=console", "unshare", "--mount", "sh", "-c", line)
	detail := func() string { return console.String() + log.String() }
	netns.Until(t, "networkd has a lease", func() bool { return strings.Contains(console.String(), "State changed: configuring -> configured") }, detail)
	wants(t, client.Run(t, "ip -4 addr show eth0"), "172.31.0.100/24")
	wants(t, client.Run(t, "ip -4 addr show eth0"), "mtu 1400")
	wants(t, client.Run(t, "ip route"), "10.8.0.0/13 via 172.31.0.253", "default via 172.31.0.254")
	if held := m.all(); len(held) != 1 || held[0].Hostname != "desk-3" {
		t.Errorf("got leases %+v; want one with the client's name", held)
	}
}
