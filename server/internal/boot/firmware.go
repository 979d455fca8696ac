// Package boot decides what a machine boots: one function of stored facts, asked by DHCP, TFTP and HTTP alike. Its
// handler serves the scripts and files it names; nothing else here does I/O.
package boot

import (
	"net/url"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Client is what a booting firmware tells of itself in DHCP.
type Client struct {
	MAC metal.MAC
	// Arch is the client system architecture, option 93 (RFC 4578, 2.1; values of the IANA registry).
	Arch uint16
	// PXE says that the vendor class (option 60) begins with PXEClient, HTTP that it begins with HTTPClient.
	PXE, HTTP bool
	// IPXE says that the user class (option 77) is iPXE: a loader that runs our scripts.
	IPXE bool
}

// Architectures of option 93 that we can serve.
const (
	ArchBIOS        = 0
	ArchUEFI64      = 7  // x86-64; RFC 4578 calls it EFI BC, and erratum 4624 has it right
	ArchUEFI64Alt   = 9  // x86-64 as RFC 4578 meant it; some firmware sends this one
	ArchUEFIArm64   = 11 // arm64; IANA registry, as the next
	ArchUEFI64HTTP  = 16 // x86-64 by HTTP boot
	ArchUEFIArmHTTP = 19
)

// Mode returns the firmware kind of the client.
func (c Client) Mode() metal.BootMode {
	if c.Arch == ArchBIOS {
		return metal.BIOS
	}
	return metal.UEFI
}

// Loaders that Debian's package ipxe brings, by the names they have there.
const (
	fileBIOS  = "undionly.kpxe" // drives the NIC by the firmware's UNDI
	fileUEFI  = "snponly.efi"   // drives the NIC by the firmware's SNP
	fileLocal = "localboot.efi" // goes on to the loader on the disk; made by "metald bootenv build"
)

// plainLoaders are those that both TFTP and HTTP serve.
func plainLoaders() []string { return []string{fileBIOS, fileUEFI} }

// Named is what a DHCP answer names to a booting client.
type Named struct {
	// File is the boot file: a name on our TFTP server, or a URL. Empty: we have nothing for this client.
	File string
	// HTTP says that File is a URL for native UEFI HTTP boot, and that the answer must have vendor class HTTPClient
	// (UEFI 2.10, 24.7.2.3).
	HTTP bool
	// TFTP says that File is fetched by TFTP.
	TFTP bool
}

// NameFor returns what to name to a client. base is the URL of our boot server, as in http://172.31.0.1:7080. With
// secure, UEFI's own PXE gets loaders that firmware with Secure Boot runs; there are none for its HTTP boot. For arm64
// Debian has no iPXE: it gets GRUB in any case, which speaks TFTP alone.
func NameFor(c Client, base string, secure bool) Named {
	switch {
	case c.IPXE:
		return Named{File: base + ScriptPath(c.MAC)}
	case c.HTTP && c.Arch == ArchUEFI64HTTP:
		return Named{File: base + PathFiles + fileUEFI, HTTP: true}
	case c.PXE && c.Arch == ArchBIOS:
		return Named{File: fileBIOS, TFTP: true}
	case c.PXE && (c.Arch == ArchUEFI64 || c.Arch == ArchUEFI64Alt) && secure:
		return Named{File: fileShim, TFTP: true}
	case c.PXE && (c.Arch == ArchUEFI64 || c.Arch == ArchUEFI64Alt):
		return Named{File: fileUEFI, TFTP: true}
	case c.PXE && c.Arch == ArchUEFIArm64 && secure:
		return Named{File: fileShimArm64, TFTP: true}
	case c.PXE && c.Arch == ArchUEFIArm64:
		return Named{File: fileGRUBArm64, TFTP: true}
	}
	return Named{}
}

// ScriptPath is where the boot server has the script of a machine. iPXE fills in ${platform}, pcbios or efi: the
// way to the local disk differs.
func ScriptPath(mac metal.MAC) string {
	return PathScript + url.PathEscape(string(mac)) + "?platform=${platform}"
}
