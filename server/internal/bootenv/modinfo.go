package bootenv

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// modinfo is what a module tells about itself.
type modinfo struct {
	depends []string // names, in no order
	aliases []string
	softPre []string // wanted, if there, before it
}

// readModinfo reads the .modinfo section of a module: strings "key=value", each ended by a zero byte.
func readModinfo(module []byte) (modinfo, error) {
	f, err := elf.NewFile(bytes.NewReader(module))
	if err != nil {
		return modinfo{}, fmt.Errorf("read module: %w", err)
	}
	section := f.Section(".modinfo")
	if section == nil {
		return modinfo{}, fmt.Errorf("read module: it has no .modinfo section")
	}
	raw, err := section.Data()
	if err != nil {
		return modinfo{}, fmt.Errorf("read module: %w", err)
	}
	return parseModinfo(raw), nil
}

func parseModinfo(raw []byte) modinfo {
	var m modinfo
	for item := range strings.SplitSeq(string(raw), "\x00") {
		key, value, _ := strings.Cut(item, "=")
		switch key {
		case "depends":
			m.depends = append(m.depends, strings.FieldsFunc(value, func(r rune) bool { return r == ',' })...)
		case "alias":
			// depmod leaves such names out as well: modules.alias is split at blanks.
			if value != "" && !strings.ContainsAny(value, " \t\n") {
				m.aliases = append(m.aliases, value)
			}
		case "softdep":
			pre, _, _ := strings.Cut(value, "post:")
			if _, names, ok := strings.Cut(pre, "pre:"); ok {
				m.softPre = append(m.softPre, strings.Fields(names)...)
			}
		}
	}
	return m
}

// readModule reads a module from fsys, unpacked: Debian 13 and others compress them, and the kernel would unpack
// them again at every boot, where it can.
func readModule(fsys fs.FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open module: %w", err)
	}
	defer f.Close()
	plain, err := unpack(path.Ext(name), f)
	if err != nil {
		return nil, fmt.Errorf("unpack module %s: %w", name, err)
	}
	raw, err := io.ReadAll(plain)
	if err != nil {
		return nil, fmt.Errorf("read module %s: %w", name, err)
	}
	return raw, nil
}

// unpack returns what r holds, decompressed by what the file's name ends in.
func unpack(extension string, r io.Reader) (io.Reader, error) {
	switch extension {
	case ".xz":
		return xz.NewReader(r)
	case ".zst":
		d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	case ".gz":
		return gzip.NewReader(r)
	}
	return r, nil
}
