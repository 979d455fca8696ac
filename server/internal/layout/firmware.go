package layout

import (
	"slices"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const (
	espBytes      = 512 * mib
	biosBootBytes = mib
	// leastESP is what FAT32 needs with sectors of 4096 bytes, with some room.
	leastESP = 64 * mib
)

// firmware sees that the machine starts from every disk that /boot is on: each gets what its firmware looks for, at
// the front, where the declaration has none.
func (g *graph) firmware() error {
	boot := g.mounted("/boot")
	var disks []*device
	for _, d := range g.devices { // in declared order
		if d.kind == aDisk && slices.Contains(g.ground(g.byName[boot.fs.Device]), d) {
			disks = append(disks, d)
		}
	}
	use, prefix, fixed := "esp", "esp-", espBytes
	if g.request.BootMode == metal.BIOS {
		use, prefix, fixed = "bios_boot", "bios-", biosBootBytes
	}
	for _, disk := range disks {
		if disk.user != string(aPartition) {
			return refuse(disk.at, "the machine starts from it, so that it needs partitions; it is used as a whole by %s", disk.user)
		}
		part := firmwarePart(disk, use)
		if part == nil {
			part = &device{
				name: prefix + disk.name, at: disk.at, kind: aPartition, from: []string{disk.name}, below: []*device{disk},
				partition: &metal.StoragePartition{Name: prefix + disk.name, Disk: disk.name, Use: use}, bytes: fixed,
			}
			if other := g.byName[part.name]; other != nil {
				return refuse(other.at+".name", "%s is the name of what the firmware needs on %s; take another, or give it use = %q", part.name, disk.name, use)
			}
			g.byName[part.name] = part
			g.devices = slices.Insert(g.devices, slices.IndexFunc(g.devices, func(d *device) bool { return d.kind == aPartition }), part)
			disk.above = append([]*device{part}, disk.above...)
		}
		if use == "bios_boot" {
			g.bios = append(g.bios, disk)
		} else {
			g.esps = append(g.esps, part)
		}
	}
	if use == "esp" {
		g.mountESP()
	}
	return nil
}

func firmwarePart(disk *device, use string) *device {
	for _, p := range disk.above {
		if p.partition.Use == use {
			return p
		}
	}
	return nil
}

// mountESP gives every ESP its vfat, and mounts the first where none is mounted.
func (g *graph) mountESP() {
	for _, p := range g.esps {
		if p.fs == nil {
			p.fs = &filesystem{metal.StorageFilesystem{Device: p.name, Type: "vfat", Label: "ESP"}, p.at}
			p.user = p.at
			g.fs = append(g.fs, p.fs)
		}
	}
	if i := slices.IndexFunc(g.esps, func(p *device) bool { return p.fs.Mount != "" }); i > 0 {
		g.esps[0], g.esps[i] = g.esps[i], g.esps[0]
	}
	first := g.esps[0].fs
	if slices.ContainsFunc(g.fs, func(f *filesystem) bool { return f.Mount == efiPath && f != first }) {
		return // an ESP of a disk that /boot is not on
	}
	first.Mount = efiPath
	if len(first.MountOptions) == 0 {
		first.MountOptions = []string{"umask=0077"}
		if len(g.esps) > 1 { // the machine has to start without this disk as well
			first.MountOptions = append(first.MountOptions, "nofail", "x-systemd.device-timeout=10s")
		}
	}
}
