package daemon

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/netns"
)

func TestTheAddressThatIsOurs(t *testing.T) {
	for _, c := range []struct {
		name string
		list []netip.Prefix
		want string
	}{
		{"IPv4 before IPv6", prefixes("fd00:31::1/64", "172.31.0.1/24"), "172.31.0.1/24"},
		{"the first of both", prefixes("172.31.0.1/24", "10.0.0.1/8"), "172.31.0.1/24"},
		{"IPv6 alone", prefixes("fe80::1/64", "fd00:31::1/64", "fd00:32::1/64"), "fd00:31::1/64"},
		{"link-local alone", prefixes("fe80::1/64"), "invalid Prefix"},
		{"none", nil, "invalid Prefix"},
	} {
		if got, ok := ownAddress(c.list); got.String() != c.want || ok != got.IsValid() {
			t.Errorf("%s: got %s, %t; want %s", c.name, got, ok, c.want)
		}
	}
}

// TestPeerNetworkdOverIPv6 serves a link without any IPv4 address: systemd's client hears from a router advertisement
// that it is to ask, gets its address by DHCPv6, and finds the boot server there.
func TestPeerNetworkdOverIPv6(t *testing.T) {
	const networkd = "/lib/systemd/systemd-networkd"
	netns.Need(t, networkd, "unshare", "curl")
	server, client := netns.New(t, "s"), netns.New(t, "c")
	netns.Wire(t, server, "eth0", client, "eth0")
	server.Run(t, "ip addr add fd00:31::1/64 dev eth0 nodad")
	server.UntilLinkLocal(t, "eth0")
	m := startMetald(t, server, "eth0")
	vlan := metal.VLANSpec{RA: metal.RouterAd{Enabled: true, Managed: true, Other: true}}
	if _, err := m.PutVLAN(t.Context(), api.PutVLANRequest{ByName: api.ByName{Name: "wire"}, Body: vlan}); err != nil {
		t.Fatal(err)
	}
	m.put(t, "rack6", metal.SubnetSpec{
		CIDR: netip.MustParsePrefix("fd00:31::/64"), DHCP: between("fd00:31::100", "fd00:31::1ff"),
	})

	unit := filepath.Join(t.TempDir(), "10-eth0.network")
	text := "[Match]\nName=eth0\n[Network]\nDHCP=no\nIPv6AcceptRA=yes\nLinkLocalAddressing=ipv6\n[IPv6AcceptRA]\nDHCPv6Client=yes\n"
	if err := os.WriteFile(unit, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	// Where /sys cannot be written it takes itself to be in a container, and does not wait for udev to name the link.
	line := strings.Join([]string{
		"mount -t tmpfs none /run", "mkdir -p /run/systemd/netif/leases /run/systemd/netif/links /run/systemd/netif/lldp /run/systemd/network",
		"cp " + unit + " /run/systemd/network/", "mount -o remount,ro,bind /sys",
		"chown -R systemd-network:systemd-network /run/systemd/netif", "exec " + networkd,
	}, " && ")
	console := client.Start(t, "env", "SYSTEMD_LOG_LEVEL=debug", "SYSTEMD_LOG_TARGET=console", "unshare", "--mount", "sh", "-c", line)
	detail := func() string { return console.String() + m.log.String() }
	netns.Until(t, "networkd has an address of the range", func() bool {
		return strings.Contains(client.Run(t, "ip -6 addr show dev eth0"), "fd00:31::1") && len(m.leases(t, "rack6")) == 1
	}, detail)
	lease := m.leases(t, "rack6")[0]
	if !strings.Contains(client.Run(t, "ip -6 addr show dev eth0"), lease.Addr.String()+"/128") {
		t.Errorf("got lease %s; want it on the link:\n%s", lease.Addr, client.Run(t, "ip -6 addr"))
	}
	var script string
	netns.Until(t, "the boot server answers", func() bool {
		out, err := client.Command("curl", "-sgf", "http://[fd00:31::1]:7080/boot/script/"+string(firstMAC)+"?platform=efi").CombinedOutput()
		script = string(out)
		return err == nil
	}, detail)
	if !strings.HasPrefix(script, "#!ipxe") || !strings.Contains(script, "http://[fd00:31::1]:7080/") {
		t.Errorf("got a script that names another boot server:\n%s", script)
	}
}
