package bootloader

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Places in GRUB's i386-pc images (include/grub/i386/pc/boot.h and grub-core/boot/i386/pc/diskboot.S).
const (
	sectorBytes    = 512
	bootCodeBytes  = 440  // what a partition table leaves of block 0
	kernelSector   = 0x5C // boot.img: block of core.img's first sector
	driveCheck     = 0x66 // boot.img: a jump that only floppies need
	blockListStart = 500  // core.img, first sector: the block where its rest begins
	blockListCount = 508  // and how many sectors that are, set by grub-mkimage
)

// A Disk gets GRUB for a BIOS: its first stage before the partition table, its second in the BIOS boot partition.
type Disk struct {
	Device        string // path of the device file
	Offset, Bytes int64  // of the BIOS boot partition
}

// coreModules are what the second stage needs to reach /boot on any layout; others are loaded from there.
func coreModules() []string {
	return []string{
		"biosdisk", "part_gpt", "part_msdos", "ext2", "xfs", "btrfs", "fat", "lvm", "mdraid09", "mdraid1x", "raid5rec", "raid6rec",
		"search", "search_fs_uuid", "configfile", "linux", "normal", "echo", "boot", "minicmd", "serial", "test", "loadenv",
	}
}

// patch changes both stages for a core image that lies in one piece at block first, as grub-bios-setup does. It
// returns the boot code and the core; what it was given stays.
func patch(boot, core []byte, d Disk) (code, image []byte, err error) {
	sectors := (len(core) + sectorBytes - 1) / sectorBytes
	switch {
	case len(boot) != sectorBytes || len(core) < 2*sectorBytes:
		return nil, nil, fmt.Errorf("boot.img has %d bytes and core.img %d; want 512, and at least 1024", len(boot), len(core))
	case int(binary.LittleEndian.Uint16(core[blockListCount:])) != sectors-1:
		return nil, nil, errors.New("core.img does not say how long it is: it is of another version of GRUB")
	case int64(len(core)) > d.Bytes || d.Offset <= 0 || d.Offset%sectorBytes != 0:
		return nil, nil, metal.Errorf(metal.Invalid, "GRUB has %d bytes and does not fit the BIOS boot partition of %d bytes at %d", len(core), d.Bytes, d.Offset)
	}
	first := uint64(d.Offset / sectorBytes)
	code, image = append([]byte(nil), boot...), make([]byte, sectors*sectorBytes)
	copy(image, core)
	binary.LittleEndian.PutUint64(code[kernelSector:], first)
	code[driveCheck], code[driveCheck+1] = 0x90, 0x90 // nop: hard disks give the right drive number
	binary.LittleEndian.PutUint64(image[blockListStart:], first+1)
	return code[:bootCodeBytes], image, nil
}

// embed writes both stages, the one that the firmware starts last: a disk that got only half does not boot.
func embed(d Disk, boot, core []byte) error {
	code, image, err := patch(boot, core, d)
	if err != nil {
		return fmt.Errorf("put GRUB on disk %s: %w", d.Device, err)
	}
	f, err := os.OpenFile(d.Device, os.O_WRONLY|os.O_SYNC, 0)
	if err != nil {
		return fmt.Errorf("put GRUB on a disk: %w", err)
	}
	_, err = f.WriteAt(image, d.Offset)
	if err == nil {
		_, err = f.WriteAt(code, 0)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("put GRUB on a disk: %w", err)
	}
	return nil
}
