package osimage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// rootPackages are a small Debian that starts from any layout of disks. It brings no boot loader: whoever installs
// the archive does, and update-grub makes its menu.
func rootPackages() []string {
	return []string{
		kernelPackage, "initramfs-tools", "zstd", "systemd", "systemd-sysv", "udev", "e2fsprogs", "xfsprogs", "btrfs-progs",
		"lvm2", "mdadm", "cryptsetup-initramfs", "libtss2-esys-3.0.2-0", "libtss2-rc0", "libtss2-mu0", "libtss2-tcti-device0", "grub2-common", "grub-common", "kmod", "util-linux", "openssh-server", "iproute2", "netbase",
		"systemd-resolved", "dbus", "cloud-init", "netplan.io", "sudo", "python3-yaml", "procps",
	}
}

// rootFiles are written over what the packages leave.
func rootFiles() map[string]string {
	return map[string]string{
		// What the system says of itself once it is up: where its root is, what is mounted, whether arrays are whole.
		"usr/local/sbin/say-ready": `#!/bin/sh
exec >/dev/console
echo
echo "ROOT-READY root=$(findmnt -no SOURCE,FSTYPE / | tr -s ' ' ':') efi=$(test -d /sys/firmware/efi && echo yes || echo no) swaps=$(($(wc -l < /proc/swaps) - 1))"
findmnt -rno TARGET,SOURCE,FSTYPE --real | sed 's/^/ROOT-MOUNT /'
sed -n 's/^\(md[0-9]*\) : /ROOT-ARRAY \1 /p; s/^.*blocks.*\(\[[U_]*\]\).*/ROOT-ARRAY-STATE \1/p' /proc/mdstat
hostname | sed 's/^/ROOT-HOST /'
test -f /etc/marker && echo "ROOT-MARKER $(cat /etc/marker)"
echo "ROOT-CMDLINE $(cat /proc/cmdline)"
echo "ROOT-END"
`,
		"etc/systemd/system/say-ready.service": "[Unit]\nDescription=Tell the console that the system is up\nAfter=local-fs.target swap.target boot-efi.mount\n\n" +
			"[Service]\nType=oneshot\nExecStart=/usr/local/sbin/say-ready\n\n[Install]\nWantedBy=multi-user.target\n",
		// Only what finds the root on the disks of virtual machines: making an initramfs takes a while in an emulated one.
		"etc/initramfs-tools/conf.d/metal": "MODULES=list\nCOMPRESS=zstd\nCOMPRESSLEVEL=1\n",
		"etc/initramfs-tools/modules":      "virtio_pci\nvirtio_blk\nvirtio_scsi\nsd_mod\next4\nxfs\nbtrfs\nraid0\nraid1\nraid10\nraid456\ndm_mod\ndm_crypt\nxts\naes_generic\nsha256_generic\nsha512_generic\nhmac\nalgif_skcipher\naf_alg\ncrc32c_generic\n",
		"etc/modprobe.d/metal.conf":        debianFiles()["etc/modprobe.d/metal.conf"],
		// The root of a LVM volume or an array is grown by whoever lays it out.
		"etc/cloud/cloud.cfg.d/90-metal.cfg": debianFiles()["etc/cloud/cloud.cfg.d/90-metal.cfg"] + "growpart: {mode: off}\nresize_rootfs: false\n",
	}
}

// rootScript runs in the new system's root.
const rootScript = `set -eu
chmod 755 /usr/local/sbin/say-ready
systemctl mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
	systemd-pstore.service getty@tty1.service mdcheck_start.timer mdcheck_continue.timer mdmonitor-oneshot.timer
systemctl enable say-ready.service systemd-networkd systemd-resolved ssh
echo root:root | chpasswd
rm -f /etc/hostname /etc/ssh/ssh_host_* /vmlinuz* /initrd.img*
: > /etc/machine-id
update-initramfs -u -k all
`

// BuildRoot makes a root archive, a tar in zstd frames, of a Debian 12 that starts from flat disks, LVM, arrays, LUKS,
// ext4, xfs and btrfs. It says ROOT-READY and more on the console when it is up, and then ROOT-END. Packages come from
// the host's own sources. The user root has the password root.
func BuildRoot(ctx context.Context, o Options) error {
	if o.Out == "" || o.CacheDir == "" {
		return errors.New("build root archive: Out and CacheDir must be given")
	}
	if err := os.MkdirAll(o.CacheDir, 0o755); err != nil {
		return fmt.Errorf("build root archive: %w", err)
	}
	files := rootFiles()
	r := recipe{name: "root", packages: rootPackages(), inputs: []string{rootScript}}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		r.inputs = append(r.inputs, name, files[name])
	}
	key, err := cacheKey(ctx, o, r)
	if err != nil {
		return fmt.Errorf("build root archive: %w", err)
	}
	cached := filepath.Join(o.CacheDir, "root-"+key+".tar.zst")
	if _, err := os.Stat(cached); err != nil {
		if err := produceRoot(ctx, o, cached); err != nil {
			return fmt.Errorf("build root archive: %w", err)
		}
	}
	return place(cached, o.Out)
}

func produceRoot(ctx context.Context, o Options, out string) (err error) {
	work, err := os.MkdirTemp(o.CacheDir, "build-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	sources, err := aptSources()
	if err != nil {
		return err
	}
	files, script := filepath.Join(work, "files"), filepath.Join(work, "script")
	for name, content := range rootFiles() {
		if err := writeFile(filepath.Join(files, name), content, 0o644); err != nil {
			return err
		}
	}
	if err := writeFile(script, rootScript, 0o644); err != nil {
		return err
	}
	o.log().Info("making the root archive")
	raw := filepath.Join(work, "root.tar")
	args := []string{
		"--mode=root", "--variant=minbase", `--aptopt=Apt::Install-Recommends "false"`,
		"--include=" + strings.Join(rootPackages(), ","),
		"--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
		"--customize-hook=cp -R '" + files + "/.' \"$1\"/ && chroot \"$1\" /bin/sh < '" + script + "'",
		"--customize-hook=rm -rf \"$1\"/var/cache/apt/* \"$1\"/var/lib/apt/lists/*",
		release, raw,
	}
	if _, err := output(ctx, "", "mmdebstrap", append(args, sources...)...); err != nil {
		return err
	}
	packed := filepath.Join(work, "root.tar.zst")
	if err := compress(raw, packed); err != nil {
		return err
	}
	return os.Rename(packed, out)
}
