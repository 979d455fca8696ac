package osimage

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// release is the Debian that the images are made of.
const release = "bookworm"

// debianPackages are what the image has besides the smallest Debian.
func debianPackages() []string {
	return []string{
		kernelPackage, "initramfs-tools", "zstd", "systemd", "systemd-sysv", "systemd-resolved", "dbus", "udev",
		"openssh-server", "cloud-init", "cloud-guest-utils", "netplan.io", "iproute2", "sudo", "ca-certificates",
		"python3-yaml", "e2fsprogs", "gdisk", "fdisk", "less", "procps", "kmod", "netbase", "iputils-ping",
	}
}

// debianFiles are written over what the packages leave.
func debianFiles() map[string]string {
	return map[string]string{
		"etc/fstab": "LABEL=root / ext4 defaults,noatime 0 0\n",
		// Without the list cloud-init asks every cloud's metadata address first. One host key is enough: RSA and DSA
		// keys take 9 s on a machine without hardware virtualisation. Locales are not installed: setting one would fail.
		"etc/cloud/cloud.cfg.d/90-metal.cfg": "datasource_list: [NoCloud, None]\nssh_genkeytypes: [ed25519]\nlocale: false\n",
		"etc/modprobe.d/metal.conf": "# These take seconds to start in an emulated machine, and nothing here uses them.\n" +
			"blacklist kvm\nblacklist kvm_amd\nblacklist kvm_intel\nblacklist aesni_intel\nblacklist crct10dif_pclmul\n" +
			"blacklist ghash_clmulni_intel\nblacklist sha512_ssse3\n",
		// Only what finds the root: NVMe and ext4 are built into the kernel.
		"etc/initramfs-tools/conf.d/metal": "MODULES=list\n",
		"etc/initramfs-tools/modules":      "virtio_pci\nvirtio_blk\nvirtio_scsi\nsd_mod\n",
	}
}

// debianScript runs in the new system's root: what no test of a deployment needs is not started.
func debianScript(version string) string {
	return `set -eu
systemctl mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
	fstrim.timer systemd-pstore.service getty@tty1.service
systemctl enable systemd-networkd systemd-resolved ssh
rm -f /etc/hostname /etc/ssh/ssh_host_* /vmlinuz* /initrd.img*
: > /etc/machine-id
sed -i '/^VERSION=/d' /usr/lib/os-release
echo 'VERSION="` + version + `"' >> /usr/lib/os-release
update-initramfs -u -k all
`
}

func debianInputs() []string {
	inputs := []string{debianScript("")}
	files := debianFiles()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		inputs = append(inputs, name, files[name])
	}
	return inputs
}

// debianTree installs Debian below dir, from the package sources the host uses.
func debianTree(ctx context.Context, o Options, dir string) error {
	sources, err := aptSources()
	if err != nil {
		return err
	}
	files, script := dir+".files", dir+".script"
	for name, content := range debianFiles() {
		if err := writeFile(filepath.Join(files, name), content, 0o644); err != nil {
			return err
		}
	}
	if err := writeFile(script, debianScript(o.version()), 0o644); err != nil {
		return err
	}
	args := []string{
		"--mode=root", "--variant=minbase", `--aptopt=Apt::Install-Recommends "false"`,
		"--include=" + strings.Join(debianPackages(), ","),
		"--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
		"--customize-hook=cp -R '" + files + "/.' \"$1\"/ && chroot \"$1\" /bin/sh < '" + script + "'",
		"--customize-hook=ln -sf ../run/systemd/resolve/stub-resolv.conf \"$1\"/etc/resolv.conf",
		release, dir,
	}
	_, err = output(ctx, "", "mmdebstrap", append(args, sources...)...)
	return err
}

// aptSources returns those of the host's files of package sources that serve the image's release: mmdebstrap takes
// them as they are.
func aptSources() ([]string, error) {
	suite := regexp.MustCompile(`(?m)^[^#]*\s` + release + `(\s|$)`)
	var files []string
	for _, pattern := range []string{"/etc/apt/sources.list", "/etc/apt/sources.list.d/*.list", "/etc/apt/sources.list.d/*.sources"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			content, err := os.ReadFile(f)
			if err != nil {
				return nil, err
			}
			if suite.Match(content) {
				files = append(files, f)
			}
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("find package sources: no file below /etc/apt names the release %s", release)
	}
	return files, nil
}

func writeFile(path, content string, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(content), mode)
}
