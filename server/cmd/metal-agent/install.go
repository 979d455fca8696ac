package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/install"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/module"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/program"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/storage"
	"github.com/metalform/terraform-provider-metal/server/internal/agentapi"
)

// installer is hardware.Installer over the real machine.
type installer struct {
	programs program.Runner
	tools    func(context.Context, metal.Arch) (io.ReadCloser, error)
	log      *slog.Logger
}

func (i installer) Install(ctx context.Context, in agentapi.Install, disks []metal.Disk, archive io.Reader, progress func(float64)) error {
	if i.programs.Start == nil {
		return errTryingOut()
	}
	o := install.Options{
		Install: in, Arch: metal.Arch(runtime.GOARCH), Disks: disks, Archive: archive, Dir: "/run/tools", Sys: "/sys",
		Tools:    func(ctx context.Context) (io.ReadCloser, error) { return i.tools(ctx, metal.Arch(runtime.GOARCH)) },
		Programs: &i.programs, Kernel: storage.Real{}, Load: loadFrom, Log: i.log, Progress: progress,
	}
	if !in.Memory {
		return install.Run(ctx, o)
	}
	cmdline, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return err
	}
	return install.InMemory(ctx, o, "/proc/self/exe", string(cmdline))
}

// loadFrom loads modules that the tools brought.
func loadFrom(root string, names []string) error {
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return err
	}
	loader, err := module.NewLoader(filepath.Join(root, "usr/lib/modules", strings.TrimSpace(string(release))), "/sys")
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		if _, err := loader.Load(name); err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
