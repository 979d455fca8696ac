package install

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// sealed is a volume that the machine's TPM opens at each start.
type sealed struct {
	Name, UUID string
	// Early says that the initramfs has to open it, for the system lies on it.
	Early bool
}

// sealedVolumes reads those out of the lines of crypttab(5) that a plan has.
func sealedVolumes(crypttab []string) []sealed {
	var all []sealed
	for _, line := range crypttab {
		fields := strings.Fields(line)
		if len(fields) != 4 {
			continue
		}
		options := strings.Split(fields[3], ",")
		if !slices.Contains(options, "tpm2-device=auto") {
			continue
		}
		all = append(all, sealed{Name: fields[0], UUID: strings.TrimPrefix(fields[1], "UUID="), Early: slices.Contains(options, "initramfs")})
	}
	return all
}

// tokenPlugin is what cryptsetup(8) opens a volume by the TPM with, and tpmLibraries is what that loads. systemd loads
// the same ones. They are below the folder of libraries, of which systems have several.
const tokenPlugin = "cryptsetup/libcryptsetup-token-systemd-tpm2.so"

func tpmLibraries() []string {
	return []string{"libtss2-esys.so.0", "libtss2-rc.so.0", "libtss2-mu.so.0", "libtss2-tcti-device.so.0"}
}

// openSealed has the system open the volumes that are sealed to the TPM. Debian's initramfs-tools cannot: it knows
// passphrases alone, so its initramfs gets a script. dracut can, where it is told to. A system that could not open
// them would wait for a person at the console at each start, so one without the libraries is refused.
func openSealed(root *os.Root, plan metal.StoragePlan) error {
	volumes := sealedVolumes(plan.Crypttab)
	if len(volumes) == 0 {
		return nil
	}
	libraries, err := libraryFolders(root)
	if err != nil {
		return err
	}
	missing := func(names ...string) string {
		for _, name := range names {
			if !slices.ContainsFunc(libraries, func(dir string) bool { return exists(root, path.Join(dir, name)) }) {
				return name
			}
		}
		return ""
	}
	if name := missing(tpmLibraries()...); name != "" {
		return metal.Errorf(metal.Invalid, "volume %s is to be opened by the TPM, and the root archive lacks %s, which that takes: put the TPM libraries into it (Debian: libtss2-esys-3.0.2-0, libtss2-rc0, libtss2-mu0, libtss2-tcti-device0; Fedora: tpm2-tss), or leave tpm2 out", volumes[0].Name, name)
	}
	early := slices.DeleteFunc(volumes, func(v sealed) bool { return !v.Early })
	switch {
	case len(early) == 0:
		return nil
	case exists(root, "usr/sbin/update-initramfs"):
		if name := missing(tokenPlugin); name != "" {
			return metal.Errorf(metal.Invalid, "volume %s is to be opened by the TPM before the system starts, and the root archive lacks %s (Debian: package systemd 252 or later), which initramfs-tools needs for that: put it in, or leave tpm2 out", early[0].Name, name)
		}
		return putAll(root, 0o755, map[string]string{
			"etc/initramfs-tools/hooks/metal-tpm2":             initramfsHook(),
			"etc/initramfs-tools/scripts/local-top/metal-tpm2": initramfsScript(early),
		})
	default:
		return putAll(root, 0o644, map[string]string{
			"etc/dracut.conf.d/90-metal-tpm2.conf": lines("Volumes that the TPM opens", []string{`add_dracutmodules+=" crypt tpm2-tss "`, `install_items+=" /etc/crypttab "`}),
		})
	}
}

func putAll(root *os.Root, mode os.FileMode, files map[string]string) error {
	for name, content := range files {
		if err := put(root, name, content, mode); err != nil {
			return fmt.Errorf("write %s of the system: %w", name, err)
		}
	}
	return nil
}

// libraryFolders are those that a system keeps its libraries in: Debian's are named after the architecture.
func libraryFolders(root *os.Root) ([]string, error) {
	folders := []string{"usr/lib64", "usr/lib"}
	named, err := fs.Glob(root.FS(), "usr/lib/*-linux-gnu*")
	if err != nil {
		return nil, fmt.Errorf("look for the system's libraries: %w", err)
	}
	return append(folders, named...), nil
}

func exists(root *os.Root, name string) bool {
	_, err := root.Lstat(name)
	return err == nil
}

// initramfsHook puts the libraries into each initramfs that initramfs-tools(7) makes.
func initramfsHook() string {
	return `#!/bin/sh
# Written when the system was installed: what opening volumes by the TPM takes.
case "${1-}" in
prereqs) echo cryptroot; exit 0 ;;
esac
. /usr/share/initramfs-tools/hook-functions
for name in ` + strings.Join(append([]string{tokenPlugin}, tpmLibraries()...), " ") + `; do
	for folder in /usr/lib64 /usr/lib /usr/lib/*-linux-gnu*; do
		if [ -e "$folder/$name" ]; then
			copy_exec "$folder/$name"
		fi
	done
done
manual_add_modules tpm_tis tpm_crb
`
}

// initramfsScript opens the volumes before the script that would ask for a passphrase, which runs last of its stage.
// It asks where the TPM refuses, so that a changed machine can still be opened by its key.
func initramfsScript(volumes []sealed) string {
	var list strings.Builder
	for _, v := range volumes {
		fmt.Fprintf(&list, "open_sealed %s %s\n", v.Name, v.UUID)
	}
	return `#!/bin/sh
# Written when the system was installed: opens volumes by the TPM.
case "${1-}" in
prereqs) exit 0 ;;
esac

# appears FILE: waits for a device, for no more than half a minute.
appears() {
	i=0
	while [ ! -e "$1" ]; do
		[ "$i" -lt 300 ] || return 1
		i=$((i + 1))
		sleep 0.1
	done
}

# open_sealed NAME UUID
open_sealed() {
	[ ! -e "/dev/mapper/$1" ] || return 0
	if ! appears /dev/tpmrm0; then
		echo "metal: there is no TPM 2.0 to open $1 with"
	elif ! appears "/dev/disk/by-uuid/$2"; then
		echo "metal: the disk of $1 is not there yet"
	elif ! cryptsetup open --token-only --token-type systemd-tpm2 --allow-discards "/dev/disk/by-uuid/$2" "$1"; then
		echo "metal: the TPM does not open $1: the machine is not as it was when it was installed"
	else
		echo "metal: the TPM opened $1"
	fi
}

modprobe -q tpm_tis
modprobe -q tpm_crb
modprobe -q dm_crypt
mkdir -p -m 0700 /run/cryptsetup
` + list.String()
}
