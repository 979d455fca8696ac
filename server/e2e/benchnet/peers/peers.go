// Package peers starts the servers that metald is measured against, each configured as its documentation says for
// speed, and on the core that metald has in its turn.
package peers

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/testnet"
)

// Dir is a directory below which Debian packages are unpacked. What is not there is looked for on PATH.
type Dir string

// Env is what programs from there need to find their libraries.
func (d Dir) Env() []string {
	var all []string
	for _, lib := range []string{"usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "usr/lib", "lib/x86_64-linux-gnu"} {
		all = append(all, filepath.Join(string(d), lib))
	}
	return []string{"LD_LIBRARY_PATH=" + strings.Join(all, ":")}
}

// Find returns the path of a program.
func (d Dir) Find(name string) (string, error) {
	for _, bin := range []string{"usr/sbin", "usr/bin"} {
		path := filepath.Join(string(d), bin, name)
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("find the peer %s: it is neither below %s nor installed; .ci/peers unpacks it", name, d)
	}
	return path, nil
}

// fill writes a configuration file from its template. Fields come from the network, and from the directory that the
// server may use.
func fill(path, text string, net *testnet.Net, dir string) error {
	t, err := template.New(filepath.Base(path)).Parse(text)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	err = t.Execute(&b, map[string]any{
		"Dir": dir, "Server": net.Server, "Client": net.Client, "Prefix": testnet.Prefix, "Prefix6": testnet.Prefix6,
		"First": Dynamic.First, "Last": Dynamic.Last, "First6": Dynamic6.First, "Last6": Dynamic6.Last,
	})
	if err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// start starts a program whose only file of its own so far is its configuration.
func (d Dir) start(net *testnet.Net, dir, name string, args []string, env ...string) (*testnet.Process, error) {
	path, err := d.Find(name)
	if err != nil {
		return nil, err
	}
	return net.Server.Start(testnet.Program{
		Path: path, Args: args, Env: append(d.Env(), env...), Dir: dir, Log: filepath.Join(dir, name+".log"),
	})
}
