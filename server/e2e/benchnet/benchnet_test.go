package main

import (
	"context"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/dhcpload"
	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/dnsload"
	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/ntpload"
	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/peers"
	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/perfdhcp"
	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/testnet"
)

// need skips the test without a tool or a right that it needs; in CI it fails.
func need(t *testing.T, ok bool, what string) {
	t.Helper()
	if ok {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("needs %s", what)
	}
	t.Skipf("needs %s", what)
}

// newBench is a bench in a network of its own that is gone after the test.
func newBench(t *testing.T) *bench {
	t.Helper()
	if testing.Short() {
		t.Skip("makes network namespaces")
	}
	need(t, os.Geteuid() == 0, "root")
	dir, err := filepath.Abs(valueOr(os.Getenv("METAL_PEERS"), "../../../.cache/peers"))
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{peers: peers.Dir(dir), dir: t.TempDir(), rounds: 1, scale: full, out: io.Discard}
	b.scale.step = time.Second
	for _, name := range []string{"kea-dhcp4", "kea-dhcp6", "dnsmasq", "named", "knotd", "dnsperf", "chronyd", "perfdhcp"} {
		_, err := b.peers.Find(name)
		need(t, err == nil, name)
	}
	if b.net, err = testnet.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.net.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func TestTheLoadsAreServedByThePeers(t *testing.T) {
	b := newBench(t)
	hosts := dnsload.Hosts{Domain: "lab.test", Count: 20}
	zones, err := hosts.Zones()
	if err != nil {
		t.Fatal(err)
	}
	mix, err := hosts.Mix(1000)
	if err != nil {
		t.Fatal(err)
	}
	queries := filepath.Join(t.TempDir(), "queries")
	if err := os.WriteFile(queries, []byte(mix), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		server  server
		answers func(context.Context) bool
		load    func(ctx context.Context) error
	}{
		{"our DHCP clients and perfdhcp, by Kea", b.peer("kea", b.peers.Kea4), b.leases, func(ctx context.Context) error {
			r, err := dhcpload.Run(ctx, b.net, dhcpload.Load{Clients: 50, Rate: 100, For: 300 * time.Millisecond})
			if err == nil && (r.Done() < 25 || r.Refused+r.Strange+r.Duplicates > 0) {
				t.Errorf("got %+v; want 30 exchanges, and nothing else", r)
			}
			if err != nil {
				return err
			}
			p, err := perfdhcp.Run(ctx, b.net, perfdhcp.Load{Rate: 100, For: time.Second})
			if p.Done() < 50 {
				t.Errorf("got %+v from perfdhcp; want 100 exchanges", p)
			}
			return err
		}},
		{"our DHCP clients, by dnsmasq", b.peer("dnsmasq", b.peers.Dnsmasq), b.leases, func(ctx context.Context) error {
			r, err := dhcpload.Run(ctx, b.net, dhcpload.Load{Clients: 50, Rate: 100, For: 300 * time.Millisecond})
			if r.Done() < 25 {
				t.Errorf("got %+v; want 30 exchanges", r)
			}
			return err
		}},
		{"our NTP clients, by chronyd", b.peer("chronyd", b.peers.Chronyd), up, func(ctx context.Context) error {
			r, err := ntpload.Run(ctx, b.net, 300*time.Millisecond)
			for tries := 0; err == nil && r.Answered == 0 && tries < 20; tries++ { // it is still starting
				r, err = ntpload.Run(ctx, b.net, 300*time.Millisecond)
			}
			if r.Answered == 0 || r.Refused+r.Strange > 0 {
				t.Errorf("got %+v; want answers, and nothing else", r)
			}
			return err
		}},
		{"perfdhcp, by Kea's DHCPv6 server", b.peer("kea6", b.peers.Kea6), up, func(ctx context.Context) error {
			var r perfdhcp.Result
			var err error
			for tries := 0; err == nil && r.Done() == 0 && tries < 10; tries++ { // it is still starting
				r, err = perfdhcp.Run(ctx, b.net, perfdhcp.Load{V6: true, Rate: 50, For: time.Second})
			}
			if r.Done() == 0 {
				t.Errorf("got %+v; want exchanges", r)
			}
			return err
		}},
		{"dnsperf, by BIND", b.peer("named", func(n *testnet.Net, dir string) (*testnet.Process, error) {
			return b.peers.Named(n, dir, zones)
		}), b.knows(hosts), func(ctx context.Context) error {
			r, err := dnsload.Run(ctx, b.net, b.peers, queries, time.Second)
			if math.Abs(r.Share("NXDOMAIN")-dnsload.NXDomain) > margin {
				t.Errorf("got the answers %v; want %.0f %% NXDOMAIN", r.Codes, 100*dnsload.NXDomain)
			}
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := b.with(t.Context(), c.server, c.answers, func(*testnet.Process) error { return c.load(t.Context()) })
			if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestComparisonsAreChosenByName(t *testing.T) {
	all, err := choose("")
	if err != nil || len(all) != len(names()) {
		t.Errorf("got %d, %v; want all", len(all), err)
	}
	two, err := choose("ntp-chrony,dora-v4")
	if err != nil || len(two) != 2 || two[0].name != "ntp-chrony" || two[1].name != "dora-v4" {
		t.Errorf("got %v, %v; want both in that order", two, err)
	}
	if _, err := choose("dora-v5"); err == nil || !strings.Contains(err.Error(), "dora-v4") {
		t.Errorf("got %v; want an error that says what there is", err)
	}
}

func TestARatioIsOneLineOfTabs(t *testing.T) {
	var out strings.Builder
	(&bench{out: &out}).ratio("dora-v4", 12000, 8000, doras)
	if got, want := out.String(), "ratio\tdora-v4\t12000\t8000\tDORA/s\t1.500\n"; got != want {
		t.Errorf("got %q; want %q", got, want)
	}
}

func TestOurOwnFiguresAreMeasured(t *testing.T) {
	programs := os.Getenv("METAL_PROGRAMS")
	need(t, programs != "", "METAL_PROGRAMS, the directory with metald")
	b := newBench(t)
	b.program = filepath.Join(programs, "metald")
	b.scale = scale{step: 300 * time.Millisecond, hosts: 50, pairs: 100, reservations: 2 * few}
	for name, want := range map[string]string{
		"dns-visibility":             "dns-visibility\t100\tpairs\t0\tstale\t",
		"dhcp-latency-under-changes": "ratio\tdhcp-latency-under-changes\t",
		"ipam":                       "ratio\tipam-64-callers\t",
		"dns-knot":                   "ratio\tdns-knot\t",
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			b.out = &out
			chosen, err := choose(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := chosen[0].run(b, t.Context()); err != nil {
				t.Fatalf("%v\nafter:\n%s", err, &out)
			}
			if !strings.Contains(out.String(), want) {
				t.Errorf("got:\n%s\nwant a line with %q", &out, want)
			}
		})
	}
}
