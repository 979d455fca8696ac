// Package image is the content store of operating system images: it fetches, verifies and converts a source once, to
// what streams fastest to a disk, and serves the result.
//
// Content is named by the SHA-256 of the raw disk, and kept as one file: independent zstd frames (RFC 8878) of 4 MiB
// of raw disk each, every one with its size and checksum, then a seek table in the form of zstd's
// contrib/seekable_format. Any zstd decoder reads the file from its start. Beside it lies a table of these frames with
// the checksum of each, by which an agent reads them in any order, several at once, and not at all where they are zeros.
package image

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const (
	suffix      = ".zst"
	tempPattern = "import-*.tmp"

	defaultMaxBytes = 256 << 30
)

// digestForm is a SHA-256 in hex: the only names that the store makes files of.
var digestForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Options say what imports may do.
type Options struct {
	// AllowedDirs are the directories below which a source may be a file of this server. Empty: none may.
	AllowedDirs []string
	// HTTPClient fetches; nil: one with time-outs for connecting and for the answer's head. Its redirect policy is
	// replaced by the store's own.
	HTTPClient *http.Client
	// MaxBytes bounds the raw disk, and what is fetched for it; 0 means 256 GiB.
	MaxBytes int64
	// Log is told of imports and of what is cleaned; nil: nobody is.
	Log *slog.Logger
}

// Content is one stored disk.
type Content struct {
	Digest      string // SHA-256 of the raw disk, in hex
	RawBytes    int64  // size of the raw disk
	StoredBytes int64  // size of the file that is streamed
}

// A Store is a directory of contents. Its methods may be called from several goroutines.
type Store struct {
	dir   string
	opts  Options
	log   *slog.Logger
	fetch fetcher
	// making is held while the table of a content is made anew: one at a time is enough for what an upgrade leaves.
	making sync.Mutex
}

// Open makes the directory if need be, and removes what imports that were cut short by a crash left in it. Only one
// Store may have a directory open.
func Open(dir string, opts Options) (*Store, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("make image store: %w", err)
	}
	if opts.MaxBytes == 0 {
		opts.MaxBytes = defaultMaxBytes
	}
	log := opts.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	left, err := filepath.Glob(filepath.Join(dir, tempPattern))
	if err != nil {
		return nil, fmt.Errorf("look for unfinished imports in %s: %w", dir, err)
	}
	for _, path := range left {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("remove unfinished import: %w", err)
		}
		log.Info("removed an unfinished import", "file", filepath.Base(path))
	}
	return &Store{dir: dir, opts: opts, log: log, fetch: newFetcher(opts.HTTPClient)}, nil
}

// Open opens a content for reading as it is stored. The caller closes the file; it stays readable when the content is
// removed meanwhile. An unknown digest is a NotFound error.
func (s *Store) Open(digest string) (*os.File, Content, error) {
	f, err := s.openFile(digest)
	if err != nil {
		return nil, Content{}, err
	}
	raw, stored, err := readLayout(f)
	if err != nil {
		f.Close()
		return nil, Content{}, fmt.Errorf("open image content %s: %w", digest, err)
	}
	return f, Content{Digest: digest, RawBytes: raw, StoredBytes: stored}, nil
}

// openFile opens the file of a digest, without a look at what it holds.
func (s *Store) openFile(digest string) (*os.File, error) {
	if !digestForm.MatchString(digest) {
		return nil, metal.Errorf(metal.NotFound, "no image content %q: a digest is 64 hex digits", digest)
	}
	f, err := os.Open(s.path(digest))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, metal.Errorf(metal.NotFound, "no image content %s is stored: import the image again", digest)
	}
	if err != nil {
		return nil, fmt.Errorf("open image content: %w", err)
	}
	return f, nil
}

// Has says whether a content is stored and whole.
func (s *Store) Has(digest string) bool {
	f, _, err := s.Open(digest)
	if err != nil {
		return false
	}
	f.Close()
	return true
}

// Remove removes a content; one that is not there is no error. Who streams it at the time gets it to its end.
func (s *Store) Remove(digest string) error {
	if !digestForm.MatchString(digest) {
		return nil
	}
	for _, path := range []string{s.path(digest), s.tablePath(digest)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove image content: %w", err)
		}
	}
	return nil
}

// Prune removes every content whose digest is not in keep. A content that an import finished while the caller made
// keep would be removed as well: the caller prunes while no import runs.
func (s *Store) Prune(keep map[string]bool) error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("list image store: %w", err)
	}
	var faults []error
	for _, e := range entries {
		digest, ext, _ := strings.Cut(e.Name(), ".")
		if "."+ext != suffix && "."+ext != tableSuffix || !digestForm.MatchString(digest) || keep[digest] {
			continue
		}
		if "."+ext == suffix {
			s.log.Info("removing an image content that nothing needs", "digest", digest)
		}
		faults = append(faults, s.Remove(digest))
	}
	return errors.Join(faults...)
}

// path is where the content of a checked digest lies.
func (s *Store) path(digest string) string { return filepath.Join(s.dir, digest+suffix) }
