package main

import (
	"context"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/disk"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/hardware"
	"github.com/metalform/terraform-provider-metal/server/internal/agentapi"
)

// disks are the machine's own, for good.
type disks struct{}

func (disks) List(sysfs, dev string) ([]metal.Disk, error) { return disk.List(sysfs, dev) }

func (disks) Choose(all []metal.Disk, want string, rawBytes int64) (metal.Disk, error) {
	return disk.Choose(all, want, rawBytes)
}

func (disks) Erase(ctx context.Context, d metal.Disk, path string, mode metal.Erase, progress func(float64)) (metal.DiskWiped, error) {
	return disk.Erase(ctx, d, path, mode, progress)
}

func (disks) Write(ctx context.Context, path string, image *hardware.Image, w agentapi.Write, progress func(float64)) (int64, error) {
	return disk.Write(ctx, disk.WriteOptions{
		Path: path, Image: image, Digest: w.Digest, RawBytes: w.RawBytes, Seed: w.Seed, Progress: progress,
	})
}

func (disks) Kexec(ctx context.Context, path, parameters string) error {
	return disk.KexecFromDisk(ctx, path, parameters)
}

// refusing are the disks of a machine that somebody works on: they are listed and left alone.
type refusing struct{}

func (refusing) List(sysfs, dev string) ([]metal.Disk, error) { return disk.List(sysfs, dev) }

func (refusing) Choose([]metal.Disk, string, int64) (metal.Disk, error) {
	return metal.Disk{}, errTryingOut()
}

func (refusing) Erase(context.Context, metal.Disk, string, metal.Erase, func(float64)) (metal.DiskWiped, error) {
	return metal.DiskWiped{}, errTryingOut()
}

func (refusing) Write(context.Context, string, *hardware.Image, agentapi.Write, func(float64)) (int64, error) {
	return 0, errTryingOut()
}

func (refusing) Kexec(context.Context, string, string) error { return errTryingOut() }

func errTryingOut() error {
	return metal.Errorf(metal.Forbidden, "this agent runs as an ordinary process, to try it out: it does not touch disks")
}

// leaving ends the process where the machine would end.
type leaving struct{ quit func() }

func (l leaving) Restart() error           { l.quit(); return nil }
func (l leaving) PowerOff() error          { l.quit(); return nil }
func (l leaving) StartLoaded() error       { l.quit(); return nil }
func (l leaving) SetClock(time.Time) error { return nil }
