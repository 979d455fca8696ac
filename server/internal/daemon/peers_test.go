package daemon

import (
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/netns"
)

// near is a server's namespace, and a client's on the same wire.
func near(t *testing.T, r *rig, mac metal.MAC) (client netns.Space) {
	t.Helper()
	server, client := netns.New(t, "s"), netns.New(t, "c")
	netns.Wire(t, server, "eth0", client, "eth0")
	server.Run(t, "ip addr add 172.31.0.1/24 dev eth0")
	client.Run(t, "ip link set eth0 address "+string(mac))
	r.subnet(t, "rack", "172.31.0.0/24", "172.31.0.100", "172.31.0.150")
	r.serve(t, server, "eth0", ours)
	return client
}

// dhclient asks for a lease, and returns the lease file. It sets no address: its script is true(1).
func dhclient(t *testing.T, r *rig, ns netns.Space, options ...string) string {
	t.Helper()
	dir := t.TempDir()
	leases := filepath.Join(dir, "leases")
	args := append([]string{
		"dhclient", "-4", "-1", "-d", "-v", "-sf", "/bin/true", "-cf", "/dev/null", "-lf", leases, "-pf", filepath.Join(dir, "pid"),
	}, options...)
	console := ns.Start(t, append(args, "eth0")...)
	var text []byte
	netns.Until(t, "dhclient has a lease", func() bool { text, _ = os.ReadFile(leases); return strings.Contains(string(text), "}") },
		func() string { return console.String() + r.log.String() })
	return string(text)
}

func TestPeerDhclientOfAMachine(t *testing.T) {
	netns.Need(t, "dhclient")
	r := newRig(t)
	ns := near(t, r, firstMAC)
	m := r.declare(t, "node-1", firstMAC)
	text := dhclient(t, r, ns)
	for _, want := range []string{
		"fixed-address " + m.Address + ";", "option subnet-mask 255.255.255.0;", "option dhcp-server-identifier 172.31.0.1;",
		"option domain-name-servers 172.31.0.1;", "option domain-name \"metal.test\";", "option host-name \"node-1\";", "option dhcp-lease-time 600;",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("got no %q in\n%s", want, text)
		}
	}
}

func TestPeerUdhcpcRenewsAndReleases(t *testing.T) {
	netns.Need(t, "udhcpc")
	r := newRig(t)
	ns := near(t, r, firstMAC)
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n[ \"$1\" = bound ] && ip addr add $ip/$mask dev $interface\nexit 0\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	udhcpc := ns.Start(t, "udhcpc", "-f", "-R", "-i", "eth0", "-s", script) // -R: it releases when it ends
	detail := func() string { return udhcpc.String() + r.log.String() }
	netns.Until(t, "udhcpc has a lease", func() bool { return strings.Contains(ns.Run(t, "ip -4 addr show eth0"), "172.31.0.100/24") }, detail)
	if held := r.held(t); len(held) != 1 || held[0].State != metal.LeaseActive || held[0].MAC != firstMAC {
		t.Errorf("got leases %+v; want the client's", held)
	}
	udhcpc.Signal(unix.SIGUSR1)
	netns.Until(t, "the renewal is answered", func() bool { return strings.Count(r.log.String(), "reply=ACK") == 2 }, detail)
	udhcpc.Signal(unix.SIGTERM)
	netns.Until(t, "the lease is released", func() bool { return len(r.held(t)) == 0 }, detail)
}

// far is a client's namespace behind a relay agent's: the server's subnet is 172.31.0.0/24, the client's 10.1.0.0/24.
func far(t *testing.T, r *rig) (relay, client netns.Space) {
	t.Helper()
	server := netns.New(t, "s")
	relay, client = netns.New(t, "r"), netns.New(t, "c")
	netns.Wire(t, server, "eth0", relay, "up0")
	netns.Wire(t, relay, "down0", client, "eth0")
	server.Run(t, "ip addr add 172.31.0.1/24 dev eth0")
	server.Run(t, "ip route add 10.1.0.0/24 via 172.31.0.2")
	relay.Run(t, "ip addr add 172.31.0.2/24 dev up0")
	relay.Run(t, "ip addr add 10.1.0.254/24 dev down0")
	relay.Run(t, "sysctl -q -w net.ipv4.ip_forward=1")
	client.Run(t, "ip link set eth0 address "+string(firstMAC))
	r.subnet(t, "a-rack", "172.31.0.0/24", "172.31.0.100", "172.31.0.150")
	r.subnet(t, "b-rack", "10.1.0.0/24", "10.1.0.100", "10.1.0.150")
	r.serve(t, server, "eth0", ours)
	return relay, client
}

// TestPeerDhcrelay has ISC's relay agent between us and the client. With -a it adds option 82, and with -m discard it
// drops requests that have one already; it forwards no reply whose option 82 is not the one that it sent.
func TestPeerDhcrelay(t *testing.T) {
	netns.Need(t, "dhcrelay", "udhcpc")
	r := newRig(t)
	relay, client := far(t, r)
	m := r.declare(t, "node-1", firstMAC)
	dhcrelay := relay.Start(t, "dhcrelay", "-4", "-d", "--no-pid", "-a", "-m", "discard", "-id", "down0", "-iu", "up0", "172.31.0.1")
	dhcrelay.Says(t, "Sending on")
	script := filepath.Join(t.TempDir(), "script")
	text := "#!/bin/sh\n[ \"$1\" = bound ] && ip addr add $ip/$mask dev $interface && ip route add default via 10.1.0.254\nexit 0\n"
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	udhcpc := client.Start(t, "udhcpc", "-f", "-i", "eth0", "-s", script)
	detail := func() string { return udhcpc.String() + dhcrelay.String() + r.log.String() }
	netns.Until(t, "the client behind the relay agent has an address of its own network", func() bool {
		return strings.Contains(client.Run(t, "ip -4 addr show eth0"), "inet 10.1.0.")
	}, detail)
	addr := regexp.MustCompile(`inet (10\.1\.0\.\d+)/`).FindStringSubmatch(client.Run(t, "ip -4 addr show eth0"))[1]
	if !netip.MustParsePrefix("10.1.0.0/26").Contains(netip.MustParseAddr(addr)) || m.Address == addr {
		t.Errorf("got %s; want an address of the machine's own on the second subnet", addr)
	}
	// The renewal needs no relay agent: only the client's address tells its network.
	dhcrelay.Signal(unix.SIGKILL)
	acks := strings.Count(r.log.String(), "reply=ACK address="+addr)
	udhcpc.Signal(unix.SIGUSR1)
	netns.Until(t, "the renewal is answered", func() bool {
		return strings.Count(r.log.String(), "reply=ACK address="+addr) > acks
	}, detail)
	if strings.Contains(r.log.String(), "reply=NAK") {
		t.Errorf("got a refusal; want none:\n%s", r.log)
	}
}

// TestPeerPerfdhcp has Kea's load generator act as a relay agent for many clients, on our own wire.
func TestPeerPerfdhcp(t *testing.T) {
	netns.Need(t, "perfdhcp")
	r := newRig(t)
	ns := near(t, r, firstMAC)
	ns.Run(t, "ip addr add 172.31.0.2/24 dev eth0")
	out := ns.Run(t, "perfdhcp -4 -r 40 -R 30 -n 40 -l 172.31.0.2 -d 30 -W 8000000 172.31.0.1")
	for _, exchange := range []string{"DISCOVER-OFFER", "REQUEST-ACK"} {
		_, part, _ := strings.Cut(out, exchange)
		for _, line := range []string{"sent packets: 40", "received packets: 40"} {
			if at := strings.Index(part, line); at < 0 || at > 200 {
				t.Errorf("%s: got no %q in\n%s", exchange, line, out)
			}
		}
	}
	if held := r.held(t); len(held) == 0 || len(held) > 30 {
		t.Errorf("got %d leases; want one a client, of 30 at most", len(held))
	}
}
