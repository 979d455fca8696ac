package disk

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// probeBytes is how much of a disk's start and end is looked at for signatures.
const probeBytes = 128 << 10

// List returns the whole disks the kernel knows, sorted by name. sysfs and dev are where sysfs and devtmpfs are
// mounted. Devices that are no disks of this machine's own are left out: loop, RAM, device mapper, MD, optical and
// floppy drives, boot areas of an eMMC, hidden paths of a multipath NVMe, and drives without a medium. A fact that
// the kernel does not tell is left empty; NUMANode is -1 where the kernel says so.
func List(sysfs, dev string) ([]metal.Disk, error) {
	entries, err := os.ReadDir(filepath.Join(sysfs, "block"))
	if err != nil {
		return nil, metal.Errorf(metal.Internal, "list disks: %w", err)
	}
	paths := byPath(filepath.Join(dev, "disk", "by-path"))
	var disks []metal.Disk
	for _, e := range entries {
		name := e.Name()
		at := filepath.Join(sysfs, "block", name)
		sectors := readInt(filepath.Join(at, "size")) // always in units of 512 bytes
		if virtual(name) || sectors <= 0 || readText(filepath.Join(at, "hidden")) == "1" {
			continue
		}
		where, err := filepath.EvalSymlinks(at)
		if err != nil {
			continue // it was pulled out since ReadDir
		}
		d := metal.Disk{
			Name: name, Bytes: sectors * 512, Bus: bus(name, where, at), Path: paths[name],
			BlockSize:  int(max(readInt(filepath.Join(at, "queue/logical_block_size")), 512)),
			Rotational: readInt(filepath.Join(at, "queue/rotational")) == 1,
			Removable:  readInt(filepath.Join(at, "removable")) == 1,
			ReadOnly:   readInt(filepath.Join(at, "ro")) == 1,
			NUMANode:   numaNode(sysfs, where),
		}
		d.Model, d.Serial, d.WWN, d.Firmware = identity(at, d.Bus)
		if d.Path == "" {
			d.Path = derivePath(where, d.Bus)
		}
		d.Partitioned = probe(filepath.Join(dev, name), d)
		disks = append(disks, d)
	}
	slices.SortFunc(disks, func(a, b metal.Disk) int { return strings.Compare(a.Name, b.Name) })
	return disks, nil
}

// virtual says whether a kernel name is not one of a disk.
func virtual(name string) bool {
	for _, prefix := range []string{"loop", "ram", "zram", "dm-", "md", "sr", "fd", "nbd"} {
		if rest, ok := strings.CutPrefix(name, prefix); ok && rest != "" && strings.Trim(rest, "0123456789_pd") == "" {
			return true
		}
	}
	return strings.HasPrefix(name, "mmcblk") && (strings.Contains(name, "boot") || strings.Contains(name, "rpmb"))
}

// bus names what a disk is attached by. A SATA disk behind a SAS controller is still a SATA disk.
func bus(name, where, at string) string {
	switch {
	case strings.HasPrefix(name, "nvme"):
		return "nvme"
	case strings.HasPrefix(name, "vd"):
		return "virtio"
	case strings.HasPrefix(name, "mmcblk"):
		return "mmc"
	case strings.Contains(where, "/usb"):
		return "usb"
	case strings.Contains(where, "/ata"), readText(filepath.Join(at, "device/vendor")) == "ATA":
		return "sata"
	case strings.Contains(where, "/end_device-"):
		return "sas"
	}
	return "scsi"
}

// identity reads what the device says of itself; where that is depends on the bus.
func identity(at, bus string) (model, serial, wwn, firmware string) {
	text := func(names ...string) string {
		for _, n := range names {
			if s := readText(filepath.Join(at, n)); s != "" {
				return s
			}
		}
		return ""
	}
	switch bus {
	case "nvme":
		return text("device/model"), text("device/serial"), text("wwid"), text("device/firmware_rev")
	case "virtio":
		return "", text("serial"), "", ""
	case "mmc":
		return text("device/name"), text("device/serial"), text("device/cid"), text("device/fwrev")
	}
	model = text("device/model")
	if v := text("device/vendor"); v != "" && v != "ATA" {
		model = v + " " + model
	}
	return model, vpdSerial(text("device/vpd_pg80")), wwid(text("device/wwid")), text("device/rev")
}

// vpdSerial returns the serial number of a SCSI "unit serial number" page (SPC-4, section 7.8.15). readText may have
// cut zeros at either end, so the header is found by its page code.
func vpdSerial(page string) string {
	if i := strings.IndexByte(page, 0x80); i >= 0 && i < 2 && len(page) > i+3 {
		return strings.Trim(page[i+3:], " \x00")
	}
	return ""
}

// wwid keeps only names that are unique in the world: a t10 identifier is vendor, model and serial again.
func wwid(s string) string {
	if strings.HasPrefix(s, "t10.") {
		return ""
	}
	return s
}

// numaNode is told by the nearest parent that has one: the controller's PCI function.
func numaNode(sysfs, where string) int {
	for ; len(where) > len(sysfs); where = filepath.Dir(where) {
		if s := readText(filepath.Join(where, "numa_node")); s != "" {
			if s == "-1" {
				return -1
			}
			return int(readInt(filepath.Join(where, "numa_node")))
		}
	}
	return 0
}

// byPath reads the links that udev made, where udev runs.
func byPath(dir string) map[string]string {
	links := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return links
	}
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err != nil {
			continue
		}
		if name := filepath.Base(target); links[name] == "" {
			links[name] = e.Name()
		}
	}
	return links
}

// derivePath names the path as udev's path_id does, for the buses where that needs nothing but the device's place.
func derivePath(where, bus string) string {
	functions := regexp.MustCompile(`[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]`).FindAllString(where, -1)
	if len(functions) == 0 {
		return ""
	}
	pci := "pci-" + functions[len(functions)-1]
	switch bus {
	case "virtio":
		return pci
	case "nvme":
		if _, space, ok := strings.Cut(strings.TrimPrefix(filepath.Base(where), "nvme"), "n"); ok {
			return pci + "-nvme-" + space
		}
	case "sata":
		if port := regexp.MustCompile(`/ata(\d+)/`).FindStringSubmatchIndex(where); port != nil {
			n := readText(filepath.Join(where[:port[1]], "ata_port", "ata"+where[port[2]:port[3]], "port_no"))
			if n != "" {
				return pci + "-ata-" + n
			}
		}
	}
	return ""
}

// probe looks for signatures at both ends. A disk that cannot be read counts as one that holds something, one without
// a device file as empty.
func probe(path string, d metal.Disk) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, min(probeBytes, d.Bytes))
	tail := make([]byte, min(probeBytes, d.Bytes))
	if _, err := f.ReadAt(head, 0); err != nil {
		return true
	}
	if _, err := f.ReadAt(tail, d.Bytes-int64(len(tail))); err != nil {
		return true
	}
	return holdsData(head, tail)
}
