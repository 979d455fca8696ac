package dhcp6

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/netns"
)

// rack is what the real clients of these tests are served from.
func rack(cidr string) *metal.Subnet {
	n := network(cidr)
	at := func(low byte) netip.Addr {
		b := n.Addr().As16()
		b[14], b[15] = 1, low
		return netip.AddrFrom16(b)
	}
	return &metal.Subnet{Name: "rack " + cidr, Spec: metal.SubnetSpec{CIDR: n, DHCP: metal.DHCPSpec{
		Mode: metal.DHCPAuthoritative, Ranges: []metal.AddrRange{{First: at(0), Last: at(255)}},
		Delegation: &metal.PrefixPool{CIDR: network("fd00:40::/32"), Length: 56},
	}}}
}

// near is a server's namespace, and a client's on the same wire.
func near(t *testing.T) (store *memory, client netns.Space, log *netns.Output) {
	t.Helper()
	server, client := netns.New(t, "s").WithoutDAD(t), netns.New(t, "c").WithoutDAD(t)
	wire(t, server, "eth0", client, "eth0")
	server.Run(t, "ip addr add fd00:31::1/64 dev eth0 nodad")
	store = &memory{subnets: []*metal.Subnet{rack("fd00:31::/64")}, assigned: map[string]netip.Addr{}}
	return store, client, serve(t, server, store)
}

// dhclient asks until it has a lease, and returns the lease file. It sets no address: its script is true(1).
func dhclient(t *testing.T, ns netns.Space, log *netns.Output, options ...string) string {
	t.Helper()
	dir := t.TempDir()
	leases := filepath.Join(dir, "leases")
	conf := filepath.Join(dir, "conf")
	if err := os.WriteFile(conf, []byte("also request dhcp6.sntp-servers, dhcp6.bootfile-url;\nsend fqdn.fqdn \"box.example.org\";\nsend fqdn.server-update on;\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"dhclient", "-6", "-1", "-d", "-v", "-sf", "/bin/true", "-cf", conf, "-lf", leases, "-pf", filepath.Join(dir, "pid")}, options...)
	console := ns.Start(t, append(args, "eth0")...)
	var text []byte
	netns.Until(t, "dhclient has a lease", func() bool { text, _ = os.ReadFile(leases); return strings.Contains(string(text), "lease6 {") },
		func() string { return console.String() + log.String() })
	return string(text)
}

func says(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("got no %q in\n%s", part, text)
		}
	}
}

// logs waits until the server has logged every part: a client has the answer before the server's line is written.
func logs(t *testing.T, log *netns.Output, parts ...string) {
	t.Helper()
	for _, part := range parts {
		log.Says(t, part)
	}
}

func TestPeerDhclientOfAMachine(t *testing.T) {
	t.Parallel()
	netns.Need(t, "dhclient")
	store, ns, log := near(t)
	store.assign(string(mac), ip("fd00:31::10"))
	text := dhclient(t, ns, log)
	says(t, text, "iaaddr fd00:31::10 {", "renew 300;", "rebind 480;", "max-life 600;", "option dhcp6.name-servers fd00:31::1;",
		"option dhcp6.domain-search \"metal.test.\", \"example.org.\";", "option dhcp6.sntp-servers fd00:31::1;", "option fqdn.fqdn \"node-1.metal.test\"")
	if held := store.held(); len(held) != 0 {
		t.Errorf("got leases %+v; want none: the address is the machine's own", held)
	}
}

func TestPeerDhclientOfAStrangerWithAPrefix(t *testing.T) {
	t.Parallel()
	netns.Need(t, "dhclient")
	store, ns, log := near(t)
	text := dhclient(t, ns, log, "-N", "-P")
	says(t, text, "iaaddr fd00:31::100 {", "iaprefix fd00:40::/56 {")
	held := store.held()
	if len(held) != 2 || held[0].Hostname != "box" || held[0].MAC != mac || held[1].Bits != 56 {
		t.Errorf("got leases %+v; want an address and a prefix of box", held)
	}
}

func TestPeerDhclientOfTwoAddresses(t *testing.T) {
	t.Parallel()
	netns.Need(t, "dhclient")
	store, ns, log := near(t)
	text := dhclient(t, ns, log, "-N", "-N")
	says(t, text, "iaaddr fd00:31::100 {", "iaaddr fd00:31::101 {")
	if held := store.held(); len(held) != 2 {
		t.Errorf("got leases %+v; want two", held)
	}
}

func TestPeerDhclientOfSettingsOnly(t *testing.T) {
	t.Parallel()
	netns.Need(t, "dhclient")
	_, ns, log := near(t)
	dir := t.TempDir()
	script := filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nenv > "+dir+"/$reason\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	console := ns.Start(t, "dhclient", "-6", "-S", "-1", "-d", "-v", "-sf", script, "-cf", "/dev/null", "-lf", filepath.Join(dir, "leases"), "-pf", filepath.Join(dir, "pid"), "eth0")
	var text []byte
	netns.Until(t, "dhclient has settings", func() bool { text, _ = os.ReadFile(filepath.Join(dir, "RENEW6")); return len(text) > 0 }, func() string {
		return console.String() + log.String()
	})
	says(t, string(text), "new_dhcp6_name_servers=fd00:31::1", "new_dhcp6_domain_search=metal.test. example.org.")
}

// TestPeerDhclientRebootsAndReleases starts dhclient a second time with its lease, so that it sends a CONFIRM or REBIND,
// and then has it release what it holds.
func TestPeerDhclientRebootsAndReleases(t *testing.T) {
	t.Parallel()
	netns.Need(t, "dhclient")
	store, ns, log := near(t)
	dir := t.TempDir()
	args := []string{"dhclient", "-6", "-1", "-d", "-v", "-sf", "/bin/true", "-cf", "/dev/null", "-lf", filepath.Join(dir, "leases"), "-pf", filepath.Join(dir, "pid")}
	detail := log.String
	first := ns.Start(t, append(args, "eth0")...)
	netns.Until(t, "dhclient is bound", func() bool { return strings.Contains(first.String(), "PRC: Bound") }, func() string { return first.String() + log.String() })
	first.Signal(unix.SIGKILL)
	second := ns.Start(t, append(args, "eth0")...)
	netns.Until(t, "dhclient is bound again", func() bool { return strings.Contains(second.String(), "PRC: Bound") }, func() string { return second.String() + log.String() })
	logs(t, log, "message=CONFIRM reply=REPLY")
	second.Signal(unix.SIGKILL)
	third := ns.Start(t, append(args, "-r", "eth0")...)
	netns.Until(t, "the lease is released", func() bool { return len(store.held()) == 0 }, func() string { return third.String() + detail() })
}

// TestPeerDhcpcd has a client that does rapid commit by itself, and asks for a prefix.
func TestPeerDhcpcd(t *testing.T) {
	t.Parallel()
	command := netns.Peer(t, "usr/sbin/dhcpcd")
	store, ns, log := near(t)
	dir := t.TempDir()
	conf, script := filepath.Join(dir, "conf"), filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nenv >> "+dir+"/env\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	text := "ipv6only\nnodelay\nnoipv6rs\nduid\noption dhcp6_rapid_commit, dhcp6_name_servers, dhcp6_domain_search, dhcp6_ntp_servers\ninterface eth0\nia_na 1\nia_pd 2 -\n"
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	console := ns.Start(t, append(command, "-6", "-B", "-d", "-f", conf, "-c", script, "eth0")...)
	env := func() string { text, _ := os.ReadFile(filepath.Join(dir, "env")); return string(text) }
	netns.Until(t, "dhcpcd is bound", func() bool { return strings.Contains(env(), "reason=BOUND6") }, func() string { return console.String() + log.String() })
	says(t, env(), "new_dhcp6_ia_na1_ia_addr1=fd00:31::100", "new_dhcp6_ia_pd1_prefix1=fd00:40::", "new_dhcp6_name_servers=fd00:31::1",
		"new_dhcp6_domain_search=metal.test example.org")
	if held := store.held(); len(held) != 2 {
		t.Errorf("got leases %+v; want an address and a prefix", held)
	}
	logs(t, log, "message=SOLICIT reply=REPLY")
}

// TestPeerDhcrelay has ISC's relay agent between us and the client, which is on a network of its own.
func TestPeerDhcrelay(t *testing.T) {
	t.Parallel()
	netns.Need(t, "dhcrelay", "dhclient")
	server, relay, client := netns.New(t, "s").WithoutDAD(t), netns.New(t, "r").WithoutDAD(t), netns.New(t, "c").WithoutDAD(t)
	wire(t, relay, "down0", client, "eth0")
	wire(t, server, "eth0", relay, "up0")
	server.Run(t, "ip addr add fd00:31::1/64 dev eth0 nodad")
	server.Run(t, "ip route add fd00:10::/64 via fd00:31::2")
	relay.Run(t, "ip addr add fd00:31::2/64 dev up0 nodad")
	relay.Run(t, "ip addr add fd00:10::1/64 dev down0 nodad")
	relay.Run(t, "sysctl -q -w net.ipv6.conf.all.forwarding=1")
	store := &memory{subnets: []*metal.Subnet{rack("fd00:31::/64"), rack("fd00:10::/64")}, assigned: map[string]netip.Addr{}}
	log := serve(t, server, store)
	console := relay.Start(t, "dhcrelay", "-6", "-d", "--no-pid", "-I", "-l", "down0", "-u", "fd00:31::1%up0")
	netns.Until(t, "dhcrelay listens", func() bool { return strings.Contains(console.String(), "Sending on") }, console.String)
	says(t, dhclient(t, client, log), "iaaddr fd00:10::100 {")
	held := store.held()
	if len(held) != 1 || held[0].Relay != ip("fd00:10::1") || held[0].MAC != mac || held[0].Circuit == "" {
		t.Errorf("got leases %+v; want one by the relay agent fd00:10::1 with its interface", held)
	}
}

// TestPeerPerfdhcp has Kea's load generator act as many clients.
func TestPeerPerfdhcp(t *testing.T) {
	t.Parallel()
	netns.Need(t, "perfdhcp")
	for _, c := range []struct{ name, options string }{
		{"by four messages", ""}, {"by a relay agent", "-A 1"}, {"with prefixes", "-e address-and-prefix"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			store, ns, _ := near(t)
			const sent = "40"
			out := ns.Run(t, "perfdhcp -6 -r 40 -R 30 -n "+sent+" -l eth0 -d 30 -W 8000000 "+c.options+" all")
			for _, exchange := range []string{"SOLICIT-ADVERTISE", "REQUEST-REPLY"} {
				_, part, _ := strings.Cut(out, exchange)
				for _, line := range []string{"sent packets: " + sent, "received packets: " + sent} {
					if at := strings.Index(part, line); at < 0 || at > 200 {
						t.Errorf("%s: got no %q in\n%s", exchange, line, out)
					}
				}
			}
			if held := store.held(); len(held) == 0 || len(held) > 60 {
				t.Errorf("got %d leases; want one or two a client, of 30", len(held))
			}
		})
	}
}
