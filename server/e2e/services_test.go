package e2e_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// wantTime measures metald's clock with two clients that know nothing of each other. Neither sets the computer's.
func (g *rig) wantTime(t *testing.T) {
	t.Helper()
	host := g.Lab.State().Host.String()
	if got := g.run(t, "chronyd", "-Q", "-f", "/dev/null", "-t", "60", "server "+host+" iburst"); !strings.Contains(got, "System clock wrong by") {
		t.Errorf("chronyd: got %s; want a measurement", got)
	}
	if got := g.run(t, "ntpdate", "-q", host); !strings.Contains(got, " s10 ") && !strings.Contains(got, "stratum 10") {
		t.Errorf("ntpdate: got %s; want metald at stratum 10", got)
	}
}

// dhclientScript does nothing: the lease is looked at, not used, and the computer's resolv.conf is not dhclient's.
const dhclientScript = "#!/bin/sh\nexit 0\n"

// wantLease plugs a computer in that is no machine of the fleet, and has it ask for an address.
func (g *rig) wantLease(t *testing.T) {
	t.Helper()
	const mac = "52:54:00:aa:bb:cc"
	state := g.Lab.State()
	stranger := state.Name + "-x"
	if out, err := exec.Command("ip", "netns", "add", stranger).CombinedOutput(); err != nil {
		t.Fatalf("make namespace %s: %v\n%s", stranger, err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("ip", "netns", "del", stranger).CombinedOutput(); err != nil {
			t.Errorf("remove namespace %s: %v\n%s", stranger, err, out)
		}
	})
	g.run(t, "ip", "link", "add", "port9", "master", state.Bridge, "up", "type", "veth", "peer", "name", "eth0", "address", mac, "netns", stranger)

	dir := t.TempDir()
	script, leaseFile := filepath.Join(dir, "script"), filepath.Join(dir, "leases")
	if err := os.WriteFile(script, []byte(dhclientScript), 0o700); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	inside := []string{"netns", "exec", stranger}
	if out, err := exec.Command("ip", append(inside, "ip", "link", "set", "eth0", "up")...).CombinedOutput(); err != nil {
		t.Fatalf("set eth0 up: %v\n%s", err, out)
	}
	client := exec.Command("ip", append(inside, "dhclient", "-4", "-d", "-v", "-sf", script, "-lf", leaseFile, "-pf", filepath.Join(dir, "pid"), "eth0")...)
	client.Stdout, client.Stderr = &said, &said
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	var lease metal.Lease
	defer func() {
		_ = client.Process.Kill()
		_ = client.Wait() // it ends by the signal
		if t.Failed() {
			t.Logf("dhclient said:\n%s", said.String())
		}
	}()
	eventually(t, "metald has a lease for the stranger", func() bool {
		list, err := g.Client.ListLeases(t.Context(), api.ListLeasesRequest{Subnet: "default"})
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range list.Items {
			if string(l.MAC) == mac && l.State == metal.LeaseActive {
				lease = l
				return true
			}
		}
		return false
	})
	subnet, err := g.Client.GetSubnet(t.Context(), api.ByName{Name: "default"})
	if err != nil {
		t.Fatal(err)
	}
	if r := subnet.Spec.DHCP.Ranges[0]; lease.Addr.Less(r.First) || r.Last.Less(lease.Addr) {
		t.Errorf("lease: got %s; want it from %s to %s", lease.Addr, r.First, r.Last)
	}
	want := fmt.Sprintf("fixed-address %s;", lease.Addr)
	eventually(t, "dhclient has written the same lease down", func() bool {
		text, _ := os.ReadFile(leaseFile)
		return bytes.Contains(text, []byte(want)) && bytes.Contains(text, []byte("option domain-name-servers "+state.Host.String()))
	})
}
