package rootfs

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Names of PAX records: extended attributes as GNU tar, bsdtar and Go write them, ACLs in the text form of
// "tar --acls" (star's).
const (
	recordXattr      = "SCHILY.xattr."
	recordACL        = "SCHILY.acl.access"
	recordDefaultACL = "SCHILY.acl.default"

	attributeACL        = "system.posix_acl_access"
	attributeDefaultACL = "system.posix_acl_default"
)

// attributesOf returns the extended attributes of an entry. Those of other name spaces than the ones that systems
// keep are left out: overlayfs' own, for one, would change what a file is.
func attributesOf(h *tar.Header) (map[string][]byte, error) {
	found := map[string][]byte{}
	for key, value := range h.PAXRecords {
		name, is := strings.CutPrefix(key, recordXattr)
		switch {
		case is && (name == "security.capability" || name == "security.selinux" || name == "security.ima" ||
			strings.HasPrefix(name, "user.") || name == attributeACL || name == attributeDefaultACL):
			found[name] = []byte(value)
		case key == recordACL || key == recordDefaultACL:
			raw, err := encodeACL(value)
			if err != nil {
				return nil, err
			}
			if raw != nil {
				found[map[string]string{recordACL: attributeACL, recordDefaultACL: attributeDefaultACL}[key]] = raw
			}
		}
	}
	return found, nil
}

// setAttributes sets extended attributes in the order of their names. A file system that has none of them leaves
// them out, as tar does.
func setAttributes(parent int, base string, h *tar.Header) error {
	if h.Typeflag == tar.TypeSymlink {
		return nil // the kernel takes but trusted and security attributes there, which nobody uses
	}
	all, err := attributesOf(h)
	if err != nil {
		return err
	}
	// There is no call that takes a folder's descriptor and a name; the name was made just now, in that folder.
	name := fmt.Sprintf("/proc/self/fd/%d/%s", parent, base)
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if err := unix.Lsetxattr(name, key, all[key], 0); err != nil && !errors.Is(err, unix.ENOTSUP) {
			return fmt.Errorf("set its attribute %s: %w", key, err)
		}
	}
	return nil
}

// Tags of an ACL's entries and the version of its form (linux/posix_acl_xattr.h).
const (
	aclVersion  = 2
	aclUserObj  = 0x01
	aclUser     = 0x02
	aclGroupObj = 0x04
	aclGroup    = 0x08
	aclMask     = 0x10
	aclOther    = 0x20
	noID        = 0xFFFFFFFF
	maxACL      = 1024 // entries
)

type aclEntry struct {
	tag, perm uint16
	id        uint32
}

// encodeACL turns an ACL's text (acl(5); entries apart by commas or line ends, ids as numbers or as a fourth field
// behind the name) into the kernel's form. An empty text is none.
func encodeACL(text string) ([]byte, error) {
	var entries []aclEntry
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == '\n' }) {
		part, _, _ = strings.Cut(part, "#")
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		e, err := parseACLEntry(part)
		if err != nil {
			return nil, err
		}
		if entries = append(entries, e); len(entries) > maxACL {
			return nil, fmt.Errorf("its ACL has more than %d entries", maxACL)
		}
	}
	if entries == nil {
		return nil, nil
	}
	slices.SortFunc(entries, func(a, b aclEntry) int {
		if a.tag != b.tag {
			return int(a.tag) - int(b.tag)
		}
		return int(int64(a.id) - int64(b.id))
	})
	var raw bytes.Buffer
	le := binary.LittleEndian
	raw.Write(le.AppendUint32(nil, aclVersion))
	for _, e := range entries {
		raw.Write(le.AppendUint32(le.AppendUint16(le.AppendUint16(nil, e.tag), e.perm), e.id))
	}
	return raw.Bytes(), nil
}

func parseACLEntry(text string) (aclEntry, error) {
	fields := strings.Split(text, ":")
	if len(fields) < 3 || len(fields) > 4 {
		return aclEntry{}, fmt.Errorf("the entry %s of its ACL cannot be read", printable(text))
	}
	e := aclEntry{id: noID}
	named := fields[1] != ""
	switch fields[0] {
	case "user", "u":
		e.tag = aclUserObj
		if named {
			e.tag = aclUser
		}
	case "group", "g":
		e.tag = aclGroupObj
		if named {
			e.tag = aclGroup
		}
	case "mask", "m":
		e.tag = aclMask
	case "other", "o":
		e.tag = aclOther
	default:
		return aclEntry{}, fmt.Errorf("the entry %s of its ACL is of no known kind", printable(text))
	}
	if e.tag == aclUser || e.tag == aclGroup {
		id, err := strconv.ParseUint(fields[len(fields)-1], 10, 32)
		if len(fields) == 3 {
			id, err = strconv.ParseUint(fields[1], 10, 32)
		}
		if err != nil {
			return aclEntry{}, fmt.Errorf("the entry %s of its ACL has no number for whom it is: make the archive with --numeric-owner", printable(text))
		}
		e.id = uint32(id)
	}
	for _, r := range fields[2] {
		bit, ok := map[rune]uint16{'r': 4, 'w': 2, 'x': 1, '-': 0}[r]
		if !ok {
			return aclEntry{}, fmt.Errorf("the entry %s of its ACL has unknown permissions", printable(text))
		}
		e.perm |= bit
	}
	return e, nil
}
