package storage

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/disk/gpt"
)

const diskBytes = 64 << 20

func planned() []metal.PlannedPartition {
	return []metal.PlannedPartition{
		{Number: 1, Name: "esp", Type: metal.PartitionESP, UUID: "01234567-89ab-cdef-0123-456789abcdef", Start: 1 << 20, Bytes: 32 << 20},
		{Number: 2, Name: "root", Type: metal.PartitionLinux, UUID: "11234567-89ab-cdef-0123-456789abcdef", Start: 33 << 20, Bytes: 30 << 20},
	}
}

// image is a disk with the table on it.
func image(t *testing.T, parts []metal.PlannedPartition) []byte {
	t.Helper()
	made, err := table(parts, make([]byte, gpt.HeadBytes), diskBytes, 512)
	if err != nil {
		t.Fatal(err)
	}
	raw := make([]byte, diskBytes)
	gpt.PutMBR(raw, 0, gpt.MBREntry{System: 0xEE, First: 1, Blocks: 1})
	raw[510], raw[511] = 0x55, 0xAA
	gpt.Protect(raw[:512], diskBytes, 512)
	copy(raw[512:], made.Primary(diskBytes))
	backup, at := made.Backup(diskBytes)
	copy(raw[at:], backup)
	return raw
}

func TestTheRealToolsReadTheTable(t *testing.T) {
	if _, err := exec.LookPath("sgdisk"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("sgdisk is missing")
		}
		t.Skip("sgdisk is missing")
	}
	name := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(name, image(t, planned()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "sgdisk", "-v", "-p", "-i", "2", name).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "No problems found") || !strings.Contains(string(out), "11234567-89AB-CDEF-0123-456789ABCDEF") ||
		!strings.Contains(string(out), "'root'") || !strings.Contains(string(out), strings.ToUpper(metal.PartitionLinux)) {
		t.Errorf("sgdisk: %v\n%s", err, out)
	}
}

func TestPartitionsArePreservedOnlyWhereTheyAre(t *testing.T) {
	on := image(t, planned())[:gpt.HeadBytes]
	tests := []struct {
		name   string
		head   []byte
		change func(*metal.PlannedPartition)
		code   metal.Code
	}{
		{"as it is", on, func(*metal.PlannedPartition) {}, ""},
		{"with another identifier", on, func(p *metal.PlannedPartition) { p.UUID = "21234567-89ab-cdef-0123-456789abcdef" }, ""},
		{"elsewhere", on, func(p *metal.PlannedPartition) { p.Start += 1 << 20; p.Bytes -= 1 << 20 }, metal.Conflict},
		{"larger", on, func(p *metal.PlannedPartition) { p.Bytes -= 1 << 20 }, metal.Conflict},
		{"of another name", on, func(p *metal.PlannedPartition) { p.Name = "data" }, metal.Conflict},
		{"of another number", on, func(p *metal.PlannedPartition) { p.Number = 3 }, metal.Conflict},
		{"on an empty disk", make([]byte, gpt.HeadBytes), func(*metal.PlannedPartition) {}, metal.Conflict},
	}
	for _, tt := range tests {
		parts := planned()
		parts[1].Preserve = true
		tt.change(&parts[1])
		made, err := table(parts, tt.head, diskBytes, 512)
		if metal.CodeOf(err) != tt.code {
			t.Errorf("%s: got %v; want %q", tt.name, err, tt.code)
		}
		if now, _ := gpt.Parse(tt.head, 512); err == nil && made.DiskID != now.DiskID {
			t.Errorf("%s: the disk has another identifier now", tt.name)
		}
	}
}

func TestPlacesThatAreNoneAreRefused(t *testing.T) {
	for name, change := range map[string]func(*metal.PlannedPartition){
		"number 0":             func(p *metal.PlannedPartition) { p.Number = 0 },
		"number 129":           func(p *metal.PlannedPartition) { p.Number = 129 },
		"before the disk":      func(p *metal.PlannedPartition) { p.Start = -512 },
		"over the table":       func(p *metal.PlannedPartition) { p.Start = 512 },
		"in mid-block":         func(p *metal.PlannedPartition) { p.Start++ },
		"without room":         func(p *metal.PlannedPartition) { p.Bytes = 0 },
		"beyond the end":       func(p *metal.PlannedPartition) { p.Bytes = 31 << 20 },
		"a type that is none":  func(p *metal.PlannedPartition) { p.Type = "linux" },
		"an id without dashes": func(p *metal.PlannedPartition) { p.UUID = strings.ReplaceAll(p.UUID, "-", "") },
	} {
		parts := planned()
		change(&parts[1])
		if _, err := table(parts, make([]byte, gpt.HeadBytes), diskBytes, 512); metal.CodeOf(err) != metal.Invalid {
			t.Errorf("%s: got %v; want Invalid", name, err)
		}
	}
}

func TestOptionsOfFstabBecomeThoseOfTheKernel(t *testing.T) {
	for _, tt := range []struct{ options, data string }{
		{"defaults", ""}, {"noatime,subvol=@,compress=zstd", "subvol=@,compress=zstd"}, {"nofail,x-systemd.device-timeout=5,umask=0077", "umask=0077"},
		{"ro,nodev,errors=remount-ro", ""},
	} {
		if _, data := mountFlags(strings.Split(tt.options, ",")); data != tt.data {
			t.Errorf("%s: got %q; want %q", tt.options, data, tt.data)
		}
	}
}

func FuzzGUID(f *testing.F) {
	f.Add(metal.PartitionESP)
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		if g, err := parseGUID(text); err == nil && !strings.EqualFold(strings.ReplaceAll(g.String(), "-", ""), strings.ReplaceAll(text, "-", "")) {
			t.Errorf("got %s from %q", g, text)
		}
	})
}
