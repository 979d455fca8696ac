package daemon

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/netns"
)

// metald is the whole program in a process of its own: it opens sockets in whatever thread, so all of it must be in
// the namespace. It is spoken to by its API.
type metald struct {
	*client.Client
	log *netns.Program
}

const metaldConfig = "METAL_TEST_RUNS_METALD"

// TestMetald is the process that startMetald starts, and nothing else.
func TestMetald(t *testing.T) {
	path := os.Getenv(metaldConfig)
	if path == "" {
		return
	}
	cfg, _, faults := Load(path, nil)
	if faults.HasErrors() {
		t.Fatal(faults)
	}
	log := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelDebug}))
	d, err := New(context.Background(), cfg, "test", log)
	if err != nil {
		t.Fatal(err)
	}
	t.Error(d.Run(context.Background()))
}

// startMetald serves interfaces of a namespace until the test ends. The first is the machines' own.
func startMetald(t *testing.T, ns netns.Space, first string, others ...string) *metald {
	t.Helper()
	dir := t.TempDir()
	text := fmt.Sprintf("interface = %q\ninterfaces = [", first)
	for _, o := range others {
		text += fmt.Sprintf("%q, ", o)
	}
	text += fmt.Sprintf(`]
data_dir    = %q
zone        = "metal.test"
auto_subnet = false
api {
  listen = "127.0.0.1:7443"
}
dns {
  enabled = false
}
ntp {
  enabled = false
}
neighbours {
  probe  = false
  listen = false
  rogues = "0s"
}
`, dir)
	config := filepath.Join(dir, "metald.hcl")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	m := &metald{log: ns.Start(t, "env", metaldConfig+"="+config, os.Args[0], "-test.run=^TestMetald$")}
	m.log.Says(t, "metald is up")
	m.Client = apiClient(t, ns, dir)
	return m
}

// apiClient speaks to the metald of a namespace that has its data in dir.
func apiClient(t *testing.T, ns netns.Space, dir string) *client.Client {
	t.Helper()
	token, err := os.ReadFile(filepath.Join(dir, "admin-token"))
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			var conn net.Conn
			err := ns.In(func() (err error) {
				conn, err = new(net.Dialer).DialContext(ctx, network, addr)
				return err
			})
			return conn, err
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := client.New(client.Config{
		URL: "https://127.0.0.1:7443", Token: metal.NewSecret(strings.TrimSpace(string(token))), HTTPClient: &http.Client{Transport: transport},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// put makes a subnet.
func (m *metald) put(t *testing.T, name string, spec metal.SubnetSpec) {
	t.Helper()
	if _, err := m.PutSubnet(t.Context(), api.PutSubnetRequest{ByName: api.ByName{Name: name}, Body: spec}); err != nil {
		t.Fatal(err)
	}
}

// leases lists those of a subnet.
func (m *metald) leases(t *testing.T, subnet string) []metal.Lease {
	t.Helper()
	list, err := m.ListLeases(t.Context(), api.ListLeasesRequest{Subnet: subnet})
	if err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// between is the DHCP of a subnet that gives strangers the addresses from first to last.
func between(first, last string) metal.DHCPSpec {
	return metal.DHCPSpec{Mode: metal.DHCPAuthoritative, Ranges: []metal.AddrRange{{First: netip.MustParseAddr(first), Last: netip.MustParseAddr(last)}}}
}

// booted waits until the firmware with the first MAC address has fetched its script, and returns the address that it
// asked from.
func (m *metald) booted(t *testing.T, mode metal.BootMode, more ...*netns.Program) netip.Addr {
	t.Helper()
	line := regexp.MustCompile(`msg=boot mac=` + string(firstMAC) + ` mode=` + string(mode) + ` from=(\S+) `)
	var found []string
	netns.Until(t, "the firmware fetched its script", func() bool { found = line.FindStringSubmatch(m.log.String()); return found != nil }, func() string {
		text := m.log.String()
		for _, o := range more {
			text += o.String()
		}
		return text
	})
	from, err := netip.ParseAddrPort(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return from.Addr()
}
