package fat

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"
)

const (
	attrLongName = 0x0F
	unitsPerLong = 13
	lastLong     = 0x40
)

// names are the directory records of one file's name.
type names struct {
	short string // 11 characters, padded
	long  []byte // entries of the long name, in the order on disk; before the short one
}

// nameRecords makes a short alias that is not yet in taken, and the long-name entries. Every file gets both, so that
// lower case is kept.
func nameRecords(name string, taken map[string]bool) (names, error) {
	units := utf16.Encode([]rune(name))
	if name == "" || name == "." || name == ".." || len(units) > 255 || strings.ContainsAny(name, "\"*/:<>?\\|") ||
		strings.HasSuffix(name, " ") || strings.HasSuffix(name, ".") ||
		strings.ContainsFunc(name, func(r rune) bool { return r < 0x20 || r == 0xFFFD }) {
		return names{}, fmt.Errorf("file name %q is not possible in FAT", name)
	}
	// Case does not count in FAT: two names that differ only there would be one.
	key := "long " + strings.ToUpper(name)
	if taken[key] {
		return names{}, fmt.Errorf("file name %q is there twice in another case", name)
	}
	taken[key] = true
	short := alias(name, taken)
	taken[short] = true
	return names{short, longEntries(units, checksum(short))}, nil
}

// alias returns a free short name such as "USER-D~1   " (specification, "basis-name generation").
func alias(name string, taken map[string]bool) string {
	base, ext := name, ""
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		base, ext = name[:i], name[i+1:]
	}
	base, ext = shortChars(base), shortChars(ext)
	if base == "" {
		base = "_"
	}
	for n := 1; ; n++ {
		tail := fmt.Sprintf("~%d", n)
		short := fmt.Sprintf("%-8s%-3.3s", base[:min(len(base), 8-len(tail))]+tail, ext)
		if !taken[short] {
			return short
		}
	}
}

func shortChars(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("$%'-_@~`!(){}^#&", r):
			return r
		case r == ' ' || r == '.':
			return -1
		}
		return '_'
	}, s)
}

// checksum ties long entries to their short one (specification, ChkSum).
func checksum(short string) byte {
	var sum byte
	for i := range len(short) {
		sum = sum>>1 | sum<<7
		sum += short[i]
	}
	return sum
}

// longEntries splits a name in pieces of 13 units, the last piece first.
func longEntries(units []uint16, sum byte) []byte {
	count := (len(units) + unitsPerLong - 1) / unitsPerLong
	var out []byte
	for n := count; n > 0; n-- {
		b := make([]byte, entryBytes)
		b[0], b[11], b[13] = byte(n), attrLongName, sum
		if n == count {
			b[0] |= lastLong
		}
		for i := range unitsPerLong {
			at := (n-1)*unitsPerLong + i
			u := uint16(0xFFFF)
			switch {
			case at < len(units):
				u = units[at]
			case at == len(units):
				u = 0
			}
			binary.LittleEndian.PutUint16(b[longOffset(i):], u)
		}
		out = append(out, b...)
	}
	return out
}

// longOffset is where unit i lies in a long entry: three runs of 5, 6 and 2.
func longOffset(i int) int {
	switch {
	case i < 5:
		return 1 + 2*i
	case i < 11:
		return 14 + 2*(i-5)
	}
	return 28 + 2*(i-11)
}
