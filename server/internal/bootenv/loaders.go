package bootenv

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"path"
	"path/filepath"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// A loader is what arm64 machines boot from the network by: a package of Debian's, and the file that is wanted of it.
type loader struct{ pkg, file string }

// arm64Loaders are those, for Debian has no iPXE for arm64.
func arm64Loaders() []loader {
	return []loader{{"shim-signed", "shimaa64.efi.signed"}, {"grub-efi-arm64-signed", "grubnetaa64.efi.signed"}}
}

// FetchLoaders puts shim and the network GRUB for arm64 into outDir, which Build has made. Packages come as FetchKernel's
// do, and are kept in cacheDir.
func FetchLoaders(ctx context.Context, outDir, cacheDir string) error {
	loaders := arm64Loaders()
	packages := make([]string, len(loaders))
	for i, l := range loaders {
		packages[i] = l.pkg
	}
	debs, err := FetchPackages(ctx, metal.ARM64, cacheDir, packages...)
	if err != nil {
		return err
	}
	for i, deb := range debs {
		if err := openDeb(deb, func(r io.Reader) error { return copyFile(r, loaders[i].file, outDir) }); err != nil {
			return err
		}
	}
	return nil
}

// copyFile copies the first file of a package's tar that has this name in whatever folder. Links are passed over: what
// they lead to is in the package as well.
func copyFile(r io.Reader, wanted, outDir string) error {
	for files := tar.NewReader(r); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return metal.Errorf(metal.Invalid, "the package has no %s", wanted)
		}
		if err != nil {
			return err
		}
		if h.Typeflag == tar.TypeReg && path.Base(h.Name) == wanted {
			return replace(filepath.Join(outDir, wanted), func(w io.Writer) error {
				_, err := io.Copy(w, files)
				return err
			})
		}
	}
}
