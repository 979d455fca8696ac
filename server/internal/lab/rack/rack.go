// Package rack is a virtual rack with metald in it: a lab, the RAM environment, and a metald process on the lab's
// bridge. The demo and the end-to-end tests stand on it.
package rack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"crypto/tls"
	"crypto/x509"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/lab"
)

// Options of a rack.
type Options struct {
	Lab lab.Config
	// Programs is the directory with metald and metal-agent.
	Programs string
	// Env is the directory of RAM environments that metald bootenv build made.
	Env string
	// Config is added to metald's configuration, in HCL.
	Config string
	// Images is a directory whose files metald may import.
	Images string
	Log    *slog.Logger
}

// Rack is a lab in which metald runs.
type Rack struct {
	Lab    *lab.Lab
	Client *client.Client
	opt    Options
	metald *exec.Cmd
	ended  chan error
	logs   *os.File
}

const (
	apiPort = "7443"
	upTime  = 60 * time.Second
)

// Start raises the lab and starts metald in it. Close ends both.
func Start(ctx context.Context, opt Options) (*Rack, error) {
	l, err := lab.Up(ctx, opt.Lab, opt.Log)
	if err != nil {
		return nil, err
	}
	r := &Rack{Lab: l, opt: opt}
	if err := r.prepare(); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	if err := r.StartServer(ctx); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Dir holds what metald keeps, its configuration and its log.
func (r *Rack) Dir() string { return r.Lab.State().Dir }

// LogPath is where metald's log is.
func (r *Rack) LogPath() string { return filepath.Join(r.Dir(), "metald.log") }

// Files are metald's, beside the lab's own; the lab removes its directory's own files only.
func (r *Rack) files() []string {
	return []string{filepath.Join(r.Dir(), "metald"), filepath.Join(r.Dir(), "metald.hcl"), r.LogPath()}
}

func (r *Rack) prepare() error {
	state := r.Lab.State()
	config := fmt.Sprintf("interface = %q\ndata_dir  = %q\nzone      = \"lab.test\"\nboot {\n  environments = %q\n  secure_boot  = %t\n}\nimages {\n  directories = [%q]\n}\nntp {\n  local_stratum = 10\n}\n%s\n",
		state.Bridge, filepath.Join(r.Dir(), "metald"), r.opt.Env, r.opt.Lab.SecureBoot, r.opt.Images, r.opt.Config)
	if err := os.WriteFile(filepath.Join(r.Dir(), "metald.hcl"), []byte(config), 0o600); err != nil {
		return err
	}
	var err error
	r.logs, err = os.OpenFile(r.LogPath(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	return err
}

// StartServer starts metald and returns when its API answers.
func (r *Rack) StartServer(ctx context.Context) error {
	cmd := r.Command(filepath.Join(r.opt.Programs, "metald"), "serve", "-config", filepath.Join(r.Dir(), "metald.hcl"))
	cmd.Stdout, cmd.Stderr = r.logs, r.logs
	// Ctrl-C in the terminal is for the demo, which stops metald itself; metald dies with it in any case.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start metald: %w", err)
	}
	r.metald, r.ended = cmd, make(chan error, 1)
	go func() { r.ended <- cmd.Wait() }()
	return r.awaitAPI(ctx)
}

func (r *Rack) awaitAPI(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, upTime)
	defer cancel()
	for {
		err := r.connect(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-r.ended:
			r.metald = nil
			return metal.Errorf(metal.Internal, "metald ended at its start; the end of its log:\n%s", r.LogTail())
		case <-ctx.Done():
			return metal.Errorf(metal.Internal, "metald's API did not answer within %s: %w; the end of its log:\n%s", upTime, err, r.LogTail())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// LogTail returns the end of the log of metald.
func (r *Rack) LogTail() []byte {
	const most = 4000
	text, _ := os.ReadFile(r.LogPath())
	return text[max(0, len(text)-most):]
}

// Access returns what a client needs: the URL (inside the namespace), the file with the token and that with the CA.
func (r *Rack) Access() (url, tokenFile, caFile string) {
	data := filepath.Join(r.Dir(), "metald")
	return "https://" + net.JoinHostPort(r.Lab.State().Host.String(), apiPort), filepath.Join(data, "admin-token"), filepath.Join(data, "ca.pem")
}

func (r *Rack) connect(ctx context.Context) error {
	url, tokenFile, caFile := r.Access()
	token, err := os.ReadFile(tokenFile)
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(caFile)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	transport := &http.Transport{DialContext: r.Dial, TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	c, err := client.New(client.Config{URL: url, Token: metal.NewSecret(string(bytes.TrimSpace(token))), HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		return err
	}
	once, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if _, err := c.GetStatus(once); err != nil {
		return err
	}
	r.Client = c
	return nil
}

// Dial connects from inside the rack's network.
func (r *Rack) Dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	err = r.Lab.Inside(func() error {
		var d net.Dialer
		conn, err = d.DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// KillServer ends metald as a crash would, with kill -9, and waits until it is gone.
func (r *Rack) KillServer() error { return r.end(syscall.SIGKILL) }

// StopServer asks metald to stop, and waits until it has.
func (r *Rack) StopServer() error { return r.end(syscall.SIGTERM) }

func (r *Rack) end(sig syscall.Signal) error {
	if r.metald == nil {
		return nil
	}
	if err := r.metald.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-r.ended:
	case <-time.After(20 * time.Second):
		_ = r.metald.Process.Kill()
		<-r.ended
	}
	r.metald = nil
	return nil
}

// ServerPID is metald's process; 0 when it does not run.
func (r *Rack) ServerPID() int {
	if r.metald == nil {
		return 0
	}
	return r.metald.Process.Pid
}

// Command makes a command that runs inside the rack's network.
func (r *Rack) Command(name string, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", r.Lab.State().Name, name}, args...)...)
}

// Machine returns the lab's machine of this name.
func (r *Rack) Machine(name string) (lab.Machine, error) {
	state := r.Lab.State()
	return state.Machine(name)
}

// AwaitMachine polls until look is satisfied or ctx ends.
func (r *Rack) AwaitMachine(ctx context.Context, mac metal.MAC, look func(metal.Machine) bool) (metal.Machine, error) {
	for {
		list, err := r.Client.ListMachines(ctx, api.ListMachinesRequest{MAC: string(mac)})
		if err == nil && len(list.Items) == 1 && look(list.Items[0]) {
			return list.Items[0], nil
		}
		select {
		case <-ctx.Done():
			return metal.Machine{}, errors.Join(fmt.Errorf("wait for machine %s: %w", mac, ctx.Err()), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Close stops metald and takes the lab down; nothing is left behind.
func (r *Rack) Close() error {
	errs := []error{r.StopServer()}
	if r.logs != nil {
		errs = append(errs, r.logs.Close())
	}
	for _, path := range r.files() {
		errs = append(errs, os.RemoveAll(path))
	}
	return errors.Join(append(errs, r.Lab.Close())...)
}
