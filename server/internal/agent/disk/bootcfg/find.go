package bootcfg

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode"
)

// ErrNone says that a file system holds no kernel that could be found.
var ErrNone = errors.New("no boot configuration and no kernel")

// Find returns what would be started from a file system, with paths that exist in it, as fs.FS names them. It looks at
// grub.cfg; where that starts no kernel itself, as with GRUB's blscfg, at Boot Loader Specification entries, the newest
// first; and last at the newest vmlinuz with its initramfs: that one has no command line. A separate /boot is found as well as a root.
func Find(fsys fs.FS) (Entry, error) {
	for _, prefix := range []string{"boot", ".", "@/boot", "root/boot"} {
		env := ParseEnv(read(fsys, path.Join(prefix, "grub2/grubenv")) + read(fsys, path.Join(prefix, "grub/grubenv")))
		for _, name := range []string{"grub/grub.cfg", "grub2/grub.cfg"} {
			config := read(fsys, path.Join(prefix, name))
			e, ok := ParseGRUB(config, env)
			if ok && resolve(fsys, prefix, &e) {
				return e, nil
			}
		}
		for _, text := range entries(fsys, path.Join(prefix, "loader/entries")) {
			e, ok := ParseBLS(text, env)
			if ok && resolve(fsys, prefix, &e) {
				return e, nil
			}
		}
	}
	for _, prefix := range []string{"boot", ".", "@/boot", "root/boot"} {
		if e, ok := newest(fsys, prefix); ok {
			return e, nil
		}
	}
	return Entry{}, ErrNone
}

// resolve replaces an entry's paths by those in this file system: as written, below the boot directory, or beside it
// where the writer's root was another (a separate /boot, a subvolume).
func resolve(fsys fs.FS, prefix string, e *Entry) bool {
	find := func(name string) string {
		name = strings.TrimLeft(path.Clean("/"+name), "/")
		for _, p := range []string{name, path.Join(prefix, name), path.Join(prefix, path.Base(name))} {
			if info, err := fs.Stat(fsys, p); err == nil && info.Mode().IsRegular() {
				return p
			}
		}
		return ""
	}
	if e.Kernel = find(e.Kernel); e.Kernel == "" {
		return false
	}
	for i, name := range e.Initrds {
		if e.Initrds[i] = find(name); e.Initrds[i] == "" {
			return false
		}
	}
	return true
}

// entries returns the contents of a directory's *.conf files, the newest version first.
func entries(fsys fs.FS, dir string) []string {
	list, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return nil
	}
	var names, texts []string
	for _, e := range list {
		// A rescue entry has "0-rescue" where others have a version.
		if strings.HasSuffix(e.Name(), ".conf") && !strings.Contains(e.Name(), "rescue") {
			names = append(names, e.Name())
		}
	}
	slices.SortFunc(names, func(a, b string) int { return CompareVersions(b, a) })
	for _, n := range names {
		texts = append(texts, read(fsys, path.Join(dir, n)))
	}
	return texts
}

// newest returns the kernel with the highest version in a directory, and the initramfs of the same version.
func newest(fsys fs.FS, dir string) (Entry, bool) {
	list, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return Entry{}, false
	}
	best := ""
	for _, e := range list {
		version, ok := strings.CutPrefix(e.Name(), "vmlinuz-")
		if ok && !strings.Contains(version, "rescue") && (best == "" || CompareVersions(version, best) > 0) {
			best = version
		}
	}
	if best == "" {
		return Entry{}, false
	}
	e := Entry{Kernel: path.Join(dir, "vmlinuz-"+best)}
	for _, name := range []string{"initrd.img-" + best, "initramfs-" + best + ".img", "initrd-" + best} {
		if _, err := fs.Stat(fsys, path.Join(dir, name)); err == nil {
			e.Initrds = []string{path.Join(dir, name)}
			break
		}
	}
	return e, true
}

// CompareVersions orders texts so that runs of digits count as numbers: 6.1.0-9 is before 6.1.0-10.
func CompareVersions(a, b string) int {
	for a != "" && b != "" {
		x, y := leading(a), leading(b)
		a, b = a[len(x):], b[len(y):]
		if digits(x) && digits(y) {
			x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
			if len(x) != len(y) {
				return len(x) - len(y)
			}
		}
		if c := strings.Compare(x, y); c != 0 {
			return c
		}
	}
	return len(a) - len(b)
}

func digits(s string) bool { return s != "" && s[0] >= '0' && s[0] <= '9' }

// leading returns the longest prefix that is all digits, or has none.
func leading(s string) string {
	for i, r := range s {
		if (unicode.IsDigit(r) && r < 0x80) != digits(s) {
			return s[:i]
		}
	}
	return s
}

// read returns a file's text, or "" when it cannot be read or is too large to be a configuration.
func read(fsys fs.FS, name string) string {
	f, err := fsys.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil || len(b) > maxConfig {
		return ""
	}
	return string(b)
}
