package dhcp

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/netns"
)

// telling gives a view everything that can be told.
func telling(_ Query, v *View) {
	v.Hostname, v.Search = "node-1", []string{"metal.test", "lab.metal.test"}
	v.Routes = []metal.StaticRoute{{Spec: metal.StaticRouteSpec{Destination: prefix("10.8.0.0/13"), Gateway: ip("172.31.0.253")}}}
	v.Options = metal.DHCPOptions{MTU: 1400, Custom: []metal.DHCPOption{{Code: 4, Type: "ips", Value: "172.31.0.9"}}}
}

// script writes a program of a DHCP client's hooks.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\nexit 0\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// read returns what a file has by now.
func read(path string) string {
	text, _ := os.ReadFile(path)
	return string(text)
}

func wants(t *testing.T, text string, list ...string) {
	t.Helper()
	for _, want := range list {
		if !strings.Contains(text, want) {
			t.Errorf("got no %q in\n%s", want, text)
		}
	}
}

func TestPeerDhclient(t *testing.T) {
	t.Parallel()
	netns.Need(t, "dhclient")
	server, client := near(t)
	m := newMemory(t, rack("172.31.0.0/24"))
	m.shape = telling
	log := serve(t, server, "eth0", ours, m)
	dir := t.TempDir()
	leases, config := filepath.Join(dir, "leases"), filepath.Join(dir, "config")
	text := `option rfc3442 code 121 = array of unsigned integer 8;
send host-name "printer-1";
request subnet-mask, routers, domain-name-servers, ntp-servers, domain-name, domain-search, host-name, interface-mtu, time-servers, rfc3442;
`
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	console := client.Start(t, "dhclient", "-4", "-1", "-d", "-v", "-sf", "/bin/true", "-cf", config, "-lf", leases,
		"-pf", filepath.Join(dir, "pid"), "eth0")
	netns.Until(t, "dhclient has a lease", func() bool { return strings.Contains(read(leases), "}") }, func() string { return console.String() + log.String() })
	wants(t, read(leases), "fixed-address 172.31.0.100;", "option subnet-mask 255.255.255.0;", "option routers 172.31.0.254;",
		"option dhcp-server-identifier 172.31.0.1;", "option domain-name-servers 172.31.0.1;", "option ntp-servers 172.31.0.1;",
		`option domain-name "metal.test";`, `option domain-search "metal.test.", "lab.metal.test.";`, `option host-name "node-1";`,
		"option interface-mtu 1400;", "option time-servers 172.31.0.9;", "option dhcp-lease-time 600;",
		"option rfc3442 13,10,8,172,31,0,253,0,172,31,0,254;")
	if held := m.all(); len(held) != 1 || held[0].Hostname != "printer-1" || held[0].StartedAt.IsZero() {
		t.Errorf("got leases %+v; want one with the client's name and a beginning", held)
	}
}

func TestPeerUdhcpcRenewsAndReleases(t *testing.T) {
	t.Parallel()
	netns.Need(t, "udhcpc")
	server, client := near(t)
	m := newMemory(t, rack("172.31.0.0/24"))
	m.shape = telling
	log := serve(t, server, "eth0", ours, m)
	facts := filepath.Join(t.TempDir(), "facts")
	hook := script(t, `[ "$1" = bound ] && ip addr add $ip/$mask dev $interface && env > `+facts)
	udhcpc := client.Start(t, "udhcpc", "-f", "-R", "-i", "eth0", "-s", hook, "-O", "search", "-O", "staticroutes", "-O", "mtu") // -R: it releases when it ends
	detail := func() string { return udhcpc.String() + log.String() }
	netns.Until(t, "udhcpc has a lease", func() bool { return strings.Contains(client.Run(t, "ip -4 addr show eth0"), "172.31.0.100/24") }, detail)
	netns.Until(t, "its script is done", func() bool { return strings.Contains(read(facts), "mtu=") }, detail)
	wants(t, read(facts), "router=172.31.0.254\n", "dns=172.31.0.1\n", "search=metal.test lab.metal.test\n", "mtu=1400\n", "hostname=node-1\n",
		"staticroutes=10.8.0.0/13 172.31.0.253 0.0.0.0/0 172.31.0.254\n")
	started := m.all()[0].StartedAt
	udhcpc.Signal(unix.SIGUSR1)
	netns.Until(t, "the renewal is answered", func() bool { return strings.Count(log.String(), "reply=ACK") == 2 }, detail)
	if held := m.all(); len(held) != 1 || !held[0].StartedAt.Equal(started) {
		t.Errorf("got leases %+v; want one that began at %s still", held, started)
	}
	udhcpc.Signal(unix.SIGTERM)
	netns.Until(t, "the lease is released", func() bool { return len(m.all()) == 0 }, detail)
}

// TestPeerUdhcpcDeclines has another host use the first address of the range: the client finds it by ARP.
func TestPeerUdhcpcDeclines(t *testing.T) {
	t.Parallel()
	netns.Need(t, "udhcpc")
	server, client := near(t)
	m := newMemory(t, rack("172.31.0.0/24"))
	log := serve(t, server, "eth0", ours, m)
	server.Run(t, "ip addr add 172.31.0.100/24 dev eth0")
	hook := script(t, `[ "$1" = bound ] && ip addr add $ip/$mask dev $interface`)
	console := client.Start(t, "udhcpc", "-f", "-a", "-A", "1", "-i", "eth0", "-s", hook)
	detail := func() string { return console.String() + log.String() }
	netns.Until(t, "udhcpc has the next address", func() bool { return strings.Contains(client.Run(t, "ip -4 addr show eth0"), "172.31.0.101/24") }, detail)
	netns.Until(t, "the server has noted the conflict", func() bool { return strings.Contains(log.String(), "another host uses 172.31.0.100") }, detail)
}

func TestPeerDhcpcd(t *testing.T) {
	t.Parallel()
	dhcpcd := netns.Peer(t, "usr/sbin/dhcpcd")
	server, client := near(t)
	m := newMemory(t, rack("172.31.0.0/24"))
	m.shape = telling
	log := serve(t, server, "eth0", ours, m)
	dir := t.TempDir()
	facts := filepath.Join(dir, "facts")
	config := filepath.Join(dir, "config")
	text := "noarp\noption rapid_commit\nhostname laptop-7\noption domain_name_servers, domain_search, classless_static_routes, interface_mtu, ntp_servers, host_name\nnohook resolv.conf\nduid\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	hook := script(t, `[ "$reason" = BOUND ] && env > `+facts)
	// It keeps its state below fixed paths, so that it gets a mount namespace with others on them.
	line := fmt.Sprintf("mkdir -p /var/lib/dhcpcd /run/dhcpcd; mount -t tmpfs none /run && mount -t tmpfs none /var/lib && mkdir -p /var/lib/dhcpcd && exec %s -4 -B -d -f %s -c %s eth0", strings.Join(dhcpcd, " "), config, hook)
	console := client.Start(t, "unshare", "--mount", "sh", "-c", line)
	detail := func() string { return console.String() + log.String() }
	netns.Until(t, "dhcpcd has a lease", func() bool { return strings.Contains(read(facts), "new_ip_address=") }, detail)
	wants(t, read(facts), "new_ip_address=172.31.0.100\n", "new_domain_search=metal.test lab.metal.test\n", "new_interface_mtu=1400\n",
		"new_ntp_servers=172.31.0.1\n", "new_classless_static_routes=10.8.0.0/13 172.31.0.253 0.0.0.0/0 172.31.0.254\n")
	// RFC 4039. The client has its lease before the line is written.
	netns.Until(t, "the server has logged it", func() bool { return strings.Contains(log.String(), `message=DISCOVER reply=ACK address=172.31.0.100`) }, detail)
	if held := m.all(); len(held) != 1 || held[0].Hostname != "laptop-7" || held[0].ClientID == "" {
		t.Errorf("got leases %+v; want one with the client's name and identifier", held)
	}
}
