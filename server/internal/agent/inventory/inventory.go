// Package inventory reads a machine's hardware from the kernel: /sys, /proc, SMBIOS tables, ethtool and the BMC's
// in-band interface. Whatever one source does not tell is left out; the inventory of a strange machine is short,
// not missing.
package inventory

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Roots are the folders where the kernel tells things: /proc, /sys and /dev.
type Roots struct{ Proc, Sys, Dev string }

// Sources are what an inventory is read from.
type Sources struct {
	Roots
	// Disks lists block devices, as disk.List does.
	Disks func(sysfs, dev string) ([]metal.Disk, error)
	// NICs asks drivers; nil: what sysfs tells is all.
	NICs Ethtool
	// Neighbor returns the LLDP neighbour heard on a NIC, or nil.
	Neighbor func(nic string) *metal.Neighbor
	BootMAC  metal.MAC // of the NIC the machine booted from
	Arch     metal.Arch
	Log      *slog.Logger
}

// Read makes the inventory. The parts are read at the same time, for disks and drivers may take their time to
// answer. Only disks that cannot be listed at all are an error.
func (s Sources) Read(ctx context.Context) (metal.Inventory, error) {
	inv := metal.Inventory{Arch: s.Arch, BootMode: s.BootMode(), SMBIOS: s.SMBIOS()}
	var diskErr error
	var parts sync.WaitGroup
	parts.Go(func() { inv.Disks, diskErr = s.Disks(s.Sys, s.Dev) })
	parts.Go(func() { inv.NICs = s.nics() })
	parts.Go(func() { inv.BMC = s.bmc(ctx) })
	parts.Go(func() {
		table := s.smbiosTable()
		inv.CPU = s.cpu(table)
		inv.Memory = s.memory(table)
		inv.PCI = s.pci()
		inv.USB = s.usb()
		inv.TPM = s.tpm()
		inv.SecureBoot = s.secureBoot()
		inv.Kernel = text(s.Proc, "sys/kernel/osrelease")
	})
	parts.Wait()
	return inv, diskErr
}

// SMBIOS returns the identity that the kernel read from the firmware's tables.
func (s Sources) SMBIOS() metal.SMBIOS {
	id := func(name string) string { return meaningful(text(s.Sys, "class/dmi/id", name)) }
	return metal.SMBIOS{
		Vendor: id("sys_vendor"), Product: id("product_name"), Version: id("product_version"), Serial: id("product_serial"),
		UUID: id("product_uuid"), SKU: id("product_sku"), BoardSerial: id("board_serial"), ChassisAsset: id("chassis_asset_tag"),
		BIOSVendor: id("bios_vendor"), BIOSVersion: id("bios_version"), BIOSDate: id("bios_date"),
	}
}

// BootMode tells how the firmware started the kernel.
func (s Sources) BootMode() metal.BootMode {
	if _, err := os.Stat(filepath.Join(s.Sys, "firmware/efi")); err == nil {
		return metal.UEFI
	}
	return metal.BIOS
}

// tpm returns the version of the first TPM, empty when there is none. Kernels before 5.6 do not tell it.
func (s Sources) tpm() string {
	switch text(s.Sys, "class/tpm/tpm0/tpm_version_major") {
	case "1":
		return "1.2"
	case "2":
		return "2.0"
	}
	return ""
}

// secureBoot reads what the kernel's EFI stub found, at its place in the boot parameters (Documentation/arch/x86/zero-page:
// secure_boot, where 3 is enabled). Other architectures have no such parameters.
func (s Sources) secureBoot() bool {
	const at, enabled = 0x1EC, 3
	parameters, err := os.ReadFile(filepath.Join(s.Sys, "kernel/boot_params/data"))
	return err == nil && len(parameters) > at && parameters[at] == enabled
}

// memory prefers the modules that the firmware tells, for the kernel does not see what the firmware keeps.
func (s Sources) memory(table []structure) metal.Memory {
	if m := memoryOf(table); m.Bytes > 0 {
		return m
	}
	for line := range strings.Lines(text(s.Proc, "meminfo")) {
		if rest, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err == nil {
				return metal.Memory{Bytes: kib << 10}
			}
		}
	}
	return metal.Memory{}
}

// smbiosTable reads the raw tables; nil when the firmware has none.
func (s Sources) smbiosTable() []structure {
	raw, err := os.ReadFile(filepath.Join(s.Sys, "firmware/dmi/tables/DMI"))
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			s.Log.Warn("read SMBIOS tables", "error", err)
		}
		return nil
	}
	return parseTable(raw)
}

// text reads a small file of sysfs or procfs, without blanks around; empty when it cannot be read.
func text(path ...string) string {
	raw, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(strings.ToValidUTF8(string(raw), "?"))
}

// number reads a file that holds a number, and returns other when it cannot.
func number(other int, path ...string) int {
	n, err := strconv.Atoi(text(path...))
	if err != nil {
		return other
	}
	return n
}

// link returns the last part of what a symbolic link points to; empty when there is none.
func link(path ...string) string {
	target, err := os.Readlink(filepath.Join(path...))
	if err != nil {
		return ""
	}
	return filepath.Base(target)
}

// meaningful drops what board makers leave in fields that they never filled.
func meaningful(s string) string {
	switch strings.ToLower(strings.Trim(s, " .")) {
	case "to be filled by o.e.m", "not specified", "not available", "default string", "system serial number", "none",
		"unknown", "o.e.m", "oem", "n/a", "0123456789", "system product name", "system manufacturer", "no asset tag",
		"no dimm", "empty", "undefined":
		return ""
	}
	return s
}
