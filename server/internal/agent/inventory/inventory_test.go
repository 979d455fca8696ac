package inventory

import (
	"errors"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// drivers answers as ethtool would on the fixture server, whose NICs are in a bond.
type drivers struct{}

func (drivers) Firmware(nic string) string { return "4.20 0x8001778b" }

func (drivers) PermanentMAC(nic string) metal.MAC {
	return map[string]metal.MAC{"ens3f0": "b4:96:91:aa:bb:00", "ens3f1": "b4:96:91:aa:bb:01"}[nic]
}

func sources(t *testing.T, machine string) Sources {
	root := filepath.Join("testdata", machine)
	return Sources{
		Roots: Roots{Proc: filepath.Join(root, "proc"), Sys: filepath.Join(root, "sys"), Dev: filepath.Join(root, "dev")},
		Disks: func(string, string) ([]metal.Disk, error) { return []metal.Disk{{Name: "vda"}}, nil },
		Arch:  metal.AMD64, Log: slog.New(slog.DiscardHandler),
	}
}

func TestInventoryOfAVirtualMachine(t *testing.T) {
	s := sources(t, "vm")
	s.BootMAC = "52:54:00:12:34:01"
	got, err := s.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := metal.Inventory{
		Arch: metal.AMD64, BootMode: metal.BIOS, Kernel: "6.1.0-56-cloud-amd64",
		SMBIOS: metal.SMBIOS{
			Vendor: "QEMU", Product: "Standard PC (Q35 + ICH9, 2009)", UUID: "11111111-2222-3333-4444-555555555555", BIOSVendor: "SeaBIOS",
		},
		CPU:    metal.CPU{Model: "QEMU TCG CPU version 2.5+", Sockets: 2, Cores: 2, Threads: 2, MaxMHz: 2100, Flags: []string{"fpu", "vme", "sse2"}, NUMA: 1},
		Memory: metal.Memory{Bytes: 483912 << 10}, // no SMBIOS table in this fixture
		Disks:  []metal.Disk{{Name: "vda"}},
		NICs:   []metal.NIC{{Name: "eth0", MAC: "52:54:00:12:34:01", Driver: "virtio_net", Carrier: true, Boot: true, PCI: "0000:00:02.0"}},
		PCI:    []metal.PCI{{Address: "0000:00:02.0", Vendor: "1af4", Device: "1000", Class: "0200", Driver: "virtio-pci"}},
		USB:    []metal.USB{},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestInventoryOfAServer(t *testing.T) {
	s := sources(t, "server")
	s.NICs, s.BootMAC = drivers{}, "b4:96:91:aa:bb:01"
	s.Neighbor = func(nic string) *metal.Neighbor {
		if nic != "ens3f0" {
			return nil
		}
		return &metal.Neighbor{Chassis: "leaf-3", Port: "Ethernet1/7"}
	}
	got, err := s.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := metal.Inventory{
		Arch: metal.AMD64, BootMode: metal.UEFI, Kernel: "6.1.0-56-amd64", TPM: "2.0", SecureBoot: true,
		SMBIOS: metal.SMBIOS{
			Vendor: "Dell Inc.", Product: "PowerEdge R650", Serial: "ABC1234", SKU: "SKU=0912", UUID: "4c4c4544-0042-4310-8031-b4c04f313233",
			BoardSerial: ".ABC1234.CN1234.", BIOSVendor: "Dell Inc.", BIOSVersion: "1.8.2", BIOSDate: "09/14/2022",
		},
		CPU: metal.CPU{
			Model: "Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz", Sockets: 2, Cores: 4, Threads: 8, MaxMHz: 3200,
			Flags: []string{"fpu", "aes", "avx512f"}, NUMA: 2,
		},
		Memory: metal.Memory{Bytes: 128 << 30, DIMMs: []metal.DIMM{
			{Slot: "A1", Bytes: 64 << 30, Type: "DDR4", MHz: 2933, Serial: "1234ABCD", Part: "M393A8G40BB4-CWE"},
			{Slot: "B1", Bytes: 64 << 30, Type: "DDR4", MHz: 3200, Serial: "5678ABCD", Part: "M393A8G40BB4-CWE"},
		}},
		Disks: []metal.Disk{{Name: "vda"}},
		NICs: []metal.NIC{
			{Name: "ens3f0", MAC: "b4:96:91:aa:bb:00", Driver: "ice", Firmware: "4.20 0x8001778b", SpeedMbps: 25000, Carrier: true, PCI: "0000:b1:00.0", NUMANode: 1, LLDP: &metal.Neighbor{Chassis: "leaf-3", Port: "Ethernet1/7"}},
			{Name: "ens3f1", MAC: "b4:96:91:aa:bb:01", Driver: "ice", Firmware: "4.20 0x8001778b", Boot: true, PCI: "0000:b1:00.1", NUMANode: 1},
		},
		PCI: []metal.PCI{
			{Address: "0000:17:00.0", Vendor: "144d", Device: "a80a", Class: "0108", Driver: "nvme"},
			{Address: "0000:65:00.0", Vendor: "1000", Device: "00e6", Class: "0107", Driver: "mpt3sas"},
			{Address: "0000:b1:00.0", Vendor: "8086", Device: "1592", Class: "0200", Driver: "ice"},
			{Address: "0000:b1:00.1", Vendor: "8086", Device: "1592", Class: "0200", Driver: "ice"},
		},
		USB: []metal.USB{{Bus: "1-14", Vendor: "0424", Product: "2744", Name: "Microchip USB2744"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestInventoryOfAnEmptyMachineIsShort(t *testing.T) {
	s := sources(t, "no-such-machine")
	got, err := s.Read(t.Context())
	if err != nil || len(got.NICs) != 0 || got.BootMode != metal.BIOS {
		t.Errorf("got %+v, %v; want a short inventory", got, err)
	}
	broken := errors.New("no sysfs")
	s.Disks = func(string, string) ([]metal.Disk, error) { return nil, broken }
	if _, err := s.Read(t.Context()); !errors.Is(err, broken) {
		t.Errorf("got %v; want the disks' error", err)
	}
}

func TestPCIAddress(t *testing.T) {
	tests := map[string]bool{
		"0000:3b:00.1": true, "10000:01:00.0": true, "pci0000:00": false, "virtio0": false, "0000:3b:00": false, "1-14:1.0": false, "": false,
	}
	for s, want := range tests {
		if got := isPCIAddress(s); got != want {
			t.Errorf("isPCIAddress(%q): got %v; want %v", s, got, want)
		}
	}
}

func TestModuleSizes(t *testing.T) {
	tests := []struct {
		name     string
		size     int
		extended uint32
		want     int64
	}{
		{"an empty slot", 0, 0, 0},
		{"nobody knows", 0xffff, 0, 0},
		{"MiB", 0x4000, 0, 16 << 30},
		{"KiB", 0x8000 | 512, 0, 512 << 10},
		{"extended", 0x7fff, 65536, 64 << 30},
	}
	for _, tt := range tests {
		data := make([]byte, 0x22)
		data[0x0c], data[0x0d] = byte(tt.size), byte(tt.size>>8)
		for i := range 4 {
			data[0x1c+i] = byte(tt.extended >> (8 * i))
		}
		if got := moduleBytes(structure{data: data}); got != tt.want {
			t.Errorf("%s: got %d; want %d", tt.name, got, tt.want)
		}
	}
}

func FuzzSMBIOS(f *testing.F) {
	f.Add([]byte("\x11\x28\x00\x11" + "padding of some length for a memory." + "A1\x00B2\x00\x00\x7f\x04\xff\xfe\x00\x00"))
	f.Add([]byte{17, 4, 0, 0, 0, 0})
	f.Add([]byte{4, 200, 0, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		table := parseTable(raw)
		if m := memoryOf(table); m.Bytes < 0 {
			t.Errorf("got %d bytes of memory; want none or more", m.Bytes)
		}
		processorOf(table)
	})
}

func FuzzCPUInfo(f *testing.F) {
	f.Add("processor\t: 0\nmodel name\t: x\ncpu MHz\t\t: 800.000\nflags\t: a b\n")
	f.Add("cpu MHz : NaN\n")
	f.Fuzz(func(t *testing.T, raw string) {
		if c := parseCPUInfo(raw); c.mhz < 0 {
			t.Errorf("got %d MHz", c.mhz)
		}
	})
}

func TestBMCTellsItsAddress(t *testing.T) {
	answers := map[[3]byte][]byte{ // by command, channel, parameter
		{commandDeviceID, 0, 0}:                    {0x20, 1, 0x05, 0x10, 2, 0xbf, 0xa2, 0x02, 0x00, 0, 1},
		{commandLANParameter, 1, parameterMAC}:     {0x11, 0xd0, 0x94, 0x66, 0, 0, 1},
		{commandLANParameter, 1, parameterAddress}: {0x11, 0, 0, 0, 0},
		{commandLANParameter, 8, parameterMAC}:     {0x11, 0xd0, 0x94, 0x66, 0, 0, 2},
		{commandLANParameter, 8, parameterAddress}: {0x11, 10, 1, 2, 3},
	}
	call := func(_, command byte, data ...byte) ([]byte, error) {
		key := [3]byte{command}
		copy(key[1:], data)
		if a, ok := answers[key]; ok {
			return a, nil
		}
		return nil, errors.New("not there")
	}
	got, err := askBMC(call)
	want := &metal.BMCSeen{Address: "10.1.2.3", MAC: "d0:94:66:00:00:02", Firmware: "5.10", Vendor: "Dell"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	delete(answers, [3]byte{commandLANParameter, 8, parameterAddress})
	if got, err := askBMC(call); err != nil || got.Address != "" || got.MAC != "d0:94:66:00:00:01" {
		t.Errorf("without an address: got %+v, %v; want the first channel's MAC", got, err)
	}
	answers[[3]byte{commandDeviceID}] = []byte{1}
	if _, err := askBMC(call); err == nil {
		t.Error("a short device id: got no error; want one")
	}
}
