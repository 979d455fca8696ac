package tftp

import (
	"path"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// maxName bounds a file name, in bytes. The request that holds it is at most one datagram of 512.
const maxName = 400

// Clean turns the name a client asks for into a slash-separated path relative to what is served, without "." and
// "..": "/grub\\x86_64-efi//fs.lst" is "grub/x86_64-efi/fs.lst". A name that would leave what is served, or is none,
// is metal.Invalid.
func Clean(name string) (string, error) {
	// Some PXE ROMs take DHCP option 67 for a C string and send the end option, 0xff, that follows it in the packet.
	for strings.HasSuffix(name, "\xff") { // not TrimRight, which reads runes and would take every byte that is no UTF-8
		name = name[:len(name)-1]
	}
	if len(name) > maxName {
		return "", metal.Errorf(metal.Invalid, "file name of %d bytes; %d are allowed", len(name), maxName)
	}
	// Windows' boot manager, and firmware that keeps to the UEFI file system's form, send backslashes.
	name = strings.ReplaceAll(name, `\`, "/")
	for _, part := range strings.Split(name, "/") {
		if part == ".." {
			return "", metal.Errorf(metal.Invalid, "file name %q leaves what is served", name)
		}
	}
	for _, r := range name {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return "", metal.Errorf(metal.Invalid, "file name %q is not text", name)
		}
	}
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	if name == "" {
		return "", metal.Errorf(metal.Invalid, "the file name is empty")
	}
	return name, nil
}
