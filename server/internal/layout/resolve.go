package layout

import (
	"fmt"
	"math/bits"
	"slices"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const (
	// dataOffset leaves room for md's superblock, bitmap and bad block log, and for a reshape by a few chunks.
	dataOffset   = 16 * mib
	defaultChunk = mib / 2
	// luksHeader is cryptsetup's own choice for LUKS2: two headers of metadata, and the key slots.
	luksHeader = 16 * mib
	extent     = 4 * mib
	// pvHeader is where LVM starts the first extent.
	pvHeader = mib
	// mostPartitions is what a GPT of the usual size has entries for.
	mostPartitions = 128
)

// size gives every device its bytes, from the disks up.
func (g *graph) size() error {
	for _, d := range g.devices {
		var err error
		switch d.kind {
		case aDisk:
			err = g.cut(d)
		case anArray:
			err = sizeArray(d)
		case aGroup:
			err = sizeGroup(d)
		case anEncrypt:
			err = g.sizeEncrypted(d)
		}
		if err != nil {
			return err
		}
	}
	return g.sizeFilesystems()
}

// cut places the partitions of a disk: from 1 MiB to 1 MiB before the end, where the second table is (UEFI 5.3.1).
func (g *graph) cut(disk *device) error {
	var parts []*device
	for _, d := range g.devices {
		if d.kind == aPartition && d.below[0] == disk {
			parts = append(parts, d)
		}
	}
	if len(parts) == 0 {
		return nil
	}
	if len(parts) > mostPartitions {
		return refuse(disk.at, "%d partitions are more than the %d of a GPT", len(parts), mostPartitions)
	}
	whole := (disk.bytes - 2*mib) / mib * mib
	var claims []claim
	for _, p := range parts {
		if p.bytes > 0 { // made for the firmware
			whole -= p.bytes
			continue
		}
		s, err := parseSize(p.partition.Size)
		if err != nil {
			return refuse(p.at+".size", "%w", err)
		}
		claims = append(claims, claim{p.at, p.partition.Size, s})
	}
	if whole < 0 {
		return refuse(disk.at, "disk %s has %s, which is too little for what the firmware needs", disk.disk.Name, size(disk.bytes))
	}
	sizes, err := divide(fmt.Sprintf("%s (%s)", disk.name, disk.disk.Name), whole, mib, claims)
	if err != nil {
		return err
	}
	start := mib
	for i, p := range parts {
		if p.bytes == 0 {
			p.bytes, sizes = sizes[0], sizes[1:]
		}
		p.number, p.start = i+1, start
		start += p.bytes
		if p.partition.Use == "esp" && p.bytes < leastESP {
			return refuse(p.at+".size", "%s is too little for an ESP; 512MiB is usual, %s the least", size(p.bytes), size(leastESP))
		}
	}
	return nil
}

func sizeArray(d *device) error {
	a, chunk := d.array, defaultChunk
	if a.Chunk != "" {
		var err error
		if chunk, err = parseBytes(a.Chunk); err != nil {
			return refuse(d.at+".chunk", "%w", err)
		}
		if chunk < 4<<10 || chunk > 16*mib || bits.OnesCount64(uint64(chunk)) != 1 {
			return refuse(d.at+".chunk", "%s is not a power of two from 4KiB to 16MiB", a.Chunk)
		}
	}
	least := slices.MinFunc(d.below, func(x, y *device) int { return int(min(max(x.bytes-y.bytes, -1), 1)) })
	unit := max(chunk, mib)
	member := (least.bytes - dataOffset) / unit * unit
	if member <= 0 {
		return refuse(d.at+".devices", "%s has %s, which is too little: an array keeps %s of each device to itself", least.name, size(least.bytes), size(dataOffset))
	}
	if d.member = member; a.Level != 1 {
		d.chunk = chunk
	}
	n := int64(len(a.Devices))
	switch a.Level {
	case 0:
		d.bytes = n * member
	case 1:
		d.bytes = member
	case 5:
		d.bytes = (n - 1) * member
	case 6:
		d.bytes = (n - 2) * member
	case 10:
		d.bytes = n * (member / chunk) / 2 * chunk
	}
	return nil
}

func sizeGroup(group *device) error {
	for _, d := range group.below {
		usable := (d.bytes - pvHeader) / extent * extent
		if usable <= 0 {
			return refuse(group.at+".devices", "%s has %s, which is too little for a physical volume", d.name, size(d.bytes))
		}
		group.bytes += usable
	}
	claims := make([]claim, len(group.above))
	for i, v := range group.above {
		s, err := parseSize(v.volume.Size)
		if err != nil {
			return refuse(v.at+".size", "%w", err)
		}
		claims[i] = claim{v.at, v.volume.Size, s}
	}
	sizes, err := divide("volume group "+group.name, group.bytes, extent, claims)
	if err != nil {
		return err
	}
	for i, v := range group.above {
		v.bytes = sizes[i]
	}
	return nil
}

func (g *graph) sizeEncrypted(d *device) error {
	if d.encrypt.TPM2 && g.request.TPM != "2.0" {
		return refuse(d.at+".tpm2", "the machine has %s; switch its TPM 2.0 on and commission it again, or give a key", or(g.request.TPM, "no TPM"))
	}
	on := d.below[0]
	if d.encrypt.Random {
		if on.kind == aDisk {
			return refuse(d.at+".device", "%s is a whole disk, which has no lasting name without a partition; make one", on.name)
		}
		d.bytes = on.bytes
		return nil
	}
	if d.bytes = on.bytes - luksHeader; d.bytes <= 0 {
		return refuse(d.at+".device", "%s has %s, and the header of LUKS alone takes %s", on.name, size(on.bytes), size(luksHeader))
	}
	return nil
}

// sizeFilesystems sees that every file system can be made, and that the image has room.
func (g *graph) sizeFilesystems() error {
	room := int64(0)
	for _, f := range g.fs {
		_, least, _ := limits(f.Type)
		have := g.byName[f.Device].bytes
		if have < least {
			return refuse(f.at, "%s on %s needs %s at least, and there are %s", f.Type, f.Device, size(least), size(have))
		}
		if f.Type != "vfat" {
			room += have
		}
	}
	root := g.mounted("/")
	if room < g.request.Image.Bytes {
		return refuse(root.at, "the image needs %s, and all file systems together have %s; make root larger, or take a larger disk", size(g.request.Image.Bytes), size(room))
	}
	return nil
}

// typeOf is a partition's type GUID, by what it is for.
func typeOf(p *device) string {
	switch {
	case p.partition.Use == "esp":
		return metal.PartitionESP
	case p.partition.Use == "bios_boot":
		return metal.PartitionBIOSBoot
	case p.swap != "":
		return metal.PartitionSwap
	case len(p.above) == 0:
		return metal.PartitionLinux
	}
	switch p.above[0].kind {
	case anArray:
		return metal.PartitionRAID
	case aGroup:
		return metal.PartitionLVM
	case anEncrypt:
		return metal.PartitionLUKS
	default:
		return metal.PartitionLinux
	}
}
