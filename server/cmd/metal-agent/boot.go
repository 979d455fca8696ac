package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agent"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/install"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/module"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/network"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/pid1"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/program"
	"github.com/metalform/terraform-provider-metal/server/internal/agentapi"
)

// modprobePath is where the initramfs has a link to this program, under the name by which it loads modules.
const modprobePath = "/modprobe"

// boot is the life of the first process. It never returns: when the agent cannot go on, the machine starts again
// after a minute and is given a fresh one.
func boot() {
	mounts := pid1.Mount()
	console := pid1.OpenConsole(os.Stderr)
	ring := &agent.LogRing{}
	log := agent.NewLogger(console, ring)
	log.Info("metal-agent begins", "version", version)
	if mounts != nil {
		log.Error("mount", "error", mounts)
	}
	if err := pid1.Settings(modprobePath); err != nil {
		log.Warn("tell the kernel what to do", "error", err)
	}
	err := guarded(func() error { return live(context.Background(), log, ring) })
	log.Error("the agent cannot go on, the machine starts again in a minute", "error", err)
	time.Sleep(time.Minute)
	if err := (pid1.Control{}).Restart(); err != nil {
		log.Error("start again", "error", err)
	}
	// The end of the first process makes the kernel panic, and panicking it restarts the machine.
}

// enterSystem goes over to a system that runs from memory. Where that does not work the machine starts again after a
// minute.
func enterSystem() {
	err := install.EnterSystem(os.Environ())
	fmt.Fprintln(os.Stderr, "metal-start: the system cannot be started, the machine starts again in a minute:", err)
	time.Sleep(time.Minute)
	if err := (pid1.Control{}).Restart(); err != nil {
		fmt.Fprintln(os.Stderr, "metal-start: start again:", err)
	}
}

// guarded turns a panic into an error.
func guarded(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return do()
}

// live brings the machine on the network and serves it. Drivers of disks and the like are loaded meanwhile.
func live(ctx context.Context, log *slog.Logger, ring *agent.LogRing) error {
	cmdline, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return fmt.Errorf("read the kernel command line: %w", err)
	}
	given := pid1.Parameters(string(cmdline))
	server, token := given[agentapi.ParamServer], metal.NewSecret(given[agentapi.ParamToken])
	if server == "" || token.Empty() {
		return metal.Errorf(metal.Invalid, "the kernel command line lacks %s or %s: the machine was not booted by metald", agentapi.ParamServer, agentapi.ParamToken)
	}
	bootMAC, err := metal.ParseMAC(given[agentapi.ParamMAC])
	if err != nil {
		log.Warn("the NIC that the machine booted from is not known", "parameter", agentapi.ParamMAC, "error", err)
	}
	ctx, stop := context.WithCancel(ctx)
	var services sync.WaitGroup
	defer services.Wait()
	defer stop()
	children := &pid1.Children{}
	services.Go(func() { _ = children.Reap(ctx) }) // nil, when ctx ends

	drivers, err := loadDrivers(ctx, log, &services)
	if err != nil {
		return err
	}
	neighbors := &network.Neighbors{}
	defer neighbors.Wait()
	defer stop()
	lan := &network.Network{
		Sys: "/sys", Etc: "/etc", BootMAC: bootMAC, Log: log,
		Up: func(nic net.Interface) { neighbors.Listen(ctx, nic, log) },
	}
	online, err := lan.Connect(ctx)
	if err != nil {
		return err
	}
	services.Go(func() { _ = lan.Keep(ctx, online) }) // nil, when ctx ends
	if bootMAC == "" {
		bootMAC = metal.MACOf(online.NIC.HardwareAddr)
	}
	return talk(ctx, talking{
		server: server, token: token, bootMAC: bootMAC, log: log, ring: ring,
		disks: disks{}, programs: program.Runner{Start: children.Run, Log: log}, control: pid1.Control{}, settle: drivers, neighbor: neighbors.Of,
	})
}

// loadDrivers loads the drivers of NICs, and goes on with all others in the background. It returns a function that
// waits until these are there, and looks for devices that came since.
func loadDrivers(ctx context.Context, log *slog.Logger, services *sync.WaitGroup) (settle func(context.Context) error, err error) {
	loader, err := openModules()
	if err != nil {
		return nil, err
	}
	if err := loader.ForNetwork(); err != nil {
		log.Warn("load network drivers", "error", err) // another NIC may do
	}
	loaded := make(chan struct{})
	services.Go(func() {
		defer close(loaded)
		loadAll(loader, log)
		log.Info("drivers loaded")
	})
	return func(ctx context.Context) error {
		select {
		case <-loaded:
		case <-ctx.Done():
			return fmt.Errorf("wait for drivers: %w", ctx.Err())
		}
		return loader.ForAll()
	}, nil
}

// loadAll loads what devices ask for, and the BMC's character device, which none asks for.
func loadAll(loader *module.Loader, log *slog.Logger) {
	if err := loader.ForAll(); err != nil {
		log.Warn("load drivers", "error", err)
	}
	if _, err := os.Stat("/sys/class/dmi"); err != nil {
		return // without SMBIOS or device tree entry there is no BMC to be found
	}
	for _, name := range []string{"ipmi_si", "ipmi_devintf"} {
		if _, err := loader.Load(name); err != nil {
			log.Warn("load the BMC's driver", "error", err)
		}
	}
}

func openModules() (*module.Loader, error) {
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return nil, fmt.Errorf("read the kernel's release: %w", err)
	}
	return module.NewLoader(filepath.Join("/lib/modules", strings.TrimSpace(string(release))), "/sys")
}

// modprobe loads a module that the kernel misses: a file system, a character set, a cipher.
func modprobe(name string) error {
	loader, err := openModules()
	if err != nil {
		return err
	}
	if _, err := loader.Load(name); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}
