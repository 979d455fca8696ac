package lab

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestQEMUCommandLine(t *testing.T) {
	debian := ovmf{"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"}
	for _, c := range []struct {
		golden string
		cfg    Config
		host   host
		first  metal.BootDevice
	}{
		{"bios", Config{}, host{}, metal.BootNetwork},
		{"bios-disk-first", Config{}, host{}, metal.BootDisk},
		{"bios-kvm-e1000-two-nvme", Config{NIC: E1000, Disks: 2, DiskBus: NVMe, CPUs: 2, MemoryMiB: 1024}, host{kvm: true}, metal.BootNetwork},
		{"uefi", Config{Firmware: metal.UEFI}, host{ovmf: debian}, metal.BootNetwork},
		{"uefi-native-pxe", Config{Firmware: metal.UEFI, NativePXE: true}, host{ovmf: debian}, metal.BootNetwork},
		{"uefi-http-boot", Config{Firmware: metal.UEFI, HTTPBoot: true}, host{ovmf: debian}, metal.BootNetwork},
		{"uefi-secure-boot", Config{Firmware: metal.UEFI, SecureBoot: true}, host{ovmf: ovmf{"/usr/share/OVMF/OVMF_CODE_4M.ms.fd", "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"}}, metal.BootNetwork},
		{"uefi-tpm", Config{Firmware: metal.UEFI, TPM: true}, host{ovmf: debian}, metal.BootNetwork},
		{"uefi-arm64", Config{Arch: metal.ARM64, Firmware: metal.UEFI, TPM: true}, host{ovmf: ovmf{"/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"}}, metal.BootNetwork},
		{"uefi-arm64-secure-boot", Config{Arch: metal.ARM64, Firmware: metal.UEFI, SecureBoot: true}, host{ovmf: ovmf{"/usr/share/AAVMF/AAVMF_CODE.ms.fd", "/usr/share/AAVMF/AAVMF_VARS.ms.fd"}}, metal.BootNetwork},
		{"uefi-comma-in-path", Config{Firmware: metal.UEFI}, host{ovmf: ovmf{code: "/opt/a,b/code.fd"}}, metal.BootNetwork},
	} {
		t.Run(c.golden, func(t *testing.T) {
			c.cfg.Dir = "/lab"
			cfg := c.cfg.withDefaults()
			if err := cfg.Validate(); err != nil {
				t.Fatal(err)
			}
			args := qemuArgs(cfg, c.host, 2, cfg.describe(2, newPassword()), c.first)
			got := strings.Join(args, "\n") + "\n"
			path := filepath.Join("testdata", c.golden+".args")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("arguments (-want +got):\n%s", diff)
			}
		})
	}
}
