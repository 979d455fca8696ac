// Package servertest starts a whole metald, and machines that only pretend, inside a test. The machines' BMCs really
// speak IPMI or Redfish and their agents the agents' wire; what they do to disks they only tell of.
package servertest

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/daemon"
)

// Server is a metald on loopback.
type Server struct {
	URL    string
	Token  string
	CA     []byte // PEM
	CAFile string
	Client *client.Client
	// Boot is the base URL of the boot server.
	Boot string
	// Dir is metald's data directory; files below Images may be imported.
	Dir, Images string

	t      testing.TB
	config string
	start  func() // starts metald, and sets stop
	stop   func() // ends the running one; nil when none runs
}

// Option changes a server before it starts.
type Option func(*options)

type options struct {
	config  string
	process bool
}

// WithConfig adds HCL to the configuration.
func WithConfig(hcl string) Option { return func(o *options) { o.config += hcl } }

// AsProcess runs metald as a process of its own, which Kill can kill. The test binary must call Main.
func AsProcess() Option { return func(o *options) { o.process = true } }

const childVariable = "METALD_OF_A_TEST"

// Main runs metald when this process was started as one by AsProcess, and the tests otherwise. It is for TestMain, and
// m is its argument, or what prepares more before it runs the tests.
func Main(m interface{ Run() int }) {
	config := os.Getenv(childVariable)
	if config == "" {
		os.Exit(m.Run())
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	if err := serve(ctx, config, slog.New(slog.NewTextHandler(os.Stderr, nil))); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(ctx context.Context, config string, log *slog.Logger) error {
	cfg, _, faults := daemon.Load(config, nil)
	if faults.HasErrors() {
		return faults
	}
	d, err := daemon.New(ctx, cfg, "test", log)
	if err != nil {
		return err
	}
	return d.Run(ctx)
}

// Start starts a server with a subnet of 10.77.0.0/16, and stops it when the test ends.
func Start(t testing.TB, opts ...Option) *Server {
	t.Helper()
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	dir := t.TempDir()
	s := &Server{t: t, Dir: filepath.Join(dir, "data"), Images: filepath.Join(dir, "images"), config: filepath.Join(dir, "metald.hcl")}
	apiAddr, bootAddr := freeAddr(t), freeAddr(t)
	s.URL, s.Boot = "https://"+apiAddr, "http://"+bootAddr
	text := fmt.Sprintf(`interface = "lo"
data_dir = %q
zone = "fleet.test"
auto_subnet = false
api { listen = %q }
boot { listen = %q }
images { directories = [%q] }
%s`, s.Dir, apiAddr, bootAddr, s.Images, strings.Join([]string{
		disabled("dhcp"), disabled("tftp"), disabled("router_advertisements"), disabled("dns"), disabled("ntp"),
		"neighbours {\n  probe = false\n  listen = false\n}\n", o.config,
	}, ""))
	s.must(os.WriteFile(s.config, []byte(text), 0o600))
	s.must(os.MkdirAll(s.Images, 0o755))
	s.start = s.startHere
	if o.process {
		s.start = s.startProcess
	}
	s.start()
	t.Cleanup(s.Stop)
	s.await()
	_, err := s.Client.PutSubnet(t.Context(), api.PutSubnetRequest{ByName: api.ByName{Name: "fleet"}, Body: Subnet("10.77.0.0/16")})
	s.must(err)
	return s
}

func disabled(block string) string { return block + " {\n  enabled = false\n}\n" }

func (s *Server) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func freeAddr(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func (s *Server) startHere() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	log := slog.New(slog.NewTextHandler(s.t.Output(), nil))
	go func() { done <- serve(ctx, s.config, log) }()
	s.stop = func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("metald ended with %v", err)
		}
	}
}

func (s *Server) startProcess() {
	s.t.Helper()
	self, err := os.Executable()
	s.must(err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childVariable+"="+s.config)
	cmd.Stderr = s.t.Output()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	s.must(cmd.Start())
	s.stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it ends by the signal
	}
}

// Stop stops metald: in its own process by kill -9.
func (s *Server) Stop() {
	if s.stop != nil {
		s.stop()
		s.stop = nil
	}
}

// Kill ends metald, by kill -9 where it is a process of its own, and starts another one on the same data.
func (s *Server) Kill() {
	s.t.Helper()
	s.Stop()
	s.start()
	s.await()
}

// await returns when the API answers.
func (s *Server) await() {
	s.t.Helper()
	s.CAFile = filepath.Join(s.Dir, "ca.pem")
	var err error
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = s.connect(); err == nil {
			return
		}
	}
	s.t.Fatalf("metald does not answer: %v", err)
}

func (s *Server) connect() error {
	token, err := os.ReadFile(filepath.Join(s.Dir, "admin-token"))
	if err != nil {
		return err
	}
	if s.CA, err = os.ReadFile(s.CAFile); err != nil {
		return err
	}
	s.Token = strings.TrimSpace(string(token))
	c, err := client.New(client.Config{URL: s.URL, Token: metal.NewSecret(s.Token), CA: s.CA})
	if err != nil {
		return err
	}
	s.Client = c
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, err = c.GetStatus(ctx)
	return err
}
