package bootenv

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
)

// contents lists the initramfs. A folder comes before what is in it.
func contents(release string, agent []byte, modules []kept) []entry {
	dir := path.Join("lib/modules", release)
	dep, alias := indexes(modules)
	files := []entry{
		{name: "dev/console", mode: modeDevice | 0o600, major: 5, minor: 1}, // the kernel opens it before /init runs
		{name: "init", mode: modeFile | 0o755, data: agent},
		{name: "modprobe", mode: modeLink | 0o777, data: []byte("init")}, // the kernel calls it when it misses a module
		{name: dir + "/modules.dep", mode: modeFile | 0o644, data: dep},
		{name: dir + "/modules.alias", mode: modeFile | 0o644, data: alias},
	}
	for _, k := range modules {
		files = append(files, entry{name: path.Join(dir, k.path), mode: modeFile | 0o644, data: k.data})
	}
	var all []entry
	made := map[string]bool{".": true}
	var mkdir func(name string)
	mkdir = func(name string) {
		if !made[name] {
			mkdir(path.Dir(name))
			made[name] = true
			all = append(all, entry{name: name, mode: modeDir | 0o755})
		}
	}
	for _, name := range []string{"dev", "etc", "mnt", "proc", "run", "sys", "tmp"} {
		mkdir(name)
	}
	for _, f := range files {
		mkdir(path.Dir(f.name))
		all = append(all, f)
	}
	return all
}

// write leaves the three files, the manifest last: a folder with a manifest is whole.
func write(ctx context.Context, o Options, m *Manifest, kernel []byte, files []entry) error {
	if err := os.MkdirAll(o.OutDir, 0o755); err != nil {
		return fmt.Errorf("make the folder for the RAM environment: %w", err)
	}
	if err := replace(filepath.Join(o.OutDir, KernelFile), func(w io.Writer) error {
		_, err := w.Write(kernel)
		return err
	}); err != nil {
		return err
	}
	sum := sha256.New()
	var size counter
	if err := replace(filepath.Join(o.OutDir, InitramfsFile), func(w io.Writer) error {
		w = io.MultiWriter(w, sum, &size)
		if !o.Compress {
			return writeCPIO(w, files)
		}
		packed, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1))
		if err != nil {
			return err
		}
		if err := writeCPIO(packed, files); err != nil {
			return err
		}
		return packed.Close()
	}); err != nil {
		return err
	}
	m.InitramfsSHA256, m.InitramfsBytes = hex.EncodeToString(sum.Sum(nil)), int64(size)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return replace(filepath.Join(o.OutDir, ManifestFile), func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(m)
	})
}

// replace writes a file beside its place and renames it: a server that hands the old one out is not disturbed.
func replace(name string, fill func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".new-")
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(name), err)
	}
	defer os.Remove(f.Name()) // fails once it is renamed
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	if err := fill(w); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(name), err)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(name), err)
	}
	if err := f.Chmod(0o644); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(name), err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(name), err)
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(name), err)
	}
	return nil
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

func digest(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}
