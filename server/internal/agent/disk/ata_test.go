package disk

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// identified makes identify data of the words given.
func identified(words map[int]uint16) []byte {
	page := make([]byte, 512)
	for n, w := range words {
		binary.LittleEndian.PutUint16(page[2*n:], w)
	}
	return page
}

func TestWhichATACommandWipes(t *testing.T) {
	const sanitize, crypto, overwrite, block = 1 << 12, 1 << 13, 1 << 14, 1 << 15
	for _, c := range []struct {
		name    string
		words   map[int]uint16
		method  string
		lba     uint64
		feature uint16
		refused string
	}{
		{"a disk that encrypts forgets its key", map[int]uint16{59: sanitize | crypto | block}, "ata-sanitize-crypto", 0x43727970, 0x11, ""},
		{"flash erases its blocks", map[int]uint16{59: sanitize | block | overwrite, 128: 1}, "ata-sanitize-block", 0x426B4572, 0x12, ""},
		{"a rotating disk overwrites", map[int]uint16{59: sanitize | overwrite}, "ata-sanitize-overwrite", 0x4F5700000000, 0x14, ""},
		{"kinds of sanitize without sanitize count for nothing", map[int]uint16{59: crypto | block | overwrite, 128: 1}, "ata-security-erase", 0, 0, ""},
		{"the enhanced erase is preferred", map[int]uint16{128: 1 | 1<<5}, "ata-security-erase-enhanced", 0, 0, ""},
		{"neither", nil, "", 0, 0, "neither the sanitize nor the security feature set"},
		{"frozen", map[int]uint16{128: 1 | 1<<3}, "", 0, 0, "firmware froze"},
		{"locked", map[int]uint16{128: 1 | 1<<1 | 1<<2}, "", 0, 0, "locked by a password"},
		{"too many tries", map[int]uint16{128: 1 | 1<<4}, "", 0, 0, "locked by a password"},
		{"frozen, but it sanitizes", map[int]uint16{59: sanitize | block, 128: 1 | 1<<3}, "ata-sanitize-block", 0x426B4572, 0x12, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := planATA("sda", identified(c.words))
			if c.refused != "" {
				if err == nil || !strings.Contains(err.Error(), c.refused) {
					t.Errorf("got %v, %v; want a refusal with %q", got, err, c.refused)
				}
				return
			}
			if err != nil || got.method != c.method || got.sanitize.lba != c.lba || got.sanitize.feature != c.feature {
				t.Errorf("got %+v, %v; want %s with LBA %#x and feature %#x", got, err, c.method, c.lba, c.feature)
			}
		})
	}
}

func TestHowLongAnEraseMayTake(t *testing.T) {
	for _, c := range []struct {
		word uint16
		want time.Duration
	}{
		{0, 12 * time.Hour},
		{1, 13 * time.Minute},
		{254, 254*3*time.Minute + 10*time.Minute},
		{1<<15 | 600, 600*3*time.Minute + 10*time.Minute},
		{0xFFFF, 10 * 24 * time.Hour},
	} {
		if got := eraseTime(c.word); got != c.want {
			t.Errorf("%#x: got %s; want %s", c.word, got, c.want)
		}
	}
}

func TestHowAnATACommandIsWrapped(t *testing.T) {
	for _, c := range []struct {
		name    string
		command ataCommand
		data    bool
		want    string
	}{
		{"without data, 48 bits", ataCommand{command: 0xB4, feature: 0x14, count: 1, lba: 0x4F5712345678, wide: true}, false, "8507200014000112785756 4f3400b400"},
		{"data from the disk", ataCommand{command: 0xEC, count: 1}, true, "85080e00000001000000000000 00ec00"},
		{"data to the disk", ataCommand{command: 0xF1, count: 1, out: true}, true, "850a0600000001000000000000 00f100"},
	} {
		t.Run(c.name, func(t *testing.T) {
			block := c.command.block(c.data)
			if got, want := hex.EncodeToString(block[:]), strings.ReplaceAll(c.want, " ", ""); got != want {
				t.Errorf("got %s; want %s", got, want)
			}
		})
	}
}

func TestTheRegistersAreFoundInTheSenseData(t *testing.T) {
	descriptor := "09 0c 01 04 4000 00 34 00 12 00 00 40 51"
	for _, c := range []struct{ name, sense string }{
		{"alone", "72 01 001d 000000 0e " + descriptor},
		{"behind another", "72 01 001d 000000 14 0004 00000000 " + descriptor},
	} {
		sense, err := hex.DecodeString(strings.ReplaceAll(c.sense, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		got := ataReturn(sense)
		if want := (ataRegisters{told: true, status: 0x51, error: 0x04, count: 0x4000, lba: 0x1234}); got != want {
			t.Errorf("%s: got %+v; want %+v", c.name, got, want)
		}
	}
	for _, sense := range []string{"", "70000b00000000000000000000", "72010000000000ff", "7201001d0000000e090c01"} {
		raw, _ := hex.DecodeString(sense)
		if got := ataReturn(raw); got.told {
			t.Errorf("%s: got %+v; want nothing", sense, got)
		}
	}
}

func TestHowFarAnATASanitizeIs(t *testing.T) {
	for _, c := range []struct {
		name          string
		r             ataRegisters
		fraction      float64
		ended, failed bool
	}{
		{"half way", ataRegisters{count: 1 << 14, lba: 0x8000}, 0.5, false, false},
		{"done", ataRegisters{count: 1 << 15, lba: 0xFFFF}, 1, true, false},
		{"failed", ataRegisters{lba: 0xFFFF}, 0, true, true},
	} {
		if fraction, ended, failed := ataSanitizeState(c.r); fraction != c.fraction || ended != c.ended || failed != c.failed {
			t.Errorf("%s: got %v, %v, %v; want %v, %v, %v", c.name, fraction, ended, failed, c.fraction, c.ended, c.failed)
		}
	}
}

func TestWhatSamplesProve(t *testing.T) {
	for _, c := range []struct {
		w    metal.DiskWiped
		want metal.WipeResult
	}{
		{metal.DiskWiped{Method: "zero", Sampled: 66}, metal.WipeVerified},
		{metal.DiskWiped{Method: "ata-sanitize-crypto", Sampled: 66}, metal.WipeVerified},
		{metal.DiskWiped{Method: "ata-sanitize-crypto", Sampled: 66, NonZero: 66}, metal.WipeTrusted},
		{metal.DiskWiped{Method: "nvme-format-crypto", Sampled: 66, NonZero: 1}, metal.WipeTrusted},
		{metal.DiskWiped{Method: "signatures", Sampled: 66, NonZero: 1}, metal.WipeDataLeft},
	} {
		if got := resultOf(c.w); got != c.want {
			t.Errorf("%+v: got %s; want %s", c.w, got, c.want)
		}
	}
}

func TestTheSCSIRequestHasTheKernelsLayout(t *testing.T) {
	var h sgHeader
	if got, want := unsafe.Sizeof(h), uintptr(88); got != want {
		t.Errorf("size: got %d; want %d", got, want)
	}
	if got, want := unsafe.Offsetof(h.data), uintptr(16); got != want {
		t.Errorf("offset of the data: got %d; want %d", got, want)
	}
	if got, want := unsafe.Offsetof(h.status), uintptr(64); got != want {
		t.Errorf("offset of the status: got %d; want %d", got, want)
	}
}

func TestThePasswordPage(t *testing.T) {
	if page := passwordPage(true); page[0] != 2 || string(page[2:2+len(erasePassword)]) != erasePassword || len(page) != 512 {
		t.Errorf("got %x", page[:40])
	}
}

func FuzzATAReturn(f *testing.F) {
	f.Add([]byte("\x72\x01\x00\x1d\x00\x00\x00\x0e\x09\x0c\x01\x04\x40\x00\x00\x34\x00\x12\x00\x00\x40\x51"))
	f.Add([]byte("\x72\x00\x00\x00\x00\x00\x00\xff\x00\x00"))
	f.Fuzz(func(t *testing.T, sense []byte) { ataReturn(sense) })
}
