// Package hardware is the machine that metal-agent runs on, as its steps see it: read its inventory, erase and write
// its disks, restart it.
package hardware

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/inventory"
	"github.com/metalform/terraform-provider-metal/server/internal/agentapi"
	"github.com/metalform/terraform-provider-metal/server/internal/image/chunk"
)

// Disks is what can be done to disks; package disk does it.
type Disks interface {
	List(sysfs, dev string) ([]metal.Disk, error)
	Choose(disks []metal.Disk, want string, rawBytes int64) (metal.Disk, error)
	Erase(ctx context.Context, d metal.Disk, path string, mode metal.Erase, progress func(float64)) (metal.DiskWiped, error)
	// Write streams an image to the device at path and returns how many bytes it did not have to write.
	Write(ctx context.Context, path string, image *Image, w agentapi.Write, progress func(float64)) (int64, error)
	// Kexec starts the system on the device at path. It returns only when it failed.
	Kexec(ctx context.Context, path, parameters string) error
}

// Control restarts the machine and sets its clock. Restart, PowerOff and StartLoaded first write out what is in memory, and return
// only when they failed.
type Control interface {
	Restart() error
	PowerOff() error
	// StartLoaded starts the kernel that was loaded before.
	StartLoaded() error
	SetClock(t time.Time) error
}

// Options are what a Machine is made of.
type Options struct {
	Sources   inventory.Sources
	Disks     Disks
	Control   Control
	Installer Installer
	// ImagePart and ImageChunks read images, as agentapi.Client does.
	ImagePart   func(ctx context.Context, digest string, offset, length int64) (io.ReadCloser, error)
	ImageChunks func(ctx context.Context, digest string) (chunk.Table, error)
	// Settle returns when the drivers of all devices are there.
	Settle  func(ctx context.Context) error
	Version string // of the agent
	Log     *slog.Logger
}

// Machine implements agent.Machine.
type Machine struct{ Options }

// New returns the machine.
func New(o Options) *Machine { return &Machine{o} }

// Hello tells what the machine is.
func (m *Machine) Hello() agentapi.Hello {
	h := agentapi.Hello{
		BootMAC: m.Sources.BootMAC, SMBIOS: m.Sources.SMBIOS(), Arch: m.Sources.Arch, BootMode: m.Sources.BootMode(),
		Version: m.Version, MACs: m.Sources.MACs(),
	}
	if h.BootMAC == "" && len(h.MACs) > 0 {
		h.BootMAC = h.MACs[0]
	}
	return h
}

// SetClock sets the clock where it is off by more than the answer may have taken on its way.
func (m *Machine) SetClock(unixSeconds int64) error {
	now := time.Unix(unixSeconds, 0)
	if unixSeconds <= 0 || time.Since(now).Abs() < 2*time.Second {
		return nil
	}
	return m.Control.SetClock(now)
}

// Inventory reads the hardware once its drivers are there.
func (m *Machine) Inventory(ctx context.Context) (metal.Inventory, error) {
	if err := m.Settle(ctx); err != nil {
		return metal.Inventory{}, err
	}
	return m.Sources.Read(ctx)
}

// erasing is how many disks are erased at the same time: they do not hinder each other, but each takes a buffer.
const erasing = 8

// Erase wipes every disk that is neither removable nor read-only. When one fails, the others are wiped all the same.
func (m *Machine) Erase(ctx context.Context, e agentapi.Erase, progress func(float64)) ([]metal.DiskWiped, error) {
	disks, err := m.disks(ctx)
	if err != nil {
		return nil, err
	}
	disks = slices.DeleteFunc(disks, func(d metal.Disk) bool { return d.Removable || d.ReadOnly })
	if e.Mode == metal.EraseNone || len(disks) == 0 {
		return []metal.DiskWiped{}, nil
	}
	wiped := make([]metal.DiskWiped, len(disks))
	all := newAverage(len(disks), progress)
	var group errgroup.Group
	group.SetLimit(erasing)
	for i, d := range disks {
		group.Go(func() error {
			m.Log.Info("erasing", "disk", d.Name, "serial", d.Serial, "bytes", d.Bytes, "mode", e.Mode)
			w, err := m.Disks.Erase(ctx, d, m.device(d.Name), e.Mode, func(f float64) { all.set(i, f) })
			if err != nil {
				m.Log.Error("erase", "disk", d.Name, "error", err)
				return fmt.Errorf("erase %s: %w", d.Name, err)
			}
			m.Log.Info("erased", "disk", d.Name, "method", w.Method, "sampled", w.Sampled, "non_zero", w.NonZero)
			wiped[i] = w
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return wiped, nil
}

// Write puts an image on a disk.
func (m *Machine) Write(ctx context.Context, w agentapi.Write, progress func(float64)) (agentapi.Written, error) {
	disks, err := m.disks(ctx)
	if err != nil {
		return agentapi.Written{}, err
	}
	d, err := m.Disks.Choose(disks, w.Disk, w.RawBytes)
	if err != nil {
		return agentapi.Written{}, err
	}
	m.Log.Info("writing image", "disk", d.Name, "serial", d.Serial, "digest", w.Digest, "raw_bytes", w.RawBytes)
	began := time.Now()
	zero, err := m.Disks.Write(ctx, m.device(d.Name), &Image{machine: m, digest: w.Digest}, w, progress)
	if err != nil {
		return agentapi.Written{}, err
	}
	took := time.Since(began)
	m.Log.Info("image written", "disk", d.Name, "took", took.Round(time.Millisecond), "bytes_zero", zero)
	return agentapi.Written{Disk: d, WriteMillis: took.Milliseconds(), BytesZero: zero}, nil
}

// Reboot leaves the RAM environment. Where kexec does not work the firmware's way is taken, which leads to the same
// system, later.
func (m *Machine) Reboot(ctx context.Context, r agentapi.Reboot) error {
	if r.Loaded {
		return m.Control.StartLoaded()
	}
	if r.Kexec {
		err := m.Disks.Kexec(ctx, m.device(r.Disk), r.KernelParameters)
		m.Log.Warn("kexec did not work, restarting through the firmware", "disk", r.Disk, "error", err)
	}
	return m.Control.Restart()
}

// PowerOff switches the machine off.
func (m *Machine) PowerOff() error {
	return m.Control.PowerOff()
}

func (m *Machine) disks(ctx context.Context) ([]metal.Disk, error) {
	if err := m.Settle(ctx); err != nil {
		return nil, err
	}
	return m.Disks.List(m.Sources.Sys, m.Sources.Dev)
}

func (m *Machine) device(name string) string {
	return filepath.Join(m.Sources.Dev, filepath.Base(name))
}

// average turns the progress of several disks into one.
type average struct {
	mu    sync.Mutex
	parts []float64
	tell  func(float64)
}

func newAverage(n int, tell func(float64)) *average {
	return &average{parts: make([]float64, n), tell: tell}
}

func (a *average) set(i int, f float64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.parts[i] = f
	var sum float64
	for _, p := range a.parts {
		sum += p
	}
	a.tell(sum / float64(len(a.parts)))
}
