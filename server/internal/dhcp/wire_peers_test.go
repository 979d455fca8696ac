package dhcp

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/netns"
)

// TestPeerUdhcpcOverABadWire has several clients ask over a wire that loses, repeats and reorders three frames of ten.
func TestPeerUdhcpcOverABadWire(t *testing.T) {
	t.Parallel()
	netns.Need(t, "udhcpc")
	const clients = 6
	server, client := netns.New(t, "s"), netns.New(t, "c")
	badWire(t, server, "eth0", client, "eth0", 0.3, 7)
	server.Run(t, "ip addr add 172.31.0.1/24 dev eth0")
	client.Run(t, "ip link add br0 type bridge forward_delay 0")
	client.Run(t, "ip link set br0 up")
	client.Run(t, "ip link set eth0 master br0")
	m := newMemory(t, rack("172.31.0.0/24"))
	log := serve(t, server, "eth0", ours, m)
	dir := t.TempDir()
	hook := script(t, `[ "$1" = bound ] && echo $ip > `+dir+`/$metal_client`)
	var consoles []*netns.Program
	for i := range clients {
		nic, port := fmt.Sprint("nic", i), fmt.Sprint("port", i)
		netns.Wire(t, client, nic, client, port)
		client.Run(t, "ip link set "+port+" master br0")
		console := client.Start(t, "env", fmt.Sprint("metal_client=", i), "udhcpc", "-f", "-q", "-t", "40", "-T", "1", "-A", "1", "-i", nic, "-s", hook)
		consoles = append(consoles, console)
	}
	got := map[string]bool{}
	netns.Until(t, "every client has an address", func() bool {
		for i := range clients {
			if text := strings.TrimSpace(read(filepath.Join(dir, fmt.Sprint(i)))); text != "" {
				got[text] = true
			}
		}
		return len(got) == clients
	}, func() string { return fmt.Sprint(got, consoles, log) })
	for _, l := range m.all() {
		if !got[l.Addr.String()] {
			t.Errorf("got %s stored for a client that has it not", l.Addr)
		}
	}
}

// TestPeerDhcrelay has ISC's relay agent between us and the client, on a good wire and on a bad one. It adds option
// 82, and forwards no reply whose option 82 is not the one that it sent.
func TestPeerDhcrelay(t *testing.T) {
	t.Parallel()
	netns.Need(t, "dhcrelay", "udhcpc")
	t.Run("on a good wire", func(t *testing.T) { behindDhcrelay(t, netns.Wire) })
	t.Run("on a bad wire", func(t *testing.T) {
		behindDhcrelay(t, func(t testing.TB, a netns.Space, endA string, b netns.Space, endB string) {
			badWire(t, a, endA, b, endB, 0.3, 11)
		})
	})
}

func behindDhcrelay(t *testing.T, wireToClient func(t testing.TB, a netns.Space, endA string, b netns.Space, endB string)) {
	t.Helper()
	server, relay, client := netns.New(t, "s"), netns.New(t, "r"), netns.New(t, "c")
	netns.Wire(t, server, "eth0", relay, "up0")
	wireToClient(t, relay, "down0", client, "eth0")
	server.Run(t, "ip addr add 172.31.0.1/24 dev eth0")
	server.Run(t, "ip route add 10.1.0.0/24 via 172.31.0.2")
	relay.Run(t, "ip addr add 172.31.0.2/24 dev up0")
	relay.Run(t, "ip addr add 10.1.0.254/24 dev down0")
	m := newMemory(t, rack("172.31.0.0/24"), rack("10.1.0.0/24"))
	log := serve(t, server, "eth0", ours, m)
	console := relay.Start(t, "dhcrelay", "-4", "-d", "--no-pid", "-a", "-m", "discard", "-id", "down0", "-iu", "up0", "172.31.0.1")
	console.Says(t, "Sending on")
	hook := script(t, `[ "$1" = bound ] && ip addr add $ip/$mask dev $interface`)
	said := client.Start(t, "udhcpc", "-f", "-t", "40", "-T", "1", "-A", "1", "-i", "eth0", "-s", hook)
	netns.Until(t, "the client behind the relay agent has an address of its own network", func() bool {
		return strings.Contains(client.Run(t, "ip -4 addr show eth0"), "inet 10.1.0.100/24")
	}, func() string { return said.String() + console.String() + log.String() })
	held := m.all()
	if len(held) != 1 {
		t.Fatalf("got leases %+v; want one", held)
	}
	got := []string{held[0].Subnet, held[0].Relay.String(), held[0].Circuit}
	if diff := cmp.Diff([]string{"net 10.1.0.0/24", "10.1.0.254", fmt.Sprintf("%x", "down0")}, got); diff != "" {
		t.Errorf("subnet, relay agent and circuit of the lease, got + / want -:\n%s", diff)
	}
}

// shared is a wire with our server, another product's and a client on it.
func shared(t *testing.T) (server, other, client netns.Space) {
	t.Helper()
	hub := netns.New(t, "h")
	hub.Run(t, "ip link add br0 type bridge forward_delay 0")
	hub.Run(t, "ip link set br0 up")
	var ends []netns.Space
	for i, suffix := range []string{"s", "o", "c"} {
		end := netns.New(t, suffix)
		port := fmt.Sprint("port", i)
		netns.Wire(t, hub, port, end, "eth0")
		hub.Run(t, "ip link set "+port+" master br0")
		ends = append(ends, end)
	}
	ends[0].Run(t, "ip addr add 172.31.0.1/24 dev eth0")
	ends[1].Run(t, "ip addr add 172.31.0.2/24 dev eth0")
	return ends[0], ends[1], ends[2]
}

// dnsmasq gives 172.31.0.50 to 172.31.0.59.
func dnsmasq(t *testing.T, ns netns.Space, options ...string) *netns.Program {
	t.Helper()
	console := ns.Start(t, append([]string{"dnsmasq", "-d", "--conf-file=/dev/null", "--port=0", "--interface=eth0", "--no-ping",
		"--dhcp-range=172.31.0.50,172.31.0.59,600", "--dhcp-authoritative", "--log-dhcp", "--dhcp-leasefile=" + filepath.Join(t.TempDir(), "leases")}, options...)...)
	console.Says(t, "IP range")
	return console
}

func TestPeerTwoServersOnOneWire(t *testing.T) {
	t.Parallel()
	netns.Need(t, "dnsmasq", "dhclient")
	for _, c := range []struct {
		name, reject string
		want         string
		ours         int
	}{
		{"the client takes the other server's offer, and ours is free again", "172.31.0.1", `fixed-address 172\.31\.0\.5\d;`, 0},
		{"the client takes ours", "172.31.0.2", `fixed-address 172\.31\.0\.100;`, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			server, other, client := shared(t)
			m := newMemory(t, rack("172.31.0.0/24"))
			log := serve(t, server, "eth0", ours, m)
			console := dnsmasq(t, other)
			dir := t.TempDir()
			leases, config := filepath.Join(dir, "leases"), filepath.Join(dir, "config")
			if err := os.WriteFile(config, []byte("reject "+c.reject+";\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			said := client.Start(t, "dhclient", "-4", "-1", "-d", "-v", "-sf", "/bin/true", "-cf", config, "-lf", leases,
				"-pf", filepath.Join(dir, "pid"), "eth0")
			netns.Until(t, "the client has a lease, and both servers know of it", func() bool {
				m.mu.Lock()
				defer m.mu.Unlock()
				return strings.Contains(read(leases), "}") && len(m.held) == c.ours && strings.Contains(log.String(), "REQUEST")
			}, func() string { return said.String() + log.String() + console.String() })
			if text := read(leases); !regexp.MustCompile(c.want).MatchString(text) {
				t.Errorf("got %s; want %s", text, c.want)
			}
			if strings.Contains(log.String(), "reply=NAK") {
				t.Errorf("got a refusal; want none:\n%s", log)
			}
			for _, l := range m.all() {
				if l.Addr != netip.MustParseAddr("172.31.0.100") || l.State != metal.LeaseActive {
					t.Errorf("got %+v; want the client's lease", l)
				}
			}
		})
	}
}
