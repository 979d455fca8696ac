package tftp_test

import (
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/tftp"
)

func TestNamesAsClientsSendThem(t *testing.T) {
	cases := []struct{ name, asked, want string }{
		{"a plain name", "snponly.efi", "snponly.efi"},
		{"an absolute one, as GRUB asks", "/grub/grub.cfg", "grub/grub.cfg"},
		{"one with two slashes, as shim asks after a directory", "//grubx64.efi", "grubx64.efi"},
		{"one with a slash too many inside", "grub/x86_64-efi//fs.lst", "grub/x86_64-efi/fs.lst"},
		{"backslashes, as Windows' boot manager sends", `\Boot\BCD`, "Boot/BCD"},
		{"both kinds", `boot\x64/wdsnbp.com`, "boot/x64/wdsnbp.com"},
		{"the end option of DHCP behind it, as old PXE ROMs send", "undionly.kpxe\xff", "undionly.kpxe"},
		{"a dot as a directory", "./pxelinux.cfg/./default", "pxelinux.cfg/default"},
		{"two dots inside of a name", "a..b/..c/d..", "a..b/..c/d.."},
		{"capitals are kept", "BOOTX64.EFI", "BOOTX64.EFI"},
		{"a name with spaces and letters of the world", "My Files/größe.img", "My Files/größe.img"},
		{"a trailing slash", "pxelinux.cfg/", "pxelinux.cfg"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := tftp.Clean(c.asked)
			if err != nil || got != c.want {
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			}
		})
	}
}

func TestNamesThatAreRefused(t *testing.T) {
	cases := []struct{ name, asked string }{
		{"no name", ""},
		{"the root", "/"},
		{"the root in backslashes", `\\`},
		{"a dot", "."},
		{"the parent", "../etc/passwd"},
		{"the parent behind a slash", "/../etc/passwd"},
		{"the parent inside, though it stays below", "grub/../grub.cfg"},
		{"the parent in backslashes", `..\..\secret`},
		{"the parent before the end option", "..\xff"},
		{"a byte at the end that is no UTF-8, and not the end option", "grub\xe9"},
		{"a line break, which would forge a log line", "a\nb"},
		{"a NUL", "a\x00b"},
		{"bytes that are no text", "a\xc3\x28"},
		{"a name longer than any file's", strings.Repeat("x", 401)},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := tftp.Clean(c.asked)
			if metal.CodeOf(err) != metal.Invalid {
				t.Errorf("got %q, %v; want %s", got, err, metal.Invalid)
			}
		})
	}
}

func FuzzClean(f *testing.F) {
	for _, seed := range []string{"/grub/grub.cfg", `..\..\x`, "a/../b", "undionly.kpxe\xff", "a//b/./c", "\xff\xff", "...", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, asked string) {
		name, err := tftp.Clean(asked)
		if err != nil {
			return
		}
		if name == "" || strings.HasPrefix(name, "/") || strings.ContainsAny(name, "\\\x00\n") {
			t.Errorf("%q became %q", asked, name)
		}
		for _, part := range strings.Split(name, "/") {
			if part == "" || part == "." || part == ".." {
				t.Errorf("%q became %q, with part %q", asked, name, part)
			}
		}
		if again, err := tftp.Clean(name); err != nil || again != name {
			t.Errorf("%q became %q, and that %q, %v", asked, name, again, err)
		}
	})
}
