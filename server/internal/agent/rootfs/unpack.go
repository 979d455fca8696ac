// Package rootfs lays the files of an operating system out on mounted file systems, from a tar stream that need not
// be trusted: whatever an archive says, nothing outside the target is touched.
package rootfs

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Bounds of an archive. A full Debian desktop has 300,000 files; the kernel takes no longer names.
const (
	maxEntries = 4_000_000
	maxName    = unix.PathMax - 1
	// maxLate is how many folders get their time stamps back; what is made in them later would change them.
	maxLate = 1_000_000
)

// Unpack lays out a tar stream (ustar, PAX or GNU; not compressed) below the folder dir, as root: owners, modes,
// times, hard links, holes, extended attributes and ACLs are kept. An entry replaces what an earlier one of its name
// left. Device nodes are made in dev/ only, and sockets nowhere.
//
// Paths are resolved as in a chroot: a link in the archive leads nowhere but below dir. Names with "..", devices
// elsewhere, hard links to what is not there, and sizes beyond the above are refused with code Invalid; the error
// names the entry. When ctx ends, Unpack stops.
func Unpack(ctx context.Context, r io.Reader, dir string) error {
	root, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s to unpack into: %w", dir, err)
	}
	defer unix.Close(root)
	u := &unpacker{root: root, buffer: make([]byte, 256<<10)}
	files := tar.NewReader(r)
	for n := 0; ; n++ {
		if ctx.Err() != nil {
			return metal.Errorf(metal.Conflict, "unpack the root archive: called off after %d files: %w", n, ctx.Err())
		}
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return u.finish()
		}
		if err != nil {
			return metal.Errorf(metal.Invalid, "unpack the root archive: after %d files: %w", n, err)
		}
		if n == maxEntries {
			return metal.Errorf(metal.Invalid, "unpack the root archive: it has more than %d files", maxEntries)
		}
		if err := u.entry(h, files); err != nil {
			code := metal.Invalid
			if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EIO) {
				code = metal.Internal
			}
			return metal.Errorf(code, "unpack %s from the root archive: %w", printable(h.Name), err)
		}
	}
}

// printable quotes a name that may hold anything, and shortens it.
func printable(name string) string {
	if len(name) > 200 {
		name = name[:200] + "…"
	}
	return fmt.Sprintf("%q", name)
}

// late is a folder whose time stamps are set at the end.
type late struct {
	name string
	when time.Time
}

type unpacker struct {
	root   int
	late   []late
	buffer []byte
}

// clean returns the entry's path below the root, "" for the root itself.
func clean(name string) (string, error) {
	if name == "" || len(name) > maxName || strings.ContainsRune(name, 0) {
		return "", errors.New("its name is empty, too long, or has a zero byte")
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", errors.New("its name leads upwards")
		}
		if len(part) > unix.NAME_MAX {
			return "", fmt.Errorf("a part of its name has %d bytes, more than file systems take", len(part))
		}
	}
	return strings.TrimPrefix(path.Clean("/"+name), "/"), nil
}

// entry makes one entry.
func (u *unpacker) entry(h *tar.Header, content io.Reader) error {
	switch h.Typeflag {
	case tar.TypeXGlobalHeader:
		return nil
	case tar.TypeReg, tar.TypeDir, tar.TypeSymlink, tar.TypeLink, tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
	default:
		return fmt.Errorf("its kind %q is not known", h.Typeflag)
	}
	name, err := clean(h.Name)
	if err != nil {
		return err
	}
	if name == "" {
		if h.Typeflag != tar.TypeDir {
			return errors.New("it would replace the root folder")
		}
		u.late = append(u.late, late{".", h.ModTime})
		return u.attributes(u.root, ".", h)
	}
	if device := h.Typeflag == tar.TypeChar || h.Typeflag == tar.TypeBlock; device && !strings.HasPrefix(name, "dev/") {
		return errors.New("it is a device outside of dev/")
	}
	parent, err := u.open(path.Dir(name))
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	base := path.Base(name)
	if err := u.make(parent, base, h, content); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeLink {
		return nil // what it is linked to has its attributes
	}
	if h.Typeflag == tar.TypeDir && len(u.late) < maxLate {
		u.late = append(u.late, late{name, h.ModTime})
	}
	return u.attributes(parent, base, h)
}

// open opens a folder below the root, and makes those parts of it that are not there.
func (u *unpacker) open(name string) (int, error) {
	how := &unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	fd, err := unix.Openat2(u.root, name, how)
	if !errors.Is(err, unix.ENOENT) || name == "." {
		return fd, err
	}
	parent, err := u.open(path.Dir(name))
	if err != nil {
		return -1, err
	}
	defer unix.Close(parent)
	if err := unix.Mkdirat(parent, path.Base(name), 0o755); err != nil {
		return -1, err // a dangling link is EEXIST
	}
	return unix.Openat2(parent, path.Base(name), &unix.OpenHow{Flags: how.Flags, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS})
}

// make makes the thing itself in the place of whatever has its name. A folder stays if there is one.
func (u *unpacker) make(parent int, base string, h *tar.Header, content io.Reader) error {
	if h.Typeflag == tar.TypeDir {
		err := unix.Mkdirat(parent, base, 0o700)
		if !errors.Is(err, unix.EEXIST) {
			return err
		}
		var st unix.Stat_t
		if err := unix.Fstatat(parent, base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return err
		}
		if st.Mode&unix.S_IFMT == unix.S_IFDIR {
			return nil
		}
		// Of an archive that was put together in layers, with lib/ over a system where lib is a link: replacing the link
		// would break that system, going through it would change what the archive does not name.
		if st.Mode&unix.S_IFMT == unix.S_IFLNK {
			return errors.New("it is a folder, and a link of its name is there")
		}
	}
	if h.Typeflag == tar.TypeLink {
		return u.link(parent, base, h.Linkname)
	}
	if err := remove(parent, base); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return unix.Mkdirat(parent, base, 0o700)
	case tar.TypeSymlink:
		return unix.Symlinkat(h.Linkname, parent, base)
	case tar.TypeFifo:
		return unix.Mknodat(parent, base, unix.S_IFIFO|0o600, 0)
	case tar.TypeChar, tar.TypeBlock:
		kind := uint32(unix.S_IFCHR)
		if h.Typeflag == tar.TypeBlock {
			kind = unix.S_IFBLK
		}
		if h.Devmajor < 0 || h.Devminor < 0 || h.Devmajor > 4095 || h.Devminor > 1<<20-1 {
			return errors.New("its device numbers are out of range")
		}
		return unix.Mknodat(parent, base, kind|0o600, int(unix.Mkdev(uint32(h.Devmajor), uint32(h.Devminor))))
	}
	return u.file(parent, base, h.Size, content)
}

// remove takes away what has a name: a folder only when it is empty.
func remove(parent int, base string) error {
	err := unix.Unlinkat(parent, base, 0)
	if errors.Is(err, unix.EISDIR) {
		err = unix.Unlinkat(parent, base, unix.AT_REMOVEDIR)
	}
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

// link makes a hard link to an entry that came earlier.
func (u *unpacker) link(parent int, base, target string) error {
	name, err := clean(target)
	if err != nil || name == "" {
		return fmt.Errorf("it is a hard link to %s, which is no file of the archive", printable(target))
	}
	from, err := u.open(path.Dir(name))
	if err != nil {
		return fmt.Errorf("it is a hard link to %s, whose folder cannot be opened: %w", printable(target), err)
	}
	defer unix.Close(from)
	var old, now unix.Stat_t
	if err := unix.Fstatat(from, path.Base(name), &old, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("it is a hard link to %s, which did not come before it: %w", printable(target), err)
	}
	if err := unix.Fstatat(parent, base, &now, unix.AT_SYMLINK_NOFOLLOW); err == nil && now.Ino == old.Ino && now.Dev == old.Dev {
		return nil // to itself, or made before
	}
	if err := remove(parent, base); err != nil {
		return err
	}
	return unix.Linkat(from, path.Base(name), parent, base, 0)
}

// attributes sets owner, mode, extended attributes and time of what was made.
func (u *unpacker) attributes(parent int, base string, h *tar.Header) error {
	if err := unix.Fchownat(parent, base, h.Uid, h.Gid, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("give it to user %d and group %d: %w", h.Uid, h.Gid, err)
	}
	// Not for links, which have no mode; and after the owner, whose change takes set-user-id away.
	if h.Typeflag != tar.TypeSymlink {
		if err := unix.Fchmodat(parent, base, uint32(h.Mode)&0o7777, 0); err != nil {
			return fmt.Errorf("set its mode: %w", err)
		}
	}
	if err := setAttributes(parent, base, h); err != nil {
		return err
	}
	return setTime(parent, base, h.ModTime)
}

func setTime(parent int, base string, when time.Time) error {
	ts, err := unix.TimeToTimespec(when)
	if err != nil {
		return nil // a year that the kernel cannot say: the present will do
	}
	if err := unix.UtimesNanoAt(parent, base, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("set its time: %w", err)
	}
	return nil
}

// finish gives folders their times back, the last ones first.
func (u *unpacker) finish() error {
	for i := len(u.late) - 1; i >= 0; i-- {
		err := setTime(u.root, u.late[i].name, u.late[i].when)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) { // replaced later
			return fmt.Errorf("finish folder %s: %w", printable(u.late[i].name), err)
		}
	}
	return nil
}
