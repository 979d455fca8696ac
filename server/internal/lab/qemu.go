package lab

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// monitorFD is the descriptor on which QEMU finds the socket of its monitor: the first after the standard three.
const monitorFD = 3

// nicID is the NIC's id, by which the monitor finds it.
const nicID = "nic0"

// host is what the computer offers that the lab runs on.
type host struct {
	kvm  bool
	ovmf ovmf
}

// ovmf is where the UEFI firmware lies.
type ovmf struct{ code, vars string }

// findHost looks for KVM and, when the firmware is UEFI, for OVMF.
func findHost(c Config) (host, error) {
	h := host{kvm: runtime.GOARCH == string(c.Arch) && unix.Access("/dev/kvm", unix.R_OK|unix.W_OK) == nil}
	if c.Firmware != metal.UEFI {
		return h, nil
	}
	places := []ovmf{
		{"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"},           // Debian, Ubuntu
		{"/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"},       // Fedora
		{"/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"},   // Arch
		{"/usr/share/qemu/ovmf-x86_64-code.bin", "/usr/share/qemu/ovmf-x86_64-vars.bin"}, // openSUSE
		{"/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"},                 // Debian before 12
	}
	pkg := "ovmf"
	switch {
	case c.SecureBoot && c.Arch == metal.ARM64:
		pkg = "qemu-efi-aarch64"
		places = []ovmf{{"/usr/share/AAVMF/AAVMF_CODE.ms.fd", "/usr/share/AAVMF/AAVMF_VARS.ms.fd"}} // Debian, Ubuntu; as the next
	case c.SecureBoot:
		places = []ovmf{ // with Microsoft's keys enrolled
			{"/usr/share/OVMF/OVMF_CODE_4M.ms.fd", "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"},               // Debian, Ubuntu
			{"/usr/share/edk2/ovmf/OVMF_CODE.secboot.fd", "/usr/share/edk2/ovmf/OVMF_VARS.secboot.fd"}, // Fedora
		}
	case c.Arch == metal.ARM64:
		pkg = "qemu-efi-aarch64"
		places = []ovmf{
			{"/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"},                                // Debian, Ubuntu
			{"/usr/share/edk2/aarch64/QEMU_EFI-pflash.raw", "/usr/share/edk2/aarch64/vars-template-pflash.raw"}, // Fedora
		}
	}
	for _, p := range places {
		if exists(p.code) && exists(p.vars) {
			h.ovmf = p
			return h, nil
		}
	}
	return host{}, metal.Errorf(metal.NotFound, "UEFI machines need the OVMF firmware, and none is at %s or the other usual places: install the package %s", places[0].code, pkg)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// qemuArgs is QEMU's command line for machine i, which is to start from first. QEMU runs in the machine's directory.
func qemuArgs(c Config, h host, i int, m Machine, first metal.BootDevice) []string {
	accel, cpu := "tcg,thread=multi", "max"
	switch {
	case h.kvm:
		accel = "kvm"
	case c.Arch == metal.ARM64:
		cpu = "cortex-a72" // the newest one's pointer authentication costs an emulator half of its speed
	}
	args := []string{
		"-name", "guest=" + c.Name + "-" + m.Name,
		"-machine", machineType(c),
		"-accel", accel,
		// QEMU's default CPU has no RDRAND, and without it a Linux guest waits minutes for its first random number.
		"-cpu", cpu,
		"-smp", fmt.Sprint(c.CPUs),
		"-m", fmt.Sprint(c.MemoryMiB),
		"-nodefaults", "-no-user-config", "-display", "none",
		"-smbios", fmt.Sprintf("type=1,manufacturer=Metalform,product=Virtual,serial=%s,uuid=%s", m.Serial, m.UUID),
		"-chardev", "file,id=console,path=" + consoleName + ",append=on",
		"-serial", "chardev:console",
		"-chardev", fmt.Sprintf("socket,id=monitor,fd=%d", monitorFD),
		"-mon", "chardev=monitor,mode=control",
	}
	if c.Firmware == metal.UEFI {
		args = append(args,
			"-drive", "if=pflash,unit=0,format=raw,readonly=on,file="+quote(h.ovmf.code),
			"-drive", "if=pflash,unit=1,format=raw,file="+nvramName)
	}
	if c.SecureBoot && c.Arch == metal.AMD64 {
		// Only the firmware in system management mode may write its variables, or the keys would be anybody's.
		args = append(args, "-global", "driver=cfi.pflash01,property=secure,value=on")
	}
	if c.Arch == metal.ARM64 {
		args = append(args, "-device", "virtio-rng-pci") // what RDRAND is elsewhere
	}
	if c.TPM {
		args = append(args, tpmArgs(c.Arch)...)
	}
	if c.HTTPBoot {
		// OVMF tries HTTP after PXE: with PXE gone it comes first.
		args = append(args,
			"-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n",
			"-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n")
	}
	nic := fmt.Sprintf("%s,id=%s,netdev=net0,mac=%s,bootindex=%d", c.NIC, nicID, m.MACs[0], nicIndex(first))
	if c.NativePXE {
		nic += ",romfile="
	}
	args = append(args,
		"-netdev", fmt.Sprintf("tap,id=net0,ifname=%s,script=no,downscript=no", tapName(i)),
		"-device", nic)

	device := "virtio-blk-pci"
	if c.DiskBus == NVMe {
		device = "nvme"
	}
	for d := range c.Disks {
		args = append(args,
			// The disk dies with the lab, so a crash of the host may cost its contents.
			"-drive", fmt.Sprintf("if=none,id=drive%d,format=qcow2,cache=unsafe,discard=unmap,file=%s", d, diskName(d)),
			"-device", fmt.Sprintf("%s,id=disk%d,drive=drive%d,serial=%s,bootindex=%d", device, d, d, diskSerial(m.Serial, d), diskBase+d))
	}
	return args
}

// machineType is QEMU's machine, without graphics, so that SeaBIOS and iPXE write to the serial port too.
func machineType(c Config) string {
	switch {
	case c.Arch == metal.ARM64:
		return "virt"
	case c.SecureBoot:
		return "q35,graphics=off,smm=on"
	}
	return "q35,graphics=off"
}

// quote makes a value safe in QEMU's option syntax, where a comma ends it and two are one.
func quote(value string) string { return strings.ReplaceAll(value, ",", ",,") }
