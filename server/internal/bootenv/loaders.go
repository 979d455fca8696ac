package bootenv

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// loaderFiles are what arm64 machines boot from the network by, named as Debian's packages have them, and what packages
// those are. Debian has no iPXE for arm64.
func loaderFiles() (packages []string, files []string) {
	return []string{"shim-signed", "grub-efi-arm64-signed"}, []string{"shimaa64.efi.signed", "grubnetaa64.efi.signed"}
}

// FetchLoaders puts shim and the network GRUB for arm64 into outDir, which is made when it is not there. Packages come
// as FetchKernel's do, and are kept in cacheDir.
func FetchLoaders(ctx context.Context, outDir, cacheDir string) error {
	packages, wanted := loaderFiles()
	debs, err := FetchPackages(ctx, metal.ARM64, cacheDir, packages...)
	if err != nil {
		return err
	}
	for _, deb := range debs {
		if err := openDeb(deb, func(r io.Reader) error { return copyLoaders(r, wanted, outDir) }); err != nil {
			return err
		}
	}
	return nil
}

// copyLoaders copies files of a package's tar by the last part of their names. Links are passed over: what they lead to
// is in the package as well.
func copyLoaders(r io.Reader, wanted []string, outDir string) error {
	found := false
	for files := tar.NewReader(r); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if name := path.Base(h.Name); h.Typeflag == tar.TypeReg && slices.Contains(wanted, name) {
			if err := replace(filepath.Join(outDir, name), func(w io.Writer) error {
				_, err := io.Copy(w, files)
				return err
			}); err != nil {
				return err
			}
			found = true
		}
	}
	if !found {
		return metal.Errorf(metal.Invalid, "the package has none of %s", strings.Join(wanted, ", "))
	}
	return nil
}
