package udp

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// table is /proc/net/udp of a machine with dnsmasq and chrony, and lines no kernel writes.
const table = `   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  237: 00000000:0043 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 21501 2 0000000000000000 0
  247: 0100007F:0143 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 19144 2 0000000000000000 0
  301: 0100A8C0:0043 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 21777 2 0000000000000000 0
  302: nonsense 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0 0
  303: 00000000:XYZ 00000000:0000 07
`

func TestSocketsOnAPort(t *testing.T) {
	cases := []struct {
		name string
		port uint16
		want []string
	}{
		{"two sockets hold the port, on different addresses", 67, []string{"21501", "21777"}},
		{"one does", 323, []string{"19144"}},
		{"none does", 69, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, socketsOn(strings.NewReader(table), c.port)); diff != "" {
				t.Errorf("inodes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOwnersOfSockets(t *testing.T) {
	proc := t.TempDir()
	process := func(pid, name string, descriptors ...string) {
		fd := filepath.Join(proc, pid, "fd")
		if err := os.MkdirAll(fd, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(proc, pid, "comm"), []byte(name+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		for i, target := range descriptors {
			if err := os.Symlink(target, filepath.Join(fd, string(rune('0'+i)))); err != nil {
				t.Fatal(err)
			}
		}
	}
	process("812", "dnsmasq", "/dev/null", "socket:[21501]", "socket:[21777]")
	process("900", "chronyd", "socket:[19144]")

	wanted := map[string]bool{"socket:[21501]": true, "socket:[21777]": true}
	if diff := cmp.Diff([]string{"dnsmasq (pid 812)"}, owners(proc, wanted)); diff != "" {
		t.Errorf("owners (-want +got):\n%s", diff)
	}
	if got := owners(proc, nil); got != nil {
		t.Errorf("owners of no socket: got %v; want none", got)
	}
}
