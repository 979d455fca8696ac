package disk

import (
	"context"
	"encoding/binary"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Ioctls of linux/nvme_ioctl.h and commands of the NVM Express base specification 2.0, figure 138.
const (
	nvmeIoctlID    = 0x4E40
	nvmeIoctlAdmin = 0xC0484E41

	nvmeGetLogPage = 0x02
	nvmeIdentify   = 0x06
	nvmeFormat     = 0x80
	nvmeSanitize   = 0x84

	logSanitize       = 0x81
	allNamespaces     = 0xFFFFFFFF
	formatUserData    = 1 << 9 // secure erase settings of Format NVM
	formatCrypto      = 2 << 9
	sanitizeBlock     = 2 // sanitize actions
	sanitizeOverwrite = 3
	sanitizeCrypto    = 4
)

// nvmeCommand is struct nvme_passthru_cmd.
type nvmeCommand struct {
	opcode, flags               uint8
	_                           uint16
	namespace                   uint32
	cdw2, cdw3                  uint32
	metadata, addr              uint64
	metadataBytes, dataBytes    uint32
	cdw10, cdw11, cdw12         uint32
	cdw13, cdw14, cdw15         uint32
	timeoutMillis, resultDouble uint32
}

// wipePlan is which command wipes a controller's namespace, and under which name it is reported.
type wipePlan struct {
	method   string
	sanitize bool
	cdw10    uint32
}

// cryptoSuffix ends the name of every method by which a device forgets its key.
const cryptoSuffix = "-crypto"

// secure has the device wipe itself.
func (d *device) secure(ctx context.Context, disk metal.Disk, progress func(float64)) (string, error) {
	switch disk.Bus {
	case "nvme":
		return d.secureNVMe(ctx, disk, progress)
	case "sata", "ata":
		return d.secureATA(ctx, disk, progress)
	}
	return "", metal.Errorf(metal.Invalid,
		"erase disk %s: a %s disk cannot be told to erase itself: NVMe and ATA disks can; erase with zero instead", disk.Name, disk.Bus)
}

func (d *device) secureNVMe(ctx context.Context, disk metal.Disk, progress func(float64)) (string, error) {
	namespace, _, errno := unix.Syscall(unix.SYS_IOCTL, d.file.Fd(), nvmeIoctlID, 0)
	if errno != 0 {
		return "", metal.Errorf(metal.Internal, "erase disk %s: read its NVMe namespace number: %w", disk.Name, errno)
	}
	controller, err := d.identify(0, 1)
	if err != nil {
		return "", metal.Errorf(metal.Internal, "erase disk %s: identify its NVMe controller: %w", disk.Name, err)
	}
	space, err := d.identify(uint32(namespace), 0)
	if err != nil {
		return "", metal.Errorf(metal.Internal, "erase disk %s: identify its NVMe namespace: %w", disk.Name, err)
	}
	plan, err := planNVMe(disk.Name, controller, space)
	if err != nil {
		return "", err
	}
	command := nvmeCommand{opcode: nvmeFormat, namespace: uint32(namespace), cdw10: plan.cdw10, timeoutMillis: uint32(4 * time.Hour / time.Millisecond)}
	if plan.sanitize {
		command = nvmeCommand{opcode: nvmeSanitize, cdw10: plan.cdw10}
	}
	if err := d.admin(command, nil); err != nil {
		return "", metal.Errorf(metal.Internal, "erase disk %s by %s: %w; erase with zero instead", disk.Name, plan.method, err)
	}
	if plan.sanitize {
		err = d.awaitSanitize(ctx, disk.Name, progress)
	}
	return plan.method, err
}

// planNVMe decides from the identify data of controller (figure 275) and namespace (NVM command set, figure 97). A
// format is preferred, as a sanitize takes every namespace of the device with it; so it is only used when there is
// one namespace.
func planNVMe(name string, controller, space []byte) (wipePlan, error) {
	le := binary.LittleEndian
	formats := le.Uint16(controller[256:])&(1<<1) != 0 // OACS
	sanitizes := le.Uint32(controller[328:])           // SANICAP
	count := le.Uint32(controller[516:])               // NN
	crypto := controller[524]&(1<<2) != 0              // FNA
	wide := controller[524]&(1<<1) != 0                // FNA: a secure erase takes all namespaces
	// The format's LBA format, metadata and protection settings stay as they are.
	flbas, dps := uint32(space[26]), uint32(space[29])
	settings := flbas&0xF | flbas>>5&3<<12 | flbas>>4&1<<4 | dps&7<<5 | dps>>3&1<<8
	switch {
	case (wide || !formats) && count > 1:
		return wipePlan{}, metal.Errorf(metal.Invalid, "erase disk %s: its NVMe controller can only erase all of its %d namespaces together; erase with zero instead", name, count)
	case formats && crypto:
		return wipePlan{method: "nvme-format-crypto", cdw10: settings | formatCrypto}, nil
	case formats:
		return wipePlan{method: "nvme-format", cdw10: settings | formatUserData}, nil
	case sanitizes&(1<<0) != 0:
		return wipePlan{"nvme-sanitize-crypto", true, sanitizeCrypto}, nil
	case sanitizes&(1<<1) != 0:
		return wipePlan{"nvme-sanitize-block", true, sanitizeBlock}, nil
	case sanitizes&(1<<2) != 0:
		return wipePlan{"nvme-sanitize-overwrite", true, sanitizeOverwrite | 1<<4}, nil // one pass
	}
	return wipePlan{}, metal.Errorf(metal.Invalid, "erase disk %s: its NVMe controller has neither Format NVM nor Sanitize; erase with zero instead", name)
}

// sanitizeState reads the sanitize status log (figure 242): how far it is, whether it ended, whether it failed.
func sanitizeState(page []byte) (fraction float64, ended, failed bool) {
	le := binary.LittleEndian
	switch le.Uint16(page[2:]) & 7 {
	case 1, 4:
		return 1, true, false
	case 3:
		return 0, true, true
	}
	return float64(le.Uint16(page)) / 65536, false, false
}

// awaitSanitize follows a sanitize, which goes on inside the device even when ctx ends and we stop looking.
func (d *device) awaitSanitize(ctx context.Context, name string, progress func(float64)) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		page := make([]byte, 512)
		err := d.admin(nvmeCommand{opcode: nvmeGetLogPage, namespace: allNamespaces, cdw10: logSanitize | (512/4-1)<<16}, page)
		if err != nil {
			return metal.Errorf(metal.Internal, "erase disk %s: ask how far its sanitize is: %w", name, err)
		}
		fraction, ended, failed := sanitizeState(page)
		if failed {
			return metal.Errorf(metal.Internal, "erase disk %s: the device reports that its sanitize failed; replace the disk", name)
		}
		if ended {
			return nil
		}
		progress(fraction)
		select {
		case <-ctx.Done():
			return metal.Errorf(metal.Conflict, "erase disk %s: called off while the device sanitizes itself, which it goes on doing: %w", name, ctx.Err())
		case <-tick.C:
		}
	}
}

func (d *device) identify(namespace, structure uint32) ([]byte, error) {
	page := make([]byte, 4096)
	return page, d.admin(nvmeCommand{opcode: nvmeIdentify, namespace: namespace, cdw10: structure}, page)
}

// admin sends an admin command; data is filled by the device.
func (d *device) admin(c nvmeCommand, data []byte) error {
	var pin runtime.Pinner
	defer pin.Unpin()
	if len(data) > 0 {
		pin.Pin(&data[0])
		c.addr, c.dataBytes = uint64(uintptr(unsafe.Pointer(&data[0]))), uint32(len(data))
	}
	status, _, errno := unix.Syscall(unix.SYS_IOCTL, d.file.Fd(), nvmeIoctlAdmin, uintptr(unsafe.Pointer(&c)))
	if errno != 0 {
		return errno
	}
	if status != 0 {
		return metal.Errorf(metal.Internal, "the device answers with NVMe status 0x%x", status)
	}
	return nil
}
