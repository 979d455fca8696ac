package layout

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// A mountPoint is one place in the target, and what is there.
type mountPoint struct {
	path, subvolume, at string
	fs                  *filesystem
	options             []string
}

const efiPath = "/boot/efi"

var (
	// Words go into fstab and mkfs as they are. A slash is no part of an argument of mkfs, so that none names a device.
	pathText   = regexp.MustCompile(`^/[A-Za-z0-9._@+/-]*$`)
	optionText = regexp.MustCompile(`^[A-Za-z0-9_.:=/@%+-]{1,128}$`)
	mkfsText   = regexp.MustCompile(`^[A-Za-z0-9_.,:=^+@-]{1,128}$`)
	labelText  = regexp.MustCompile(`^[A-Za-z0-9_.-]*$`)
	subvolText = regexp.MustCompile(`^[A-Za-z0-9_.@-]{1,64}$`)
	// rootOnly are folders that have to be on the root file system, or that the kernel fills.
	rootOnly = regexp.MustCompile(`^/(etc|bin|sbin|lib|lib32|lib64|proc|sys|dev|run)(/|$)`)
)

// limits are the longest label of each type, and the least size it can be made in.
func limits(fsType string) (label int, least int64, ok bool) {
	switch fsType {
	case "ext4":
		return 16, 16 * mib, true
	case "xfs":
		return 12, 300 * mib, true
	case "btrfs":
		return 64, 128 * mib, true
	case "vfat":
		return 11, 34 * mib, true
	default:
		return 0, 0, false
	}
}

// checkMounts checks file systems, and that what is mounted can start a system.
func (g *graph) checkMounts() error {
	for _, f := range g.fs {
		if err := g.checkFilesystem(f); err != nil {
			return err
		}
	}
	for _, s := range g.swaps {
		if d := g.byName[s.device]; d.partition != nil && d.partition.Use != "" {
			return refuse(s.at+".device", "%s is for the firmware (%s), and for nothing else", d.name, d.partition.Use)
		}
	}
	seen := map[string]mountPoint{}
	for _, m := range g.mounts() {
		if other, ok := seen[m.path]; ok {
			return refuse(m.at+".mount", "%s is mounted on %s already", other.at, m.path)
		}
		seen[m.path] = m
		if err := checkMount(m); err != nil {
			return err
		}
	}
	root, ok := seen["/"]
	if !ok {
		return refuse("storage.filesystems", "nothing is mounted on /; give one file system the mount /")
	}
	boot, ok := seen["/boot"]
	if !ok {
		boot = root
	}
	for _, m := range []mountPoint{root, boot} {
		if m.fs.Type == "vfat" {
			return refuse(m.at+".type", "%s cannot be vfat, which has no links and no owners; take ext4", m.path)
		}
	}
	for _, d := range g.ground(g.byName[boot.fs.Device]) {
		if d.kind == anEncrypt {
			return refuse(boot.at, "the kernel would be on %s, which is encrypted and which no boot loader opens; mount a file system of its own on /boot", d.name)
		}
	}
	return nil
}

func (g *graph) checkFilesystem(f *filesystem) error {
	f.Type = or(f.Type, "ext4")
	most, _, ok := limits(f.Type)
	d := g.byName[f.Device]
	esp := d.partition != nil && d.partition.Use == "esp"
	switch {
	case !ok:
		return refuse(f.at+".type", "there is no type %q; it is one of ext4, xfs, btrfs and vfat", f.Type)
	case len(f.Label) > most || !labelText.MatchString(f.Label):
		return refuse(f.at+".label", "%q is not a label of %s: at most %d of letters, digits, dot, - and _", f.Label, f.Type, most)
	case len(f.Subvolumes) > 0 && f.Type != "btrfs":
		return refuse(f.at+".subvolumes", "%s has no subvolumes; only btrfs has", f.Type)
	case d.partition != nil && d.partition.Use == "bios_boot":
		return refuse(f.at+".device", "%s is for the firmware (bios_boot), and for nothing else", d.name)
	case esp && f.Type != "vfat":
		return refuse(f.at+".type", "%s is an ESP, which firmware reads as vfat only", d.name)
	case esp && f.Mount != "" && f.Mount != efiPath:
		return refuse(f.at+".mount", "an ESP is mounted on %s, not on %s", efiPath, f.Mount)
	case !esp && f.Mount == efiPath:
		return refuse(f.at+".mount", "what is mounted on %s is an ESP; set use = \"esp\" on its partition, or leave it out: it is made by itself", efiPath)
	case d.encrypt != nil && d.encrypt.Random:
		return refuse(f.at+".device", "%s has a new key at each start, which loses the content: it is for swap only", d.name)
	}
	for i, o := range f.MkfsOptions {
		if !mkfsText.MatchString(o) {
			return refuse(f.at+".mkfs_options", "argument %d, %q, has a character that none of mkfs's needs", i, o)
		}
	}
	var names []string
	for _, s := range f.Subvolumes {
		if !subvolText.MatchString(s.Name) || strings.Trim(s.Name, ".") == "" || slices.Contains(names, s.Name) {
			return refuse(f.at+".subvolumes", "%q is not the name of a subvolume, or is there twice", s.Name)
		}
		names = append(names, s.Name)
	}
	return nil
}

func checkMount(m mountPoint) error {
	switch {
	case !pathText.MatchString(m.path) || path.Clean(m.path) != m.path || len(m.path) > 255:
		return refuse(m.at+".mount", "%q is not a path as in /srv/data, without . and .., double or last slashes", m.path)
	case rootOnly.MatchString(m.path):
		return refuse(m.at+".mount", "%s has to be part of the root file system, or is the kernel's", m.path)
	}
	for _, o := range m.options {
		if !optionText.MatchString(o) {
			return refuse(m.at+".mount_options", "%q is not one mount option", o)
		}
	}
	return nil
}

// mounts are the mount points of the target, sorted so that each comes after the one it is in.
func (g *graph) mounts() []mountPoint {
	var list []mountPoint
	for _, f := range g.fs {
		if f.Mount != "" {
			list = append(list, mountPoint{f.Mount, "", f.at, f, f.MountOptions})
		}
		for _, s := range f.Subvolumes {
			if s.Mount != "" {
				list = append(list, mountPoint{s.Mount, s.Name, f.at + ".subvolumes " + s.Name, f, s.MountOptions})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b mountPoint) int { return strings.Compare(a.path, b.path) })
	return list
}

// ground is a device and everything it is made of.
func (g *graph) ground(d *device) []*device {
	list := []*device{d}
	for i := 0; i < len(list); i++ {
		for _, b := range list[i].below {
			if !slices.Contains(list, b) {
				list = append(list, b)
			}
		}
	}
	return list
}

// mounted is the mount point of a path, or of root where nothing of its own is mounted there.
func (g *graph) mounted(at string) mountPoint {
	var root mountPoint
	for _, m := range g.mounts() {
		if m.path == at {
			return m
		}
		if m.path == "/" {
			root = m
		}
	}
	return root
}
