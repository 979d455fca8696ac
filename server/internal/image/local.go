package image

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// openLocal opens a regular file below an allowed directory, whatever symbolic links lie on the way.
func (s *Store) openLocal(path string) (*os.File, int64, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		// Whether a path outside exists is nobody's business: the same answer as for one that does.
		if !s.allows(filepath.Clean(path)) {
			return nil, 0, s.notAllowed(path)
		}
		return nil, 0, localFault(path, err)
	}
	for _, dir := range s.opts.AllowedDirs {
		realDir, err := filepath.EvalSymlinks(dir)
		if err != nil {
			continue // a directory that is not there allows nothing
		}
		rel, err := filepath.Rel(realDir, real)
		if err != nil || !filepath.IsLocal(rel) {
			continue
		}
		// A Root follows no link out of it, so the path cannot be exchanged between the look and the opening.
		root, err := os.OpenRoot(realDir)
		if err != nil {
			return nil, 0, localFault(path, err)
		}
		defer root.Close()                                              //nolint:revive // the loop ends here
		f, err := root.OpenFile(rel, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO must not block
		if err != nil {
			return nil, 0, localFault(path, err)
		}
		info, err := f.Stat()
		if err == nil && !info.Mode().IsRegular() {
			err = metal.Errorf(metal.Invalid, "cannot import %s: it is not a regular file", path)
		}
		if err != nil {
			f.Close()
			return nil, 0, err
		}
		return f, info.Size(), nil
	}
	return nil, 0, s.notAllowed(path)
}

// allows says whether a clean path is textually below an allowed directory.
func (s *Store) allows(path string) bool {
	for _, dir := range s.opts.AllowedDirs {
		if rel, err := filepath.Rel(dir, path); err == nil && filepath.IsLocal(rel) {
			return true
		}
	}
	return false
}

func (s *Store) notAllowed(path string) error {
	return metal.Errorf(metal.Forbidden, "cannot import %s: it is not below a directory that the server's configuration allows for images", path)
}

func localFault(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return metal.Errorf(metal.Invalid, "cannot import %s: there is no such file on the server", path)
	case errors.Is(err, fs.ErrPermission):
		return metal.Errorf(metal.Invalid, "cannot import %s: the server may not read it", path)
	}
	return &metal.Error{Code: metal.Internal, Message: "cannot import " + path + ": it cannot be opened", Err: err}
}
