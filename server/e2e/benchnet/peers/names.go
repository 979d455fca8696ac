package peers

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/testnet"
)

// A Zone is a zone with its content as in a zone file (RFC 1035, 5).
type Zone struct {
	Name string // without the trailing dot
	Text string
}

const named = `options {
  directory "{{.Dir}}";
  pid-file "{{.Dir}}/named.pid";
  session-keyfile "{{.Dir}}/session.key";
  managed-keys-directory "{{.Dir}}";
  listen-on { {{.Server.Addr}}; };
  listen-on-v6 { none; };
  recursion no;
  dnssec-validation no;
  notify no;
};
controls { };
`

// Named starts BIND on one thread of its own for queries.
func (d Dir) Named(net *testnet.Net, dir string, zones []Zone) (*testnet.Process, error) {
	config := named
	for _, z := range zones {
		path, err := z.write(dir)
		if err != nil {
			return nil, err
		}
		config += fmt.Sprintf("zone %q { type primary; file %q; };\n", z.Name, path)
	}
	path := filepath.Join(dir, "named.conf")
	if err := fill(path, config, net, dir); err != nil {
		return nil, err
	}
	return d.start(net, dir, "named", []string{"-g", "-4", "-n", "1", "-c", path})
}

const knot = `server:
  listen: {{.Server.Addr}}@53
  rundir: {{.Dir}}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
database:
  storage: {{.Dir}}/knot
log:
  - target: stdout
    any: warning
zone:
`

// Knot starts knotd with one thread for queries by UDP.
func (d Dir) Knot(net *testnet.Net, dir string, zones []Zone) (*testnet.Process, error) {
	config := knot
	for _, z := range zones {
		path, err := z.write(dir)
		if err != nil {
			return nil, err
		}
		config += fmt.Sprintf("  - domain: %s\n    file: %s\n    zonefile-sync: -1\n", z.Name, path)
	}
	path := filepath.Join(dir, "knot.conf")
	if err := fill(path, config, net, dir); err != nil {
		return nil, err
	}
	return d.start(net, dir, "knotd", []string{"-c", path})
}

func (z Zone) write(dir string) (string, error) {
	path := filepath.Join(dir, z.Name+".zone")
	return path, os.WriteFile(path, []byte(z.Text), 0o644)
}
