package image

import (
	"bytes"
	"slices"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/image/qcow2"
	"github.com/metalform/terraform-provider-metal/server/internal/image/vdisk"
)

// sniffBytes is how much of a file its kind can be told from: the last signature looked for is that of ISO 9660.
const sniffBytes = 0x8001 + 5

// compression is how a source file is packed.
type compression string

const (
	plain compression = ""
	gz    compression = "gzip"
	xzip  compression = "xz"
	zst   compression = "zstd"
	bz2   compression = "bzip2"
)

// format is what a source file holds, inside its compression: as metal.ImageSpec.Format names it.
type format string

const (
	raw      format = "raw"
	qcow     format = "qcow2"
	vmdk     format = "vmdk"
	vhd      format = "vhd"
	vhdx     format = "vhdx"
	tarball  format = "tar"      // a root archive, or an archive with one disk image in it
	squashfs format = "squashfs" // a root file system
)

// formats are all that a person may declare.
var formats = []format{raw, qcow, vmdk, vhd, vhdx, tarball, squashfs}

// mapped says whether the disk lies anywhere in the file, and is found by tables.
func (f format) mapped() bool { return f == qcow || f == vmdk || f == vhd || f == vhdx }

// isRoot says whether it is files and not a disk.
func (f format) isRoot() bool { return f == tarball || f == squashfs }

// compressionOf tells the compression from the first bytes of a file.
func compressionOf(head []byte) compression {
	switch {
	case bytes.HasPrefix(head, []byte("\x1f\x8b\x08")): // RFC 1952, 2.3
		return gz
	case bytes.HasPrefix(head, []byte("\xfd7zXZ\x00")): // The .xz File Format 1.2.1, 2.1.1.1
		return xzip
	case bytes.HasPrefix(head, []byte("\x28\xb5\x2f\xfd")), // RFC 8878, 3.1.1
		len(head) >= 4 && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:4], []byte("\x2a\x4d\x18")): // 3.1.2, skippable
		return zst
	case len(head) >= 10 && bytes.HasPrefix(head, []byte("BZh")) && head[3] >= '1' && head[3] <= '9' &&
		bytes.Equal(head[4:10], []byte("\x31\x41\x59\x26\x53\x59")): // the magic of its first block: pi
		return bz2
	}
	return plain
}

// foreign are the signatures of files that people give as images, and that are none: what to say about each.
var foreign = []struct {
	at   int
	sign string
	says string
}{
	{0, "BZh", "an empty or damaged bzip2 file: give the disk image itself"},
	{0, "\x04\x22\x4d\x18", "an lz4 file: pack it with zstd, xz or gzip"},
	{0, "LZIP", "an lzip file: pack it with zstd, xz or gzip"},
	{0, "PK\x03\x04", "a zip archive: give the disk image inside it"},
	{0, "7z\xbc\xaf\x27\x1c", "a 7z archive: give the disk image inside it"},
	{257, "ustar", "a tar archive: to install it as the root of a machine, declare format tar; else give the disk image inside it"},
	{0, "# Disk DescriptorFile", "a VMDK descriptor without the disk: convert it with qemu-img convert -O qcow2"},
	{64, "\x7f\x10\xda\xbe", "a VDI image: convert it with qemu-img convert -O qcow2"},
	{0x8001, "CD001", "an ISO 9660 file system that no firmware boots from a disk: give a disk image"},
	{0, "hsqs", "a squashfs file system: to install it as the root of a machine, declare format squashfs; else give a whole disk with a partition table"},
	{0x438, "\x53\xef", "a bare ext file system: give a whole disk with a partition table"},
	{0, "XFSB", "a bare XFS file system: give a whole disk with a partition table"},
	{0, "\x7fELF", "a program: give a disk image"},
}

// checkSize says whether a raw disk consists of whole sectors.
func checkSize(size int64) error {
	if size%512 != 0 {
		return flawf(metal.Invalid, "does not look like a disk image: %d bytes are not a multiple of 512; it may be cut off", size)
	}
	return nil
}

// checkHead says whether a raw disk that begins with head could boot a machine: it must have a partition table or a
// boot sector.
func checkHead(head []byte) error {
	if hasBootSector(head) || hasGPT(head) {
		return nil
	}
	for _, f := range foreign {
		if len(head) >= f.at && bytes.HasPrefix(head[f.at:], []byte(f.sign)) {
			return flawf(metal.Invalid, "is %s", f.says)
		}
	}
	if text := bytes.ToLower(bytes.TrimSpace(head[:min(len(head), 256)])); bytes.HasPrefix(text, []byte("<!doctype html")) || bytes.HasPrefix(text, []byte("<html")) {
		return flawf(metal.Invalid, "is a web page, not a disk image: the URL must lead to the file itself")
	}
	return flawf(metal.Invalid, "does not look like a disk image (no partition table, no boot sector): give a raw, qcow2, vmdk, vhd or vhdx image of a whole disk")
}

// hasBootSector looks for the signature that a BIOS asks for, which a protective MBR has as well (UEFI 2.10, 5.2.3).
func hasBootSector(head []byte) bool {
	return len(head) >= 512 && head[510] == 0x55 && head[511] == 0xaa
}

// hasGPT looks for the header of a GUID partition table in the second sector, of 512 or of 4096 bytes (UEFI 2.10, 5.3.2).
func hasGPT(head []byte) bool {
	for _, at := range []int{512, 4096} {
		if len(head) >= at+8 && string(head[at:at+8]) == "EFI PART" {
			return true
		}
	}
	return false
}

// formatOf returns the format of unpacked content. declared is what a person said: auto or empty leaves it to the
// content, and anything else must be true. Archives and file systems are roots only where that is declared, as a disk
// that holds one does not boot. A VHD of fixed size is a raw disk but for its end: it is one where that is declared.
func formatOf(head []byte, declared string) (format, error) {
	found := raw
	for _, f := range []struct {
		is   format
		at   int
		sign string
	}{
		{qcow, 0, qcow2.Magic},
		{vmdk, 0, vdisk.VMDKMagic},
		{vhd, 0, vdisk.VHDMagic},
		{vhdx, 0, vdisk.VHDXMagic},
		{squashfs, 0, squashfsMagic},
		{tarball, 257, "ustar"},
	} {
		if len(head) >= f.at && bytes.HasPrefix(head[f.at:], []byte(f.sign)) {
			found = f.is
		}
	}
	said := format(declared)
	switch {
	case declared == "" || declared == "auto":
		if found == tarball && diskInside(head) || !found.isRoot() {
			return found, nil
		}
		return raw, nil // which checkHead refuses, and says what to declare
	case said == found, said == vhd && found == raw:
		return said, nil
	case slices.Contains(formats, said):
		return "", flawf(metal.Invalid, "is declared as %s, but its content is %s: correct format, or leave it out", said, found)
	}
	return "", flawf(metal.Invalid, "is declared as %q: format is auto, raw, qcow2, vmdk, vhd, vhdx, tar or squashfs", declared)
}
