package peers

import (
	"path/filepath"

	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/testnet"
)

// Chronyd starts chronyd as a server of the computer's own clock, which it leaves alone (-x). It limits no client's
// rate, which is its default.
func (d Dir) Chronyd(net *testnet.Net, dir string) (*testnet.Process, error) {
	return d.start(net, dir, "chronyd", []string{
		"-4", "-n", "-x", "-u", "root",
		"local stratum 10", "allow", "cmdport 0", "bindcmdaddress /", "pidfile " + filepath.Join(dir, "chronyd.pid"),
	})
}
