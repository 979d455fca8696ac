// Package bootfile keeps the files that boot profiles name (kernels, initial file systems, ISO images) by their
// SHA-256: fetched once, verified, then served from the server's own disk.
package bootfile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const (
	// MaxBytes is how long a file may be: installers' DVDs have up to 9 GiB.
	MaxBytes = 16 << 30
	// maxFetch is how long the fetch of one file may take.
	maxFetch = 30 * time.Minute
	atOnce   = 2
)

// Store keeps files. It is safe for concurrent use.
type Store struct {
	dir     string
	allowed []string
	client  *http.Client
	slots   chan struct{}
}

// Open opens the store in dir, which it makes. allowed are directories of the server that files may be taken from.
// What a stopped server left half-fetched is removed.
func Open(dir string, allowed []string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of boot files: %w", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, ".part-*"))
	if err != nil {
		return nil, fmt.Errorf("look for parts of boot files: %w", err)
	}
	for _, part := range left {
		if err := os.Remove(part); err != nil {
			return nil, fmt.Errorf("remove a part of a boot file: %w", err)
		}
	}
	return &Store{dir: dir, allowed: allowed, client: &http.Client{CheckRedirect: redirect}, slots: make(chan struct{}, atOnce)}, nil
}

// redirect refuses to leave HTTP, or to give up encryption.
func redirect(req *http.Request, via []*http.Request) error {
	switch {
	case len(via) >= 10:
		return errors.New("redirected more than 10 times")
	case req.URL.Scheme != "http" && req.URL.Scheme != "https", req.URL.Scheme == "http" && via[0].URL.Scheme == "https":
		return errors.New("redirected away from https")
	}
	return nil
}

// Open opens a file by its SHA-256 in hex; metal.NotFound.
func (s *Store) Open(sum string) (*os.File, error) {
	if !valid(sum) {
		return nil, metal.Errorf(metal.NotFound, "there is no boot file %.80q", sum)
	}
	f, err := os.Open(filepath.Join(s.dir, sum))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, metal.Errorf(metal.NotFound, "boot file %s is not on the server's disk any more: put the boot profile again", sum)
	}
	return f, err
}

func valid(sum string) bool {
	raw, err := hex.DecodeString(sum)
	return err == nil && len(raw) == sha256.Size && strings.ToLower(sum) == sum
}

// Fetch makes sure that the store has a file, and that it is the one that its checksum says. Errors are
// metal.Invalid, with the source as the user wrote it but for credentials.
func (s *Store) Fetch(ctx context.Context, f metal.BootFile) error {
	if !valid(f.SHA256) {
		return metal.Errorf(metal.Invalid, "boot file %s needs its sha256, in hex: 64 lower-case digits", shown(f.Source))
	}
	if _, err := os.Stat(filepath.Join(s.dir, f.SHA256)); err == nil {
		return nil
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, maxFetch)
	defer cancel()
	from, err := s.source(ctx, f.Source)
	if err != nil {
		return err
	}
	defer from.Close()
	return s.keep(f, from)
}

// keep writes a file, which gets its name when it is whole and verified.
func (s *Store) keep(f metal.BootFile, from io.Reader) (err error) {
	part, err := os.CreateTemp(s.dir, ".part-*")
	if err != nil {
		return fmt.Errorf("make a boot file: %w", err)
	}
	defer os.Remove(part.Name()) // after the rename there is none
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(part, sum), io.LimitReader(from, MaxBytes+1))
	if err == nil {
		err = part.Sync()
	}
	if closed := part.Close(); err == nil {
		err = closed
	}
	got := hex.EncodeToString(sum.Sum(nil))
	var place *fs.PathError
	switch {
	case errors.As(err, &place):
		return fmt.Errorf("write boot file %s: %w", shown(f.Source), err)
	case err != nil:
		return metal.Errorf(metal.Invalid, "boot file %s broke off after %d bytes: %s; try again", shown(f.Source), n, reason(err))
	case n > MaxBytes:
		return metal.Errorf(metal.Invalid, "boot file %s has more than %d GiB", shown(f.Source), MaxBytes>>30)
	case got != f.SHA256:
		return metal.Errorf(metal.Invalid, "boot file %s has the sha256 %s, not %s: its publisher changed it, or it is another file", shown(f.Source), got, f.SHA256)
	}
	return os.Rename(part.Name(), filepath.Join(s.dir, f.SHA256))
}

// source opens a URL or a file.
func (s *Store) source(ctx context.Context, source string) (io.ReadCloser, error) {
	if filepath.IsAbs(source) {
		return s.file(source)
	}
	u, err := url.Parse(source)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, metal.Errorf(metal.Invalid, "source %s of a boot file is neither an http(s) URL nor an absolute path", shown(source))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, source, nil)
	if err != nil {
		return nil, metal.Errorf(metal.Invalid, "source %s of a boot file is no URL that can be asked for", shown(source))
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, metal.Errorf(metal.Invalid, "boot file %s cannot be fetched: %s", shown(source), reason(err))
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, metal.Errorf(metal.Invalid, "boot file %s cannot be fetched: its server answers %s", shown(source), resp.Status)
	}
	return resp.Body, nil
}

// file opens a file below one of the allowed directories, after every symbolic link.
func (s *Store) file(path string) (io.ReadCloser, error) {
	for _, dir := range s.allowed {
		rel, err := filepath.Rel(dir, path)
		if err != nil || !filepath.IsLocal(rel) {
			continue
		}
		f, err := os.OpenInRoot(dir, rel)
		if err != nil {
			return nil, metal.Errorf(metal.Invalid, "boot file %s cannot be read: %s", path, reason(err))
		}
		info, err := f.Stat()
		if err != nil || !info.Mode().IsRegular() {
			f.Close()
			return nil, metal.Errorf(metal.Invalid, "boot file %s is no regular file", path)
		}
		return f, nil
	}
	return nil, metal.Errorf(metal.Invalid, "boot file %s is not below images.directories of the server (%v)", path, s.allowed)
}

// Prune removes the files that nobody needs any more.
func (s *Store) Prune(keep map[string]bool) error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("list boot files: %w", err)
	}
	var all []error
	for _, e := range entries {
		if valid(e.Name()) && !keep[e.Name()] {
			all = append(all, os.Remove(filepath.Join(s.dir, e.Name())))
		}
	}
	return errors.Join(all...)
}

// shown is a source without credentials.
func shown(source string) string {
	u, err := url.Parse(source)
	if err != nil {
		return "(unreadable)"
	}
	u.RawQuery, u.Fragment = "", ""
	return u.Redacted()
}

// reason is why a source cannot be had, without its URL, which may hold credentials.
func reason(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return err.Error()
}
