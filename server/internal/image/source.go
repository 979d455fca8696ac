package image

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// A source is the file that is imported, read from its start to its end.
type source struct {
	r     io.Reader
	close func() error
	name  string   // for messages: without credentials
	size  int64    // negative when it is not known
	file  *os.File // set for a file of this server, which can be read at any place

	sum  hash.Hash
	long hash.Hash // SHA-512; nil where nobody states one
	read int64
	err  error       // what reading it failed with, if it did
	seen func(int64) // told of every byte; may be nil
}

// Read reads, counts and hashes.
func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.sum.Write(p[:n])
	if s.long != nil {
		s.long.Write(p[:n])
	}
	s.read += int64(n)
	if s.seen != nil && n > 0 {
		s.seen(s.read)
	}
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// digest is the SHA-256 of what was read, in hex.
func (s *source) digest() string { return hex.EncodeToString(s.sum.Sum(nil)) }

// check compares the digests that spec states with what was read.
func (s *source) check(spec metal.ImageSpec) error {
	const differs = "has %s %s, but %s is declared: the file changed, or the declaration is of another one"
	if got := s.digest(); spec.SHA256 != "" && got != spec.SHA256 {
		return flawf(metal.Invalid, differs, "SHA-256", got, spec.SHA256)
	}
	if spec.SHA512 == "" {
		return nil
	}
	if got := hex.EncodeToString(s.long.Sum(nil)); got != spec.SHA512 {
		return flawf(metal.Invalid, differs, "SHA-512", got, spec.SHA512)
	}
	return nil
}

// openSource opens what spec names, or wraps an upload.
func (s *Store) openSource(ctx context.Context, spec metal.ImageSpec, upload io.Reader) (*source, error) {
	name := spec.Source
	src := &source{sum: sha256.New(), size: -1, close: func() error { return nil }}
	if spec.SHA512 != "" {
		src.long = sha512.New()
	}
	switch {
	case upload != nil:
		src.r, src.name = upload, "the upload"
		return src, nil
	case name == "":
		return nil, metal.Errorf(metal.Invalid, "the image has no source: give one, or upload its content")
	case strings.HasPrefix(name, "/"):
		f, size, err := s.openLocal(name)
		if err != nil {
			return nil, err
		}
		src.r, src.close, src.name, src.size, src.file = f, f.Close, name, size, f
		return src, nil
	}
	places := make([]*url.URL, 0, 1+len(spec.Mirrors))
	for _, place := range append([]string{name}, spec.Mirrors...) {
		u, err := url.Parse(place)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			return nil, metal.Errorf(metal.Invalid, "the image's source is neither an http(s) URL nor an absolute path on the server, or a mirror of it is no http(s) URL")
		}
		places = append(places, u)
	}
	d, err := s.fetch.open(ctx, places...)
	if err != nil {
		return nil, err
	}
	src.r, src.close, src.name, src.size = d, d.Close, d.name, d.size
	return src, nil
}
