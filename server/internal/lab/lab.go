package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/bmc/bmctest"
)

// A Lab is a running rack. Close ends it.
type Lab struct {
	cfg   Config
	log   *slog.Logger
	state State
	nodes map[string]*node

	ns *namespace

	bmcs    *errgroup.Group
	serving context.Context // ends with the BMCs, and with the first of them that fails
	stop    context.CancelFunc
	undo    []func() error // what Close does, last first
	down    func() error
}

// Up makes a rack and returns when every BMC answers; all machines are off. What a dead lab of the same name or
// directory left is cleared away first, disks included. The error is Invalid for a bad configuration, Conflict when
// such a lab is alive, and NotFound when a program or firmware is not installed. When Up fails, or ctx ends before it
// is done, nothing stays behind.
func Up(ctx context.Context, cfg Config, log *slog.Logger) (*Lab, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	h, err := findHost(cfg)
	if err != nil {
		return nil, err
	}
	programs := []string{qemuOf(cfg.Arch), qemuImg}
	if cfg.TPM {
		programs = append(programs, swtpm)
	}
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			return nil, metal.Errorf(metal.NotFound, "make a lab: the program %s is not installed", program)
		}
	}
	if os.Geteuid() != 0 {
		return nil, metal.Errorf(metal.Forbidden, "make a lab: network namespaces and taps need root, run it with sudo")
	}
	l := &Lab{cfg: cfg, log: log, nodes: make(map[string]*node)}
	l.down = sync.OnceValue(l.takeDown)
	if err := l.build(ctx, h); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Close turns the machines off, ends the BMCs and removes the namespace and all files. A second call does nothing.
func (l *Lab) Close() error { return l.down() }

func (l *Lab) takeDown() error {
	var errs []error
	for _, undo := range slices.Backward(l.undo) {
		errs = append(errs, undo())
	}
	return errors.Join(errs...)
}

// State tells of the lab what lab.json tells.
func (l *Lab) State() State { return l.state }

// Hardware is the machine called name behind its BMC: its power button, so to speak.
func (l *Lab) Hardware(name string) (bmctest.Hardware, error) {
	if _, err := l.state.Machine(name); err != nil {
		return nil, err
	}
	return l.nodes[name], nil
}

// Wait returns nil when ctx ends or the lab is closed, and an error when a BMC fails before.
func (l *Lab) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-l.serving.Done():
	}
	if err := context.Cause(l.serving); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("run lab: %w", err)
	}
	return nil
}

// build makes everything in order. Whatever came about is in undo, also when it fails.
func (l *Lab) build(ctx context.Context, h host) error {
	if err := l.takeOver(); err != nil {
		return err
	}
	owner, err := thisProcess()
	if err != nil {
		return err
	}
	l.state = State{
		Name: l.cfg.Name, Dir: l.cfg.Dir, Bridge: bridgeName, Subnet: l.cfg.Subnet, Host: l.cfg.host(), Host6: host6(),
		Firmware: l.cfg.Firmware, Owner: owner,
	}
	for i := 1; i <= l.cfg.Machines; i++ {
		l.state.Machines = append(l.state.Machines, l.cfg.describe(i, newPassword()))
	}
	// Written before there is a namespace, so that after a crash the file vouches for it.
	if err := l.state.save(); err != nil {
		return err
	}
	ns, err := newNamespace(l.cfg.Name)
	if err != nil {
		return err
	}
	l.ns = ns
	l.undo = append(l.undo, ns.close)
	bridge := netip.PrefixFrom(l.cfg.host(), l.cfg.Subnet.Bits())
	uplink, err := inside(ns, func() (io.Closer, error) { return wire(bridge, l.cfg.Machines) })
	if err != nil {
		return err
	}
	l.undo = append(l.undo, uplink.Close)

	// The lab outlives the call that made it.
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	l.stop = stop
	l.bmcs, l.serving = errgroup.WithContext(running)
	l.undo = append(l.undo, l.stopBMCs)
	for i := range l.state.Machines {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("make lab: %w", err)
		}
		if err := l.addMachine(ctx, h, i); err != nil {
			return err
		}
	}
	l.state.Ready = true
	return l.state.save()
}

// takeOver claims the lab's name and directory and clears away what dead labs left of both.
func (l *Lab) takeOver() error {
	byName, err := claim("name", l.cfg.Name)
	if err != nil {
		return err
	}
	l.undo = append(l.undo, byName.Close)
	byDir, err := claim("directory", l.cfg.Dir)
	if err != nil {
		return err
	}
	l.undo = append(l.undo, byDir.Close)
	if err := clearDir(l.cfg.Dir, l.cfg.Name); err != nil {
		return err
	}
	if err := clearNamespace(l.cfg.Name, false); err != nil {
		return err
	}
	if err := os.MkdirAll(l.cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("make lab directory: %w", err)
	}
	l.undo = append(l.undo, func() error { return removeFiles(l.cfg.Dir, labFiles()) })
	return nil
}

// addMachine makes machine number i (from 0): its files, its node and its BMC.
func (l *Lab) addMachine(ctx context.Context, h host, i int) error {
	m := &l.state.Machines[i]
	dir := machineDir(l.cfg.Dir, m.Name)
	if err := makeFiles(ctx, l.cfg, h, dir, *m); err != nil {
		return fmt.Errorf("make files of %s: %w", m.Name, err)
	}
	n := &node{
		desc: *m, firmware: l.cfg.Firmware, log: l.log.With("machine", m.Name),
		launch: func(ctx context.Context, first metal.BootDevice) (*process, error) {
			return startProcess(ctx, l.ns, l.cfg, dir, qemuArgs(l.cfg, h, i+1, *m, first))
		},
	}
	l.nodes[m.Name] = n
	l.undo = append(l.undo, func() error { n.close(); return nil })
	if err := l.serveBMC(n, l.cfg.bmcAddr(i+1), &m.BMC); err != nil {
		return fmt.Errorf("start BMC of %s: %w", m.Name, err)
	}
	return nil
}

// stopBMCs ends the BMCs and waits for them. What failed was Wait's to tell.
func (l *Lab) stopBMCs() error {
	l.stop()
	_ = l.bmcs.Wait()
	return nil
}

// Inside runs f on a thread inside the lab's namespace, for what stays there from then on: opening sockets, starting
// processes. f must be short, because machines are started on the same thread. It returns an error after Close.
func (l *Lab) Inside(f func() error) error { return l.ns.do(f) }
