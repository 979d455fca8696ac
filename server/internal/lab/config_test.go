package lab

import (
	"encoding/json"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

var comparePrefix = cmpopts.EquateComparable(netip.Prefix{}, netip.Addr{}, metal.Secret{})

func TestDefaults(t *testing.T) {
	got := Config{Dir: "/lab/"}.withDefaults()
	want := Config{
		Dir: "/lab", Name: "metal-lab", Machines: 1, Arch: metal.AMD64, Firmware: metal.BIOS, BMC: IPMI, CPUs: 1, MemoryMiB: 512,
		Disks: 1, DiskBytes: 4 << 30, DiskBus: VirtioDisk, NIC: VirtioNIC, Subnet: netip.MustParsePrefix("172.31.0.0/24"),
	}
	if diff := cmp.Diff(want, got, comparePrefix); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
	if got := got.host().String(); got != "172.31.0.1" {
		t.Errorf("host address: got %s; want 172.31.0.1", got)
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		name string
		bend func(*Config)
		ok   bool
	}{
		{"the default configuration can be built", func(*Config) {}, true},
		{"UEFI with its own HTTP boot can be built", func(c *Config) { c.Firmware, c.HTTPBoot = metal.UEFI, true }, true},
		{"two hundred machines can be built", func(c *Config) { c.Machines = 200 }, true},
		{"a relative directory cannot", func(c *Config) { c.Dir = "lab" }, false},
		{"no directory cannot", func(c *Config) { c.Dir = "" }, false},
		{"a name that is a path cannot", func(c *Config) { c.Name = "../etc" }, false},
		{"a name with an upper-case letter cannot", func(c *Config) { c.Name = "Lab" }, false},
		{"a negative number of machines cannot", func(c *Config) { c.Machines = -1 }, false},
		{"too many machines cannot", func(c *Config) { c.Machines = 201 }, false},
		{"unknown firmware cannot", func(c *Config) { c.Firmware = "coreboot" }, false},
		{"an unknown BMC cannot", func(c *Config) { c.BMC = "ilo" }, false},
		{"too many CPUs cannot", func(c *Config) { c.CPUs = 65 }, false},
		{"too little memory cannot", func(c *Config) { c.MemoryMiB = 64 }, false},
		{"nine disks cannot", func(c *Config) { c.Disks = 9 }, false},
		{"a disk of broken sectors cannot", func(c *Config) { c.DiskBytes = 4<<20 + 1 }, false},
		{"a tiny disk cannot", func(c *Config) { c.DiskBytes = 512 }, false},
		{"an unknown disk bus cannot", func(c *Config) { c.DiskBus = "ide" }, false},
		{"an unknown NIC cannot", func(c *Config) { c.NIC = "virtio-net-pci,romfile=x" }, false},
		{"UEFI with Secure Boot can be built", func(c *Config) { c.Firmware, c.SecureBoot = metal.UEFI, true }, true},
		{"Secure Boot of SeaBIOS cannot: it has none", func(c *Config) { c.SecureBoot = true }, false},
		{"Secure Boot by HTTP cannot: GRUB does not speak it", func(c *Config) { c.Firmware, c.SecureBoot, c.HTTPBoot = metal.UEFI, true, true }, false},
		{"PXE of SeaBIOS's own cannot: it has none", func(c *Config) { c.NativePXE = true }, false},
		{"PXE of OVMF's own on e1000 cannot: it has no driver", func(c *Config) { c.Firmware, c.NIC, c.NativePXE = metal.UEFI, E1000, true }, false},
		{"an IPv6 subnet cannot", func(c *Config) { c.Subnet = netip.MustParsePrefix("fd00::/64") }, false},
		{"arm64 with UEFI can", func(c *Config) { c.Arch, c.Firmware = metal.ARM64, metal.UEFI }, true},
		{"arm64 with a BIOS cannot", func(c *Config) { c.Arch = metal.ARM64 }, false},
		{"arm64 with Secure Boot can", func(c *Config) { c.Arch, c.Firmware, c.SecureBoot = metal.ARM64, metal.UEFI, true }, true},
		{"arm64 with HTTP boot cannot", func(c *Config) { c.Arch, c.Firmware, c.HTTPBoot = metal.ARM64, metal.UEFI, true }, false},
		{"arm64 with a NIC of PCs cannot", func(c *Config) { c.Arch, c.Firmware, c.NIC = metal.ARM64, metal.UEFI, E1000e }, false},
		{"another architecture cannot", func(c *Config) { c.Arch = "riscv64" }, false},
		{"a subnet with host bits cannot", func(c *Config) { c.Subnet = netip.MustParsePrefix("172.31.0.1/24") }, false},
		{"a subnet without room cannot", func(c *Config) { c.Subnet = netip.MustParsePrefix("172.31.0.0/30") }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := Config{Dir: "/lab"}
			c.bend(&cfg)
			err := cfg.Validate()
			if c.ok && err != nil {
				t.Errorf("got %v; want no error", err)
			}
			if !c.ok && metal.CodeOf(err) != metal.Invalid {
				t.Errorf("got %v; want an %s error", err, metal.Invalid)
			}
		})
	}
}

func TestAConfigurationSurvivesItsWayToTheBackground(t *testing.T) {
	want := Config{Dir: "/lab", Firmware: metal.UEFI, HTTPBoot: true, DiskBus: NVMe}.withDefaults()
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Config
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, comparePrefix); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

func TestIdentities(t *testing.T) {
	cfg := Config{Dir: "/lab", Machines: 200}.withDefaults()
	seen := make(map[string]int)
	for i := 1; i <= cfg.Machines; i++ {
		m := cfg.describe(i, newPassword())
		if _, err := metal.ParseMAC(string(m.MACs[0])); err != nil {
			t.Errorf("machine %d: %v", i, err)
		}
		for _, identity := range []string{m.Name, string(m.MACs[0]), m.UUID, m.Serial, m.BMC.Address, m.BMC.Password.Reveal(), m.Disks[0]} {
			if before, ok := seen[identity]; ok {
				t.Errorf("machines %d and %d share %q", before, i, identity)
			}
			seen[identity] = i
		}
	}
	again := cfg.describe(1, newPassword())
	if first := cfg.describe(1, newPassword()); again.MACs[0] != first.MACs[0] || again.UUID != first.UUID {
		t.Errorf("made again, machine 1 is %s %s; want the same as before, %s %s", again.MACs[0], again.UUID, first.MACs[0], first.UUID)
	}
	cfg.Name = "other"
	if other := cfg.describe(1, newPassword()); other.MACs[0] == again.MACs[0] || other.UUID == again.UUID {
		t.Errorf("labs of different names share %s or %s", other.MACs[0], other.UUID)
	}
}

func TestBMCAddresses(t *testing.T) {
	for _, c := range []struct {
		bmc, want string
	}{
		{IPMI, "172.31.0.1:6232"},
		{Redfish, "https://172.31.0.1:8442"},
	} {
		cfg := Config{Dir: "/lab", BMC: c.bmc}.withDefaults()
		if got := cfg.describe(2, newPassword()).BMC.Address; got != c.want {
			t.Errorf("%s: got %s; want %s", c.bmc, got, c.want)
		}
	}
}

func TestPasswordsFitIPMI(t *testing.T) {
	if got := len(newPassword().Reveal()); got != 16 {
		t.Errorf("got %d characters; want 16 (IPMI 2.0, 22.30: at most 20 bytes, 16 for IPMI 1.5)", got)
	}
}
