package bootenv

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// ToolsFile is the archive of programs that BuildTools leaves beside the RAM environment.
const ToolsFile = "tools.tar.zst"

// ToolsOptions say what BuildTools makes.
type ToolsOptions struct {
	Arch metal.Arch
	// Kernel is the kernel package that the RAM environment is made of: the tools bring modules for it.
	KernelDeb string
	OutDir    string // where the RAM environment is
	CacheDir  string // keeps packages; made when it is not there
}

// toolPackages are what installing a root archive takes: partitions are our own business, the rest is not. Debian's
// signed loaders come along for archives that have none.
func toolPackages(arch metal.Arch) []string {
	all := []string{
		"coreutils", "util-linux", "mount", "e2fsprogs", "xfsprogs", "btrfs-progs", "dosfstools", "mdadm", "lvm2",
		"cryptsetup-bin", "systemd", "libtss2-esys-3.0.2-0", "libtss2-tcti-device0", "libtss2-mu0", "libtss2-rc0",
		"squashfs-tools", "efibootmgr", "shim-signed", "grub-efi-" + string(arch) + "-signed", "grub-efi-" + string(arch) + "-bin",
	}
	if arch == metal.AMD64 {
		all = append(all, "grub-pc-bin")
	}
	return all
}

// unusedTools says which packages come along by their dependencies and are of no use where nothing is configured.
func unusedTools(pkg string) bool {
	return slices.ContainsFunc([]string{
		"python3", "libpython3", "perl", "libperl", "libfile-find-rule-perl", "libicu", "dpkg_", "debconf_", "adduser_", "passwd_",
		"gcc-", "usrmerge_", "media-types", "libsqlite3", "udev_", "libkrb5", "tar_", "gettext-base_",
	}, func(prefix string) bool { return strings.HasPrefix(pkg, prefix) })
}

// installModules are the kernel modules that an installation may need besides those in the initramfs. All of them
// may be built in, or be missing from a small kernel: then what needs them fails, and says so.
func installModules() ModuleSet {
	return ModuleSet{Name: "install", Modules: []string{
		"md_mod", "raid0", "raid1", "raid10", "raid456", "dm_mod", "dm_crypt", "xfs", "btrfs", "squashfs", "overlay", "loop", "vfat", "ext4",
		"nls_cp437", "nls_ascii", "nls_iso8859_1", "nls_utf8", "efivarfs", "tpm_tis", "tpm_crb",
		// What LUKS2 is made of, as the kernel's crypto layer asks for it, and the sockets that cryptsetup reaches it by.
		"aes_generic", "aesni_intel", "aes_ce_blk", "xts", "cbc", "ecb", "essiv", "sha256_generic", "sha512_generic", "hmac",
		"af_alg", "algif_skcipher", "algif_hash", "crc32c_generic", "xxhash_generic", "blake2b_generic",
	}}
}

// BuildTools makes the archive of programs and kernel modules that installing a root archive takes, from Debian's
// packages. It is a root of its own: the agent unpacks it into memory for that step alone, and runs what is in it by
// chroot, so that machines that get a whole-disk image do without. Packages come as FetchKernel's do.
func BuildTools(ctx context.Context, o ToolsOptions) error {
	if _, err := metaPackage(o.Arch, Generic); err != nil {
		return err
	}
	debs, err := fetchTools(ctx, o)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "metald-tools-")
	if err != nil {
		return fmt.Errorf("make a folder to unpack the tools into: %w", err)
	}
	defer os.RemoveAll(dir)
	files, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("make a folder to unpack the tools into: %w", err)
	}
	defer files.Close()
	for _, deb := range debs {
		if err := openDeb(deb, func(r io.Reader) error { return unpackTools(ctx, r, files) }); err != nil {
			return err
		}
	}
	if err := addModules(ctx, o, files); err != nil {
		return err
	}
	if err := os.MkdirAll(o.OutDir, 0o755); err != nil {
		return fmt.Errorf("make the folder for the tools: %w", err)
	}
	return replace(filepath.Join(o.OutDir, ToolsFile), func(w io.Writer) error { return packTools(ctx, w, files) })
}

// fetchTools has apt find out what the tools depend on, and returns the packages.
func fetchTools(ctx context.Context, o ToolsOptions) ([]string, error) {
	a, err := newApt(ctx, o.CacheDir, o.Arch)
	if err != nil {
		return nil, err
	}
	install := append([]string{"-q", "-y", "--no-install-recommends"}, append([]string{"install"}, toolPackages(o.Arch)...)...)
	if _, err := a.run(ctx, "apt-get", append([]string{"--download-only"}, install...)...); err != nil {
		return nil, err
	}
	// The cache may hold older versions too: apt says which it would take.
	said, err := a.run(ctx, "apt-get", append([]string{"--simulate"}, install...)...)
	if err != nil {
		return nil, err
	}
	var debs []string
	for _, name := range installed(said) {
		if unusedTools(name) {
			continue
		}
		deb := filepath.Join(a.state(), "cache/archives", name)
		if _, err := os.Stat(deb); err != nil {
			return nil, fmt.Errorf("find a fetched package of the tools: %w", err)
		}
		debs = append(debs, deb)
	}
	return debs, nil
}

// installed reads the lines "Inst PACKAGE (VERSION ORIGIN [ARCH])" of a simulated installation, and returns the names
// of the files that apt keeps, sorted.
func installed(said string) []string {
	var names []string
	for line := range strings.Lines(said) {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[0] != "Inst" {
			continue
		}
		pkg, _, _ := strings.Cut(fields[1], ":")
		arch := ""
		for _, f := range fields[3:] {
			if strings.HasSuffix(f, "])") { // behind it apt may list what waits for this package
				arch = strings.Trim(f, "[]()")
				break
			}
		}
		version := strings.ReplaceAll(strings.TrimPrefix(fields[2], "("), ":", "%3a")
		names = append(names, fmt.Sprintf("%s_%s_%s.deb", pkg, version, arch))
	}
	slices.Sort(names)
	return names
}

// useless says which files of a package nobody reads where no person is.
func useless(name string) bool {
	return slices.ContainsFunc([]string{
		"usr/share/doc/", "usr/share/man/", "usr/share/locale/", "usr/share/info/", "usr/share/lintian/", "usr/share/bash-completion/",
		"usr/share/initramfs-tools/", "usr/share/zsh/", "usr/share/bug/", "usr/lib/udev/", "usr/lib/systemd/system/", "usr/share/i18n/",
		"usr/lib/systemd/catalog/", "usr/share/mime/", "usr/share/fonts/", "usr/share/grub/", "usr/share/common-licenses/", "usr/share/zoneinfo/", "usr/lib/systemd/boot/", "var/", "dev/",
	}, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// unpackTools lays a package out in a root whose /bin, /sbin and /lib* are links to /usr, as Debian 12 has it.
func unpackTools(ctx context.Context, r io.Reader, root *os.Root) error {
	for files := tar.NewReader(r); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
		for _, dir := range []string{"bin/", "sbin/", "lib/", "lib64/", "lib32/"} {
			if strings.HasPrefix(name, dir) {
				name = "usr/" + name
			}
		}
		if ctx.Err() != nil || useless(name) {
			continue
		}
		switch h.Typeflag {
		case tar.TypeReg, tar.TypeSymlink, tar.TypeLink:
			if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
				return err
			}
		}
		switch h.Typeflag {
		case tar.TypeReg:
			err = copyTool(root, name, h, files)
		case tar.TypeSymlink:
			err = root.Symlink(h.Linkname, name)
		case tar.TypeLink:
			err = root.Link(strings.TrimPrefix(path.Clean("/"+h.Linkname), "/"), name)
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
}

func copyTool(root *os.Root, name string, h *tar.Header, content io.Reader) error {
	out, err := root.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, h.FileInfo().Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(out, content)
	return errors.Join(err, out.Close())
}

// addModules adds the kernel's modules and their index.
func addModules(ctx context.Context, o ToolsOptions, root *os.Root) error {
	dir, err := os.MkdirTemp("", "metald-kernel-")
	if err != nil {
		return fmt.Errorf("make a folder to unpack the kernel into: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := unpackDeb(ctx, o.KernelDeb, dir); err != nil {
		return err
	}
	release, _, err := readKernel(os.DirFS(dir))
	if err != nil {
		return err
	}
	t, err := openTree(os.DirFS(filepath.Join(dir, "lib/modules", release)))
	if err != nil {
		return err
	}
	chosen, err := t.choose(installModules())
	if err != nil {
		return err
	}
	at := path.Join("usr/lib/modules", release)
	dep, alias := indexes(chosen)
	write := func(name string, data []byte) error {
		if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
			return err
		}
		return root.WriteFile(name, data, 0o644)
	}
	errs := []error{write(path.Join(at, "modules.dep"), dep), write(path.Join(at, "modules.alias"), alias)}
	for _, k := range chosen {
		errs = append(errs, write(path.Join(at, k.path), k.data))
	}
	return errors.Join(errs...)
}

// packTools writes a folder as a compressed tar: names sorted, all of it root's, all times zero.
func packTools(ctx context.Context, w io.Writer, root *os.Root) error {
	packed, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedBetterCompression))
	if err != nil {
		return err
	}
	out := tar.NewWriter(packed)
	for _, link := range []string{"bin", "sbin", "lib", "lib64", "lib32"} {
		if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: link, Linkname: "usr/" + link, Mode: 0o777}); err != nil {
			return err
		}
	}
	for _, dir := range []string{"dev", "proc", "run", "sys", "tmp", "target", "var", "etc/lvm"} {
		if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755}); err != nil {
			return err
		}
	}
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		return packTool(ctx, out, root, name, d)
	})
	return errors.Join(err, out.Close(), packed.Close())
}

func packTool(ctx context.Context, out *tar.Writer, root *os.Root, name string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	h := &tar.Header{Name: name, Mode: int64(info.Mode().Perm())}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case d.IsDir():
		h.Typeflag, h.Name, h.Mode = tar.TypeDir, name+"/", 0o755
		return out.WriteHeader(h)
	case info.Mode()&fs.ModeSymlink != 0:
		h.Typeflag = tar.TypeSymlink
		if h.Linkname, err = root.Readlink(name); err != nil {
			return err
		}
		return out.WriteHeader(h)
	}
	h.Typeflag, h.Size = tar.TypeReg, info.Size()
	if err := out.WriteHeader(h); err != nil {
		return err
	}
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(out, f)
	return err
}
