// Package metald starts the server that is measured, and fills it through its API.
package metald

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/testnet"
)

// Zone is the DNS domain of what has no other.
const Zone = "lab.test"

// Server is a running metald. Its first start makes a subnet named default of the whole network, whose upper half is
// given out by DHCP.
type Server struct {
	*testnet.Process
	Client *client.Client
}

// Nobody is asked on the wire whether he has an address before it is given away, which takes 300 ms each time: none of
// the peers do so as they are configured here.
const config = `interface = %q
data_dir  = %q
zone      = %q
ntp {
  local_stratum = 10
}
neighbours {
  probe = false
}
`

const (
	apiPort  = "7443"
	upTime   = time.Minute
	callTime = 2 * time.Second
)

// Start starts the program on the server's side, with its data in a directory that may have some already, and returns
// when its API answers. Calls to that come from the client's side.
func Start(ctx context.Context, n *testnet.Net, program, dir string) (*Server, error) {
	return StartWith(ctx, n, program, dir, "")
}

// StartWith is Start with more blocks in the configuration.
func StartWith(ctx context.Context, n *testnet.Net, program, dir, more string) (*Server, error) {
	config := fmt.Sprintf(config, n.Server.Interface, dir, Zone) + more
	path := filepath.Join(dir, "metald.hcl")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		return nil, err
	}
	process, err := n.Server.Start(testnet.Program{
		Path: program, Args: []string{"serve", "-config", path, "-log-level", "warn"}, Log: filepath.Join(dir, "metald.log"),
	})
	if err != nil {
		return nil, err
	}
	s := &Server{Process: process}
	ctx, cancel := context.WithTimeout(ctx, upTime)
	defer cancel()
	err = process.Await(ctx, func(ctx context.Context) bool {
		s.Client, err = connect(ctx, n, dir)
		return err == nil
	})
	if err != nil {
		_ = process.Stop() // what matters is why it is not up
		return nil, err
	}
	return s, nil
}

func connect(ctx context.Context, n *testnet.Net, dir string) (*client.Client, error) {
	token, err := os.ReadFile(filepath.Join(dir, "admin-token"))
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	dial := func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		err = n.Client.Inside(func() error {
			var d net.Dialer
			conn, err = d.DialContext(ctx, network, address)
			return err
		})
		return conn, err
	}
	c, err := client.New(client.Config{
		URL: "https://" + net.JoinHostPort(n.Server.Addr.String(), apiPort), Token: metal.NewSecret(string(bytes.TrimSpace(token))),
		HTTPClient: &http.Client{Transport: &http.Transport{
			DialContext: dial, TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 128,
		}},
	})
	if err != nil {
		return nil, err
	}
	once, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	_, err = c.GetStatus(once)
	return c, err
}
