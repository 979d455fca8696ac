package bootenv

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/blakesmith/ar"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// unpackDeb writes the kernel and the modules of a Debian package (deb(5)) below dir, and nothing else of it.
func unpackDeb(ctx context.Context, deb, dir string) error {
	return openDeb(deb, func(r io.Reader) error { return unpackTar(ctx, r, dir) })
}

// openDeb calls use with the tar of a package's files.
func openDeb(deb string, use func(io.Reader) error) error {
	f, err := os.Open(deb)
	if err != nil {
		return fmt.Errorf("open package: %w", err)
	}
	defer f.Close()
	members := ar.NewReader(f)
	for {
		h, err := members.Next()
		if errors.Is(err, io.EOF) {
			return metal.Errorf(metal.Invalid, "%s is not a Debian package: it has no data.tar", filepath.Base(deb))
		}
		if err != nil {
			return metal.Errorf(metal.Invalid, "%s is not a Debian package: %w", filepath.Base(deb), err)
		}
		name := strings.TrimSuffix(h.Name, "/")
		if !strings.HasPrefix(name, "data.tar") {
			continue
		}
		// Buffered, for the xz reader asks for single bytes.
		plain, err := unpack(path.Ext(name), bufio.NewReaderSize(members, 1<<20))
		if err != nil {
			return fmt.Errorf("unpack %s of %s: %w", name, filepath.Base(deb), err)
		}
		if err := use(plain); err != nil {
			return fmt.Errorf("unpack %s of %s: %w", name, filepath.Base(deb), err)
		}
		return nil
	}
}

// unpackTar writes the wanted files of a tar below dir. Debian's kernels hold modules in lib/ or in usr/lib/.
func unpackTar(ctx context.Context, r io.Reader, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for files := tar.NewReader(r); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
		name = strings.TrimPrefix(name, "usr/")
		if h.Typeflag != tar.TypeReg || !wanted(name) {
			continue
		}
		if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
			return err
		}
		out, err := root.Create(name)
		if err != nil {
			return err
		}
		_, err = io.Copy(out, files)
		if err := errors.Join(err, out.Close()); err != nil {
			return err
		}
	}
}

func wanted(name string) bool {
	return strings.HasPrefix(name, "boot/vmlinu") ||
		strings.HasPrefix(name, "lib/modules/") && (isModule(name) || path.Base(name) == "modules.builtin")
}
