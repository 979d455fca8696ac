package disk

import (
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Of linux scsi/sg.h, SPC-4 and SAT-3 12.2.3 (ATA PASS-THROUGH (16)).
const (
	sgIO        = 0x2285
	sgToDevice  = -2
	sgFromDisk  = -3
	sgNoData    = -1
	passThrough = 0x85

	ataNonData = 3 << 1
	ataPIOIn   = 4 << 1
	ataPIOOut  = 5 << 1
	ataExtend  = 1 // 48 bits
	// With CK_COND the device's registers come back as sense data, also when all went well.
	ataCheck      = 0x20
	ataFromDevice = 0x08 | 0x04 | 0x02 // T_DIR, BYT_BLOK, T_LENGTH in the count
	ataToDevice   = 0x04 | 0x02

	checkCondition = 0x02
	ataDescriptor  = 0x09 // ATA status return (SAT-3, 12.2.6)
	ataError       = 0x01 // status register: ERR
	ataFault       = 0x20 // status register: DF
)

// sgHeader is struct sg_io_hdr.
type sgHeader struct {
	interfaceID                         int32
	direction                           int32
	commandBytes, senseMax              uint8
	_                                   uint16 // iovec_count
	dataBytes                           uint32
	data, command, sense                uint64
	timeoutMillis, flags                uint32
	_                                   int32 // pack_id
	_                                   uint64
	status, masked, message, senseBytes uint8
	hostStatus, driverStatus            uint16
	residual                            int32
	duration, info                      uint32
}

// ataCommand is what goes to a disk's registers.
type ataCommand struct {
	name     string // of the command, for errors
	command  uint8
	feature  uint16
	count    uint16
	lba      uint64
	wide     bool // 48-bit: feature, count and LBA are all of them
	out      bool // the data goes to the disk
	patience time.Duration
}

// ataRegisters are what comes back. Some controllers, and kernels from 6.11 on where the disk is not set to descriptor
// sense data, hide them: then told is false.
type ataRegisters struct {
	told          bool
	status, error uint8
	count         uint16
	lba           uint64
}

// block returns the command as SCSI carries it.
func (c ataCommand) block(hasData bool) [16]byte {
	protocol, flags := byte(ataNonData), byte(ataCheck)
	switch {
	case hasData && c.out:
		protocol, flags = ataPIOOut, ataToDevice
	case hasData:
		protocol, flags = ataPIOIn, ataFromDevice
	}
	if c.wide {
		protocol |= ataExtend
	}
	return [16]byte{
		passThrough, protocol, flags, byte(c.feature >> 8), byte(c.feature), byte(c.count >> 8), byte(c.count),
		byte(c.lba >> 24), byte(c.lba), byte(c.lba >> 32), byte(c.lba >> 8), byte(c.lba >> 40), byte(c.lba >> 16), 0, c.command, 0,
	}
}

// ata sends a command, with data as its direction says, and returns the registers of one without data.
func (d *device) ata(c ataCommand, data []byte) (ataRegisters, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	block, sense := c.block(len(data) > 0), make([]byte, 64)
	h := sgHeader{
		interfaceID: 'S', direction: sgNoData, commandBytes: uint8(len(block)), senseMax: uint8(len(sense)),
		timeoutMillis: uint32(max(c.patience, 10*time.Second) / time.Millisecond),
	}
	pin.Pin(&block)
	pin.Pin(&sense[0])
	h.command, h.sense = uint64(uintptr(unsafe.Pointer(&block))), uint64(uintptr(unsafe.Pointer(&sense[0])))
	if len(data) > 0 {
		pin.Pin(&data[0])
		h.data, h.dataBytes, h.direction = uint64(uintptr(unsafe.Pointer(&data[0]))), uint32(len(data)), sgFromDisk
		if c.out {
			h.direction = sgToDevice
		}
	}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, d.file.Fd(), sgIO, uintptr(unsafe.Pointer(&h)))
	if errno != 0 {
		return ataRegisters{}, metal.Errorf(metal.Internal, "ATA command %s: %w", c.name, errno)
	}
	registers := ataReturn(sense[:min(int(h.senseBytes), len(sense))])
	switch {
	case h.hostStatus != 0:
		return registers, metal.Errorf(metal.Internal, "ATA command %s: the controller answers with host status 0x%x", c.name, h.hostStatus)
	case registers.told && registers.status&(ataError|ataFault) != 0:
		return registers, metal.Errorf(metal.Internal, "ATA command %s: the disk refuses it (status 0x%02x, error 0x%02x)", c.name, registers.status, registers.error)
	case !registers.told && h.status == checkCondition:
		return registers, metal.Errorf(metal.Internal, "ATA command %s: the controller refuses it (sense %x)", c.name, sense[:min(int(h.senseBytes), 16)])
	}
	return registers, nil
}

// ataReturn finds the registers in sense data of the descriptor form (SPC-4, 4.5.2).
func ataReturn(sense []byte) ataRegisters {
	if len(sense) < 8 || sense[0]&0x7F != 0x72 {
		return ataRegisters{}
	}
	for rest := sense[8:min(len(sense), 8+int(sense[7]))]; len(rest) >= 2; {
		length := 2 + int(rest[1])
		if rest[0] == ataDescriptor && len(rest) >= 14 {
			return ataRegisters{
				told:  true,
				error: rest[3], status: rest[13], count: uint16(rest[4])<<8 | uint16(rest[5]),
				lba: uint64(rest[7]) | uint64(rest[9])<<8 | uint64(rest[11])<<16 | uint64(rest[6])<<24 | uint64(rest[8])<<32 | uint64(rest[10])<<40,
			}
		}
		rest = rest[min(length, len(rest)):]
	}
	return ataRegisters{}
}
