package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/metalform/terraform-provider-metal/server/internal/lab"
	"github.com/metalform/terraform-provider-metal/server/internal/lab/demo"
)

// peer is a rack of one machine, the same as ours, with dnsmasq and a plain HTTP server in it.
type peer struct {
	lab     *lab.Lab
	node    lab.Machine
	addr    netip.Addr // the machine's
	dir     string
	ready   chan struct{} // gets one for every POST of the bare init
	undo    []func() error
	machine *exec.Cmd // the installed one, while it runs
}

const httpPort = 7080

func raisePeer(ctx context.Context, dir string, assets demo.Assets, log *slog.Logger) (*peer, error) {
	l, err := lab.Up(ctx, lab.Config{Dir: dir, Name: fmt.Sprintf("bench-%d-peer", os.Getpid())}, log)
	if err != nil {
		return nil, err
	}
	state := l.State()
	p := &peer{lab: l, node: state.Machines[0], addr: state.Host.Next(), dir: dir + ".files", ready: make(chan struct{}, 1)}
	p.undo = append(p.undo, l.Close)
	if err := p.serve(ctx, assets); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *peer) serve(ctx context.Context, assets demo.Assets) error {
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return err
	}
	if err := bareInitramfs(ctx, filepath.Join(assets.Env, "amd64/initramfs"), filepath.Join(p.dir, "initramfs")); err != nil {
		return fmt.Errorf("make the bare initramfs: %w", err)
	}
	base := fmt.Sprintf("http://%s:%d", p.lab.State().Host, httpPort)
	script := fmt.Sprintf("#!ipxe\nkernel %s/kernel initrd=initramfs console=tty0 console=ttyS0,115200 quiet bare.report=%s/ready\ninitrd %s/initramfs\nboot\n", base, base, base)
	if err := os.WriteFile(filepath.Join(p.dir, "boot.ipxe"), []byte(script), 0o644); err != nil {
		return err
	}
	if err := os.Symlink(filepath.Join(assets.Env, "amd64/kernel"), filepath.Join(p.dir, "kernel")); err != nil {
		return err
	}
	if err := p.serveHTTP(); err != nil {
		return err
	}
	return p.serveDHCP(base)
}

// serveHTTP serves the files, and takes the report of the bare init.
func (p *peer) serveHTTP() error {
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServer(http.Dir(p.dir)))
	mux.HandleFunc("POST /ready", func(http.ResponseWriter, *http.Request) {
		select {
		case p.ready <- struct{}{}:
		default: // a second report of the same boot
		}
	})
	var listener net.Listener
	err := p.lab.Inside(func() (err error) {
		listener, err = net.Listen("tcp", netip.AddrPortFrom(p.lab.State().Host, httpPort).String())
		return err
	})
	if err != nil {
		return err
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	p.undo = append(p.undo, func() error {
		err := server.Close()
		<-ended
		return err
	})
	return nil
}

// serveDHCP starts dnsmasq, with what spares iPXE its waits for a router and for ProxyDHCP, as metald does.
func (p *peer) serveDHCP(base string) error {
	state := p.lab.State()
	config := fmt.Sprintf(`port=0
user=root
interface=%s
bind-interfaces
dhcp-range=%s,static,255.255.255.0,1h
dhcp-host=%s,%s
dhcp-authoritative
no-ping
dhcp-leasefile=%s
dhcp-boot=%s/boot.ipxe
dhcp-option=encap:175,176,1b
dhcp-range=fd00:31::,ra-only
enable-ra
`, state.Bridge, state.Subnet.Addr(), p.node.MACs[0], p.addr, filepath.Join(p.dir, "leases"), base)
	path := filepath.Join(p.dir, "dnsmasq.conf")
	if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
		return err
	}
	cmd, err := p.start("dnsmasq", "--keep-in-foreground", "--conf-file="+path)
	if err != nil {
		return err
	}
	p.undo = append(p.undo, func() error { return end(cmd) })
	return nil
}

// start starts a program in the rack's network. What it says is in a file of its name.
func (p *peer) start(name string, args ...string) (*exec.Cmd, error) {
	log, err := os.Create(filepath.Join(p.dir, name+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command("ip", append([]string{"netns", "exec", p.lab.State().Name, name}, args...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return cmd, nil
}

// end kills a program that start started.
func end(cmd *exec.Cmd) error {
	if err := cmd.Process.Kill(); err != nil {
		return err
	}
	_ = cmd.Wait() // it ended by the signal
	return nil
}

// boot takes the machine from off to the report of the bare init.
func (p *peer) boot(ctx context.Context) error {
	if err := p.lab.Act(ctx, p.node.Name, lab.PowerOn); err != nil {
		return err
	}
	select {
	case <-p.ready:
		return nil
	case <-ctx.Done():
		console, _ := os.ReadFile(p.node.Console) // without it the error is short of a hint
		return fmt.Errorf("wait for the bare init of the peer: %w; the end of its console:\n%s", ctx.Err(), console[max(0, len(console)-2000):])
	}
}

func (p *peer) off(ctx context.Context) error { return p.lab.Act(ctx, p.node.Name, lab.PowerOff) }

// close takes everything down.
func (p *peer) close() error {
	errs := []error{p.uninstall()}
	for i := len(p.undo) - 1; i >= 0; i-- {
		errs = append(errs, p.undo[i]())
	}
	return errors.Join(append(errs, os.RemoveAll(p.dir))...)
}
