package osimage

import (
	"encoding/binary"
	"fmt"
)

// Places in GRUB's i386-pc images (include/grub/i386/pc/boot.h and grub-core/boot/i386/pc/diskboot.S).
const (
	bootCodeBytes  = 440  // what a partition table leaves of block 0
	kernelSector   = 0x5C // boot.img: block of core.img's first sector
	driveCheck     = 0x66 // boot.img: a jump that only floppies need
	blockListStart = 500  // core.img, first sector: the block where its rest begins
	blockListCount = 508  // and how many sectors that are, set by grub-mkimage
)

// patchGRUB changes both stages for a core image that lies in one piece at block first, as grub-bios-setup does.
func patchGRUB(boot, core []byte, first uint64) error {
	if len(boot) != 512 || len(core) < 1024 {
		return fmt.Errorf("patch GRUB: boot.img has %d bytes and core.img %d; want 512, and at least 1024", len(boot), len(core))
	}
	if n := int(binary.LittleEndian.Uint16(core[blockListCount:])); n != (len(core)+511)/512-1 {
		return fmt.Errorf("patch GRUB: core.img says that %d sectors follow the first, it has %d bytes", n, len(core))
	}
	if (len(core)+511)/512 > 2048 {
		return fmt.Errorf("patch GRUB: core.img of %d bytes does not fit the BIOS boot partition", len(core))
	}
	binary.LittleEndian.PutUint64(boot[kernelSector:], first)
	boot[driveCheck], boot[driveCheck+1] = 0x90, 0x90 // nop: hard disks give the right drive number
	binary.LittleEndian.PutUint64(core[blockListStart:], first+1)
	return nil
}
