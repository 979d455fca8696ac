package daemon

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/link"
	"github.com/metalform/terraform-provider-metal/server/internal/netns"
)

func TestTheAddressThatServicesOfALinkTell(t *testing.T) {
	for _, c := range []struct {
		name      string
		addrs     []netip.Prefix
		four, six string
	}{
		{"both families", prefixes("172.31.0.1/24", "fd00:31::1/64"), "172.31.0.1", "fd00:31::1"},
		{"the first of several", prefixes("172.31.0.1/24", "172.31.0.2/24", "fd00:31::1/64", "fd00:32::1/64"), "172.31.0.1", "fd00:31::1"},
		{"link-local is none", prefixes("172.31.0.1/24", "fe80::1/64"), "172.31.0.1", "invalid IP"},
		{"IPv6 alone", prefixes("fd00:31::1/64", "fe80::1/64"), "invalid IP", "fd00:31::1"},
		{"none", nil, "invalid IP", "invalid IP"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := link.Link{Addrs: c.addrs}
			if got, got6 := address4(l).String(), address6(l).String(); got != c.four || got6 != c.six {
				t.Errorf("got %s and %s; want %s and %s", got, got6, c.four, c.six)
			}
		})
	}
}

func TestTheBootServerIsNamedByTheAddressThatTheMachineReachesItBy(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	for _, c := range []struct {
		name, configured, local, want string
	}{
		{"IPv4", "", "10.7.0.1:7080", "http://10.7.0.1:" + port},
		{"IPv4 on a socket of both families", "", "[::ffff:10.7.0.1]:7080", "http://10.7.0.1:" + port},
		{"IPv6", "", "[fd00:31::1]:7080", "http://[fd00:31::1]:" + port},
		{"a link-local address would need a zone", "", "[fe80::1%eth0]:7080", "http://172.31.0.1:" + port},
		{"no address", "", "", "http://172.31.0.1:" + port},
		{"a person said which", "http://boot.example.net", "[fd00:31::1]:7080", "http://boot.example.net"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &Daemon{cfg: &Config{Boot: &Boot{URL: c.configured}}, ours: netip.MustParsePrefix("172.31.0.1/24"), boot: listener}
			q := new(http.Request)
			if c.local != "" {
				local := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(c.local))
				q = q.WithContext(context.WithValue(t.Context(), http.LocalAddrContextKey, net.Addr(local)))
			}
			if got := d.bootURLOf(q); got != c.want {
				t.Errorf("got %s; want %s", got, c.want)
			}
		})
	}
}

func TestDHCPv6ClientsKnowTheServerAfterARestart(t *testing.T) {
	r := newRig(t)
	first, err := (&Daemon{db: r.db}).serverDUID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	second, err := (&Daemon{db: r.db}).serverDUID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) || len(first) != 18 || first[1] != 4 || first[8]>>4 != 4 || first[10]>>6 != 2 {
		t.Errorf("got %x, then %x; want one random UUID (RFC 6355)", first, second)
	}
}

// TestAnInterfaceThatAppearsIsServed has a VLAN's interface come while metald runs, and then change its address, with
// real clients on the other end.
func TestAnInterfaceThatAppearsIsServed(t *testing.T) {
	netns.Need(t, "dhclient", "busybox", "/usr/lib/ipxe/undionly.kpxe")
	server, other, machines := netns.New(t, "s"), netns.New(t, "o"), netns.New(t, "c")
	netns.Wire(t, server, "eth0", other, "eth0")
	server.Run(t, "ip addr add 172.31.0.1/24 dev eth0")
	m := startMetald(t, server, "eth0", "late*")
	m.put(t, "late", metal.SubnetSpec{CIDR: netip.MustParsePrefix("10.7.0.0/24"), DHCP: between("10.7.0.100", "10.7.0.150")})

	netns.Wire(t, server, "late0", machines, "eth0")
	server.Run(t, "ip addr add 10.7.0.1/24 dev late0")
	wantLease(t, m, machines, "10.7.0.1")
	machines.Run(t, "ip addr add 10.7.0.9/24 dev eth0")
	wantLoader(t, m, machines, "10.7.0.1")

	server.Run(t, "ip addr del 10.7.0.1/24 dev late0")
	server.Run(t, "ip addr add 10.7.0.2/24 dev late0")
	wantLease(t, m, machines, "10.7.0.2")
	wantLoader(t, m, machines, "10.7.0.2")
}

// wantLease has dhclient ask until it has an address from the server with the identifier want.
func wantLease(t *testing.T, m *metald, ns netns.Space, want string) {
	t.Helper()
	dir := t.TempDir()
	leases := filepath.Join(dir, "leases")
	dhclient := ns.Start(t, "dhclient", "-4", "-d", "-v", "-sf", "/bin/true", "-cf", "/dev/null", "-lf", leases, "-pf", filepath.Join(dir, "pid"), "eth0")
	netns.Until(t, "a client has a lease from "+want, func() bool {
		text, err := os.ReadFile(leases)
		return err == nil && strings.Contains(string(text), "option dhcp-server-identifier "+want+";")
	}, func() string { return dhclient.String() + m.log.String() })
	dhclient.Signal(unix.SIGKILL)
}

// wantLoader has busybox fetch a boot file by TFTP.
func wantLoader(t *testing.T, m *metald, ns netns.Space, from string) {
	t.Helper()
	want, err := os.ReadFile("/usr/lib/ipxe/undionly.kpxe")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "loader")
	netns.Until(t, "the loader came from "+from, func() bool {
		command := ns.Command("busybox", "tftp", "-g", "-r", "undionly.kpxe", "-l", file, from)
		if command.Run() != nil { // nobody listens yet
			return false
		}
		got, err := os.ReadFile(file)
		return err == nil && bytes.Equal(got, want)
	}, m.log.String)
}
