// Package install makes a running system out of a root archive: it fetches the tools that takes, carries the storage
// plan out, unpacks the archive, configures what depends on the plan, and puts a boot loader in last.
package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/bootloader"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/rootfs"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/storage"
	"github.com/metalform/terraform-provider-metal/server/internal/agentapi"
)

// target is where the system is mounted, as the tools see it.
const target = "/target"

// Programs runs a program with a folder as its root.
type Programs interface {
	Run(ctx context.Context, root string, input []byte, name string, args ...string) (string, error)
}

// Options are what an installation is made of.
type Options struct {
	Install agentapi.Install
	Arch    metal.Arch
	Disks   []metal.Disk // of the machine
	// Tools opens the archive of programs, a tar in zstd frames.
	Tools func(ctx context.Context) (io.ReadCloser, error)
	// Archive is the root archive as it is stored. Its Read ends with the step's context.
	Archive  io.Reader
	Dir      string // where the tools are unpacked to; a file system in memory is mounted there meanwhile
	Sys      string // where sysfs is
	Programs Programs
	Kernel   storage.Kernel
	// Load loads kernel modules by name from the module tree in a root. Those that are not there are built in, or are
	// not, which will show.
	Load func(root string, names []string) error
	Log  *slog.Logger
	// Progress is told the fraction that is done.
	Progress func(float64)
}

// Shares of the whole, as far as can be told: unpacking takes the most.
const (
	afterTools   = 0.10
	afterStorage = 0.20
	afterUnpack  = 0.85
)

// Run installs. Whatever stops it leaves disks that do not boot, for the boot loader comes last; doing it again begins
// anew. When ctx ends, it stops at the next file or program.
func Run(ctx context.Context, o Options) (err error) {
	leave, err := enter(ctx, o)
	if err != nil {
		return errors.Join(err, leave())
	}
	defer func() { err = errors.Join(err, leave()) }()
	if err := o.Load(o.Dir, storage.Modules(o.Install.Plan)); err != nil {
		o.Log.Warn("load kernel modules for the installation", "error", err) // what needs one that is not there will say so
	}
	o.Progress(afterTools)
	v, err := storage.New(storage.Options{
		Plan: o.Install.Plan, Disks: o.Disks, Keys: o.Install.Keys, Tools: o.Dir, Target: filepath.Join(o.Dir, target), Sys: o.Sys,
		Programs: o.Programs, Kernel: o.Kernel, Log: o.Log,
		Progress: func(f float64) { o.Progress(afterTools + f*(afterStorage-afterTools)) },
	})
	if err != nil {
		return err
	}
	defer func() {
		// Also when the step was called off: what is mounted and running would be in the way of the next one.
		if again := v.Close(context.WithoutCancel(ctx)); again != nil {
			err = errors.Join(err, fmt.Errorf("put the installed system's disks down: %w", again))
		}
	}()
	if err := v.Apply(ctx); err != nil {
		return err
	}
	if err := unpack(ctx, o); err != nil {
		return err
	}
	o.Progress(afterUnpack)
	return finish(ctx, o, v)
}

// enter unpacks the tools into memory and gives them the machine's devices. leave undoes that.
func enter(ctx context.Context, o Options) (leave func() error, err error) {
	var undo []func() error
	leave = func() error {
		var errs []error
		for i := len(undo) - 1; i >= 0; i-- {
			errs = append(errs, undo[i]())
		}
		return errors.Join(errs...)
	}
	mount := func(kind, source, dir string, flags uintptr, data string) error {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make a folder for the installation: %w", err)
		}
		if err := unix.Mount(source, dir, kind, flags, data); err != nil {
			return fmt.Errorf("mount %s: %w", dir, err)
		}
		undo = append(undo, func() error {
			if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
				return fmt.Errorf("unmount %s: %w", dir, err)
			}
			return nil
		})
		return nil
	}
	if err := mount("tmpfs", "tools", o.Dir, 0, "mode=0755,size=75%"); err != nil {
		return leave, err
	}
	o.Log.Info("fetching the tools")
	stream, err := o.Tools(ctx)
	if err != nil {
		return leave, err
	}
	defer stream.Close()
	plain, err := newPlain(stream)
	if err != nil {
		return leave, err
	}
	defer plain.Close()
	if err := rootfs.Unpack(ctx, plain, o.Dir); err != nil {
		return leave, fmt.Errorf("unpack the tools: %w", err)
	}
	for _, name := range []string{"dev", "proc", "sys"} {
		if err := mount("", "/"+name, filepath.Join(o.Dir, name), unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return leave, err
		}
	}
	return leave, nil
}

// finish makes the unpacked system one of its own.
func finish(ctx context.Context, o Options, v *storage.Volumes) (err error) {
	root := filepath.Join(o.Dir, target)
	var mounted []string
	defer func() {
		for i := len(mounted) - 1; i >= 0; i-- {
			err = errors.Join(err, unix.Unmount(mounted[i], unix.MNT_DETACH))
		}
	}()
	for _, name := range []string{"dev", "proc", "sys", "run"} {
		dir := filepath.Join(root, name)
		// Not through a link that the archive may have in its place: it would lead out of the system.
		if info, err := os.Lstat(dir); err == nil && !info.IsDir() {
			return metal.Errorf(metal.Invalid, "the root archive has something else than a folder at /%s", name)
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make /%s in the system: %w", name, err)
		}
		source, kind, flags := "/"+name, "", uintptr(unix.MS_BIND|unix.MS_REC)
		if name == "run" {
			source, kind, flags = "run", "tmpfs", 0
		}
		if err := unix.Mount(source, dir, kind, flags, ""); err != nil {
			return fmt.Errorf("mount /%s in the system: %w", name, err)
		}
		mounted = append(mounted, dir)
	}
	if err := configure(o, root); err != nil {
		return err
	}
	if err := linkDevices(o.Install.Plan, v); err != nil {
		return err
	}
	if err := remakeInitramfs(ctx, o, root); err != nil {
		return err
	}
	return installLoader(ctx, o, v, root)
}

// installLoader makes the system start, and tells the firmware of it.
func installLoader(ctx context.Context, o Options, v *storage.Volumes, root string) (err error) {
	plan := o.Install.Plan
	place, err := bootPlace(plan)
	if err != nil {
		return err
	}
	b := bootloader.Options{
		Arch: o.Arch, Root: root, Tools: o.Dir, TargetInTools: target, Boot: place, Programs: o.Programs,
		Parameters:    strings.Join(append(append([]string(nil), plan.Boot.Parameters...), o.Install.KernelParameters), " "),
		RootParameter: "root=" + plan.Boot.Root,
	}
	if b.Disks, err = biosDisks(plan, v.Device); err != nil {
		return err
	}
	defer func() {
		for _, dir := range b.ESPs {
			err = errors.Join(err, o.Kernel.Unmount(dir))
		}
	}()
	for i, name := range plan.Boot.ESPs {
		dir := filepath.Join(o.Dir, fmt.Sprintf("run/esp%d", i))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make a folder for an EFI system partition: %w", err)
		}
		if err := o.Kernel.Mount(v.Device(name), dir, "vfat", nil); err != nil {
			return fmt.Errorf("mount the EFI system partition %s: %w", v.Device(name), err)
		}
		b.ESPs = append(b.ESPs, dir)
	}
	o.Log.Info("making the system bootable", "disks", len(b.Disks), "esps", len(b.ESPs))
	return bootloader.Install(ctx, b)
}
