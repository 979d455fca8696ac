package ra

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/server/internal/netns"
)

// TestIPXEGoesOn boots QEMU's own iPXE (of 2019) by BIOS beside a DHCP server that sends no advertisements, and
// counts how often iPXE solicits a router before it fetches its script. With the answer of the zero Config it does
// once, and the script follows the DHCP ACK by 40 ms; without any answer it asks again and again, and the script was
// measured to follow by 16.1 s.
func TestIPXEGoesOn(t *testing.T) {
	netns.Need(t, "qemu-system-x86_64", "dnsmasq")
	name := netns.New(t, "q")
	name.Run(t, "ip link add br0 type bridge forward_delay 0 stp_state 0 mcast_snooping 0")
	name.Run(t, "ip addr add 172.31.0.1/24 dev br0")
	name.Run(t, "ip link set br0 up")
	name.Run(t, "ip tuntap add tap0 mode tap")
	name.Run(t, "ip link set tap0 master br0 up")
	name.UntilLinkLocal(t, "br0")

	files := t.TempDir()
	if err := os.Chmod(files, 0o755); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(files, "boot.ipxe")
	if err := os.WriteFile(script, []byte("#!ipxe\nsleep 3600\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	dhcp := name.Start(t, "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0", "--interface=br0",
		"--bind-interfaces", "--user=root", "--dhcp-range=172.31.0.10,172.31.0.20,255.255.255.0,1h", "--no-ping", "--log-dhcp",
		"--dhcp-leasefile="+filepath.Join(files, "leases"), "--dhcp-option=encap:175,176,1b",
		"--enable-tftp", "--tftp-root="+files, "--dhcp-boot=boot.ipxe")
	netns.Until(t, "dnsmasq listens", func() bool { return strings.Contains(dhcp.String(), "sockets bound exclusively") })

	log := start(t, name, "br0", Config{})
	name.Start(t, "qemu-system-x86_64", "-machine", "q35", "-accel", "tcg", "-cpu", "max", "-m", "256",
		"-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio",
		"-netdev", "tap,id=n0,ifname=tap0,script=no,downscript=no",
		"-device", "virtio-net-pci,netdev=n0,mac=52:54:00:00:00:01,bootindex=1")
	netns.Until(t, "iPXE fetches its script", func() bool { return strings.Contains(dhcp.String(), "sent "+script) })
	// Without an answer it is 6 times; an answer that is late, on a busy machine, costs one more.
	if got := strings.Count(log.String(), "msg=advertised interface=br0 to=fe80::5054:ff:fe00:1"); got < 1 || got > 3 {
		t.Errorf("iPXE solicited %d times before it went on; want once:\n%s", got, log)
	}
}
