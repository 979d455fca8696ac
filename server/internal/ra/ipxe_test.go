package ra

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestIPXEGoesOn boots QEMU's own iPXE (of 2019) by BIOS beside a DHCP server that sends no advertisements, and
// counts how often iPXE solicits a router before it fetches its script. With the answer of the zero Config it does
// once, and the script follows the DHCP ACK by 40 ms; without any answer it asks again and again, and the script was
// measured to follow by 16.1 s.
func TestIPXEGoesOn(t *testing.T) {
	need(t, "qemu-system-x86_64", "dnsmasq", "ip")
	name := newNamespace(t, "q")
	run(t, "ip", "-n", name, "link", "add", "br0", "type", "bridge", "forward_delay", "0", "stp_state", "0", "mcast_snooping", "0")
	run(t, "ip", "-n", name, "addr", "add", "172.31.0.1/24", "dev", "br0")
	run(t, "ip", "-n", name, "link", "set", "br0", "up")
	run(t, "ip", "netns", "exec", name, "ip", "tuntap", "add", "tap0", "mode", "tap")
	run(t, "ip", "-n", name, "link", "set", "tap0", "master", "br0", "up")
	waitForLinkLocal(t, name, "br0")

	files := t.TempDir()
	if err := os.Chmod(files, 0o755); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(files, "boot.ipxe")
	if err := os.WriteFile(script, []byte("#!ipxe\nsleep 3600\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	dhcp := background(t, name, "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0", "--interface=br0",
		"--bind-interfaces", "--user=root", "--dhcp-range=172.31.0.10,172.31.0.20,255.255.255.0,1h", "--no-ping", "--log-dhcp",
		"--dhcp-leasefile="+filepath.Join(files, "leases"), "--dhcp-option=encap:175,176,1b",
		"--enable-tftp", "--tftp-root="+files, "--dhcp-boot=boot.ipxe")
	waitUntil(t, "dnsmasq listens", func() bool { return strings.Contains(dhcp.String(), "sockets bound exclusively") })

	log := start(t, name, "br0", Config{})
	background(t, name, "qemu-system-x86_64", "-machine", "q35", "-accel", "tcg", "-cpu", "max", "-m", "256",
		"-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio",
		"-netdev", "tap,id=n0,ifname=tap0,script=no,downscript=no",
		"-device", "virtio-net-pci,netdev=n0,mac=52:54:00:00:00:01,bootindex=1")
	waitUntil(t, "iPXE fetches its script", func() bool { return strings.Contains(dhcp.String(), "sent "+script) })
	if got := strings.Count(log.String(), "msg=advertised interface=br0 to=fe80::5054:ff:fe00:1"); got != 1 {
		t.Errorf("iPXE solicited %d times before it went on; want once:\n%s", got, log)
	}
}
