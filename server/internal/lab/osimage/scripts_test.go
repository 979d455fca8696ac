package osimage

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// busybox runs one of the tiny system's scripts as that system does.
func busybox(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("busybox"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("busybox is missing: %v", err)
		}
		t.Skip("busybox is missing")
	}
	cmd := exec.Command("busybox", args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("busybox %v: %v: %s", args, err, out)
	}
	return string(out)
}

const scriptDir = "tiny/tree/usr/lib/seed"

func TestTheTinySystemReadsNetworkConfigs(t *testing.T) {
	for _, c := range []struct{ name, config, want string }{
		{"blocks, matched by MAC", `version: 2
ethernets:
    nic0:
        match:
            macaddress: "52:54:00:AB:00:01"
        addresses:
            - 172.31.0.10/24
        routes:
            - to: default
              via: 172.31.0.1
        nameservers:
            addresses:
                - 172.31.0.1
                - 8.8.8.8
            search:
                - lab.example
`, "if nic0|mac 52:54:00:ab:00:01|addr 172.31.0.10/24|gw 172.31.0.1|dns 172.31.0.1|dns 8.8.8.8"},
		{"flow lists and gateway4", "network:\n  version: 2\n  ethernets:\n    eth0:\n      dhcp4: false\n      addresses: [10.0.0.5/8, 10.0.0.6/8]\n      gateway4: 10.0.0.1\n      nameservers: {search: [a.b], addresses: [1.1.1.1, 2.2.2.2]}\n",
			"if eth0|addr 10.0.0.5/8|addr 10.0.0.6/8|gw 10.0.0.1|dns 1.1.1.1|dns 2.2.2.2"},
		{"DHCP", "version: 2\nethernets:\n  eth0:\n    dhcp4: true # always\n", "if eth0|dhcp"},
		{"via before to, and another route", "version: 2\nethernets:\n  e:\n    addresses: [10.0.0.2/8]\n    routes:\n    - via: 10.0.0.9\n      to: 0.0.0.0/0\n    - to: 192.168.0.0/16\n      via: 10.0.0.3\n", "if e|addr 10.0.0.2/8|gw 10.0.0.9"},
		{"two cards", "version: 2\nethernets:\n  a:\n    match: {macaddress: 52:54:00:00:00:01}\n    set-name: a\n    dhcp4: true\n  b:\n    match: {macaddress: 52:54:00:00:00:02}\n    addresses: [10.0.0.2/8]\n", "if a|mac 52:54:00:00:00:01|dhcp|if b|mac 52:54:00:00:00:02|addr 10.0.0.2/8"},
		{"other devices do not count", "version: 2\nethernets:\n  a:\n    dhcp4: true\nbonds:\n  b0:\n    addresses: [10.0.0.2/8]\n", "if a|dhcp"},
		{"empty", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := strings.ReplaceAll(strings.TrimSpace(busybox(t, c.config, "awk", "-f", filepath.Join(scriptDir, "plan.awk"))), "\n", "|")
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheTinySystemFindsFieldsAndKeys(t *testing.T) {
	field := filepath.Join(scriptDir, "field")
	for _, c := range []struct{ meta, want string }{
		{"instance-id: i-1\nlocal-hostname: node1\n", "node1\n"},
		{"local-hostname: \"node1\"\nlocal-hostname: other\n", "node1\n"},
		{`{"instance-id": "i", "x": 1}` + "\n" + `"local-hostname": "node1",` + "\n", "node1\n"},
		{"public-hostname: no\n", ""},
	} {
		if got := busybox(t, c.meta, "sh", field, "local-hostname"); got != c.want {
			t.Errorf("local-hostname of %q: got %q; want %q", c.meta, got, c.want)
		}
	}
	keys := "#cloud-config\nssh_authorized_keys:\n  - ssh-ed25519 AAAAC3Nz/+b a@b\n  - \"ssh-rsa AAAAB3== c\"\nusers: []\n"
	if got, want := busybox(t, keys, "sh", filepath.Join(scriptDir, "keys")), "ssh-ed25519 AAAAC3Nz/+b\nssh-rsa AAAAB3==\n"; got != want {
		t.Errorf("keys: got %q; want %q", got, want)
	}
}
