package daemon

import (
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/netns"
)

// TestFirmwareBootsBesideAnotherDHCPServer has real firmware take its address from dnsmasq, which names nothing to
// boot, and what to boot from us, who give no address.
func TestFirmwareBootsBesideAnotherDHCPServer(t *testing.T) {
	needFirmware(t, "dnsmasq")
	for _, f := range []firmware{biosIPXE(), uefiPXE()} {
		t.Run(f.name, func(t *testing.T) {
			ns := rack(t)
			other := netns.New(t, "d")
			netns.Wire(t, ns, "wire0", other, "eth0")
			ns.Run(t, "ip link set wire0 master br0")
			other.Run(t, "ip addr add 172.31.0.2/24 dev eth0")
			m := startMetald(t, ns, "br0")
			m.put(t, "rack", metal.SubnetSpec{CIDR: netip.MustParsePrefix("172.31.0.0/24"), DHCP: metal.DHCPSpec{Mode: metal.DHCPProxy}})
			dnsmasq := other.Start(t, "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0", "--interface=eth0",
				"--bind-interfaces", "--user=root", "--no-ping", "--log-dhcp", "--dhcp-range=172.31.0.30,172.31.0.39,255.255.255.0,1h",
				"--dhcp-leasefile="+filepath.Join(t.TempDir(), "leases"))
			dnsmasq.Says(t, "sockets bound exclusively")

			from := m.booted(t, f.mode, f.powerOn(t, ns), dnsmasq)
			f.check(t, m)
			dnsmasq.Says(t, "DHCPACK(eth0) "+from.String()+" "+string(firstMAC))
			if leases := m.leases(t, "rack"); len(leases) != 0 {
				t.Errorf("got leases %+v; want none: the addresses are not ours to give", leases)
			}
		})
	}
}
