package layout

import (
	"fmt"
	"slices"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// write puts the resolved graph down as a plan.
func (g *graph) write() metal.StoragePlan {
	p := metal.StoragePlan{Boot: metal.PlannedBoot{Mode: g.request.BootMode}}
	for _, d := range g.devices {
		if d.kind == aDisk {
			p.Disks = append(p.Disks, planned(d.name, *d.disk))
			if !d.preserve {
				p.Actions = append(p.Actions, metal.StorageAction{Kind: metal.ActionWipe, Name: d.name})
			}
		}
	}
	for _, d := range g.devices {
		if a, ok := g.action(d); ok {
			p.Actions = append(p.Actions, a)
		}
	}
	for _, f := range g.fs {
		p.Actions = append(p.Actions, g.format(f))
	}
	for _, s := range g.swaps {
		if d := g.byName[s.device]; d.encrypt == nil || !d.encrypt.Random {
			p.Actions = append(p.Actions, metal.StorageAction{
				Kind: metal.ActionSwap, Name: d.name, Devices: []string{d.name}, Bytes: d.bytes, UUID: identity(g.request.Deployment, "swap", d.name),
			})
		}
	}
	g.tables(&p)
	g.boot(&p)
	return p
}

// action makes a device; there is none for a disk without partitions, and partitions come with their disk.
func (g *graph) action(d *device) (metal.StorageAction, bool) {
	id := g.request.Deployment
	a := metal.StorageAction{Kind: actionOf(d.kind), Name: d.name, Preserve: d.preserve, Devices: d.from, Bytes: d.bytes}
	switch d.kind {
	case aDisk:
		a = metal.StorageAction{Kind: metal.ActionPartition, Name: d.name, UUID: identity(id, "disk", d.name), Partitions: g.partitions(d)}
		return a, len(a.Partitions) > 0
	case aPartition:
		return a, false
	case anArray:
		a.UUID = arrayIdentity(id, d.name)
		a.Devices = d.array.Devices
		a.RAID = &metal.PlannedRAID{Level: d.array.Level, Spares: d.array.Spares, DataOffset: dataOffset, MemberBytes: d.member, Chunk: d.chunk}
	case anEncrypt:
		e := &metal.PlannedEncryption{TPM2: d.encrypt.TPM2, PCRs: d.encrypt.PCRs, Random: d.encrypt.Random}
		if !e.Random {
			e.Key, e.KeyID, a.UUID = d.key, d.encrypt.KeyID, identity(id, "luks", d.name)
		}
		a.Encryption = e
	}
	return a, true
}

func (g *graph) partitions(disk *device) []metal.PlannedPartition {
	var list []metal.PlannedPartition
	for _, d := range g.devices {
		if d.kind == aPartition && d.below[0] == disk {
			list = append(list, metal.PlannedPartition{
				Number: d.number, Name: d.name, Start: d.start, Bytes: d.bytes, Type: typeOf(d),
				UUID: identity(g.request.Deployment, "partition", d.name), Preserve: d.preserve,
			})
		}
	}
	return list
}

func (g *graph) format(f *filesystem) metal.StorageAction {
	fs := &metal.PlannedFilesystem{Type: f.Type, Label: f.Label, Options: f.MkfsOptions}
	for _, s := range f.Subvolumes {
		fs.Subvolumes = append(fs.Subvolumes, s.Name)
	}
	d := g.byName[f.Device]
	return metal.StorageAction{
		Kind: metal.ActionFilesystem, Name: d.name, Devices: []string{d.name}, Bytes: d.bytes, UUID: g.fsUUID(f), Filesystem: fs,
		Preserve: f.Preserve && d.preserve,
	}
}

func (g *graph) fsUUID(f *filesystem) string {
	if f.Type == "vfat" {
		return fatIdentity(g.request.Deployment, f.Device)
	}
	return identity(g.request.Deployment, "filesystem", f.Device)
}

// tables writes the mounts, and the files that repeat them at each start.
func (g *graph) tables(p *metal.StoragePlan) {
	for _, m := range g.mounts() {
		mount := metal.PlannedMount{Device: m.fs.Device, Path: m.path, Type: m.fs.Type}
		if m.subvolume != "" {
			mount.Options = append(mount.Options, "subvol="+m.subvolume)
		}
		mount.Options = append(mount.Options, m.options...)
		if m.path == "/" && m.fs.Type == "ext4" && len(m.options) == 0 {
			mount.Options = append(mount.Options, "errors=remount-ro")
		}
		pass := 0
		if m.fs.Type == "ext4" || m.fs.Type == "vfat" {
			pass = 2
			if m.path == "/" {
				pass = 1
			}
		}
		p.Mounts = append(p.Mounts, mount)
		p.FSTab = append(p.FSTab, fmt.Sprintf("UUID=%s %s %s %s 0 %d", g.fsUUID(m.fs), m.path, m.fs.Type, or(strings.Join(mount.Options, ","), "defaults"), pass))
	}
	for _, s := range g.swaps {
		what := "UUID=" + identity(g.request.Deployment, "swap", s.device)
		if d := g.byName[s.device]; d.encrypt != nil && d.encrypt.Random {
			what = "/dev/mapper/" + s.device
		}
		p.FSTab = append(p.FSTab, what+" none swap sw 0 0")
	}
	early := g.ground(g.byName[g.mounted("/").fs.Device])
	early = append(early, g.ground(g.byName[g.mounted("/usr").fs.Device])...)
	for _, d := range g.devices {
		switch d.kind {
		case anEncrypt:
			p.Crypttab = append(p.Crypttab, g.crypttab(d, slices.Contains(early, d)))
		case anArray:
			p.MDAdm = append(p.MDAdm, fmt.Sprintf("ARRAY /dev/md/%s metadata=1.2 UUID=%s", d.name, arrayIdentity(g.request.Deployment, d.name)))
		}
	}
}

// crypttab is the line of one volume, as in crypttab(5). early is for those that the initramfs has to open.
func (g *graph) crypttab(d *device, early bool) string {
	if d.encrypt.Random {
		return fmt.Sprintf("%s %s /dev/urandom swap,cipher=aes-xts-plain64,size=512,discard", d.name, g.lasting(d.below[0]))
	}
	options := "luks,discard"
	if d.encrypt.TPM2 {
		options += ",tpm2-device=auto"
	}
	if early {
		options += ",initramfs"
	}
	return fmt.Sprintf("%s UUID=%s none %s", d.name, identity(g.request.Deployment, "luks", d.name), options)
}

// lasting is a path of a device that does not depend on its content.
func (g *graph) lasting(d *device) string {
	switch d.kind {
	case aPartition:
		return "PARTUUID=" + identity(g.request.Deployment, "partition", d.name)
	case anArray:
		return "/dev/disk/by-id/md-uuid-" + arrayIdentity(g.request.Deployment, d.name)
	default:
		return mapperPath(d)
	}
}

// mapperPath is a logical volume's node; the device mapper doubles hyphens to tell them from its own.
func mapperPath(d *device) string {
	double := func(s string) string { return strings.ReplaceAll(s, "-", "--") }
	return "/dev/mapper/" + double(d.below[0].name) + "-" + double(d.name)
}

func (g *graph) boot(p *metal.StoragePlan) {
	for _, d := range g.bios {
		p.Boot.Disks = append(p.Boot.Disks, d.name)
	}
	for _, d := range g.esps {
		p.Boot.ESPs = append(p.Boot.ESPs, d.name)
	}
	root := g.mounted("/")
	p.Boot.Root = "UUID=" + g.fsUUID(root.fs)
	if d := g.byName[root.fs.Device]; d.kind == aVolume {
		p.Boot.Root = mapperPath(d) // an initramfs activates the one volume that it is told, by this name
	}
	if root.subvolume != "" {
		p.Boot.Parameters = append(p.Boot.Parameters, "rootflags=subvol="+root.subvolume)
	}
}
