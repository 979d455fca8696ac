package inventory

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Types of SMBIOS structures (DMTF DSP0134 3.7, clause 7).
const (
	typeProcessor    = 4
	typeMemoryDevice = 17
	typeEnd          = 127
)

// structure is one SMBIOS structure.
type structure struct {
	kind    byte
	data    []byte // the formatted part with its header, so that offsets are those of the specification
	strings []string
}

// parseTable reads structures one after the other (6.1): a header of type, length and handle, the formatted part,
// then strings that end with an empty one. It stops at the end structure, or at what makes no sense.
func parseTable(raw []byte) []structure {
	var all []structure
	for len(raw) >= 4 {
		kind, length := raw[0], int(raw[1])
		if length < 4 || length > len(raw) {
			break
		}
		s := structure{kind: kind, data: raw[:length]}
		end := bytes.Index(raw[length:], []byte{0, 0})
		if end < 0 {
			break
		}
		for part := range bytes.SplitSeq(raw[length:length+end], []byte{0}) {
			s.strings = append(s.strings, strings.TrimSpace(strings.ToValidUTF8(string(part), "?")))
		}
		all = append(all, s)
		raw = raw[length+end+2:]
		if kind == typeEnd {
			break
		}
	}
	return all
}

func (s structure) byte(offset int) byte {
	if offset >= len(s.data) {
		return 0
	}
	return s.data[offset]
}

func (s structure) word(offset int) int {
	if offset+2 > len(s.data) {
		return 0
	}
	return int(binary.LittleEndian.Uint16(s.data[offset:]))
}

func (s structure) dword(offset int) int64 {
	if offset+4 > len(s.data) {
		return 0
	}
	return int64(binary.LittleEndian.Uint32(s.data[offset:]))
}

// text returns the string whose number, from 1, is at offset.
func (s structure) text(offset int) string {
	n := int(s.byte(offset))
	if n == 0 || n > len(s.strings) {
		return ""
	}
	return meaningful(s.strings[n-1])
}

// memoryOf adds up the memory modules (7.18). Empty slots are left out.
func memoryOf(table []structure) metal.Memory {
	var m metal.Memory
	for _, s := range table {
		if s.kind != typeMemoryDevice {
			continue
		}
		d := metal.DIMM{
			Slot: s.text(0x10), Bytes: moduleBytes(s), Type: memoryType(s.byte(0x12)),
			MHz: moduleSpeed(s), Serial: s.text(0x18), Part: s.text(0x1a),
		}
		if d.Bytes == 0 {
			continue
		}
		m.Bytes += d.Bytes
		m.DIMMs = append(m.DIMMs, d)
	}
	return m
}

// moduleBytes reads the size: in MiB, or in KiB when the top bit is set; 0x7fff says that it is in the extended
// field, in MiB; 0xffff that nobody knows.
func moduleBytes(s structure) int64 {
	switch size := s.word(0x0c); {
	case size == 0xffff:
		return 0
	case size == 0x7fff:
		return s.dword(0x1c) & 0x7fffffff << 20
	case size&0x8000 != 0:
		return int64(size&0x7fff) << 10
	default:
		return int64(size) << 20
	}
}

// moduleSpeed is what the module runs at, or else what it can do, in MT/s. 0xffff points to a larger field, for
// modules faster than any that was sold.
func moduleSpeed(s structure) int {
	for _, offset := range []int{0x20, 0x15} {
		if mhz := s.word(offset); mhz != 0 && mhz != 0xffff {
			return mhz
		}
	}
	return 0
}

// memoryType names a module's kind (7.18.2); empty for what servers do not have.
func memoryType(b byte) string {
	return map[byte]string{
		0x07: "RAM", 0x12: "DDR", 0x13: "DDR2", 0x14: "DDR2 FB-DIMM", 0x18: "DDR3", 0x1a: "DDR4", 0x1b: "LPDDR",
		0x1c: "LPDDR2", 0x1d: "LPDDR3", 0x1e: "LPDDR4", 0x1f: "NVDIMM", 0x20: "HBM", 0x21: "HBM2", 0x22: "DDR5",
		0x23: "LPDDR5", 0x24: "HBM3",
	}[b]
}

// processorOf returns the version string and the top speed in MHz of the first populated socket (7.5).
func processorOf(table []structure) (model string, maxMHz int) {
	for _, s := range table {
		if s.kind == typeProcessor && s.byte(0x18)&0x40 != 0 {
			return s.text(0x10), s.word(0x14)
		}
	}
	return "", 0
}
