package image

import (
	"net/http"
	"strings"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// ServeHTTP answers GET and HEAD of /DIGEST with the stored zstd stream, whole or in ranges (RFC 9110, 14). The entity
// tag is the digest, and as content never changes an answer may be cached for ever. There is no listing.
func (s *Store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	digest := strings.TrimPrefix(r.URL.Path, "/")
	f, err := s.openFile(digest)
	switch {
	case metal.CodeOf(err) == metal.NotFound:
		http.Error(w, "no such image content", http.StatusNotFound)
		return
	case err != nil:
		s.log.Error("cannot serve image content", "digest", digest, "err", err)
		http.Error(w, "the image content cannot be read", http.StatusInternalServerError)
		return
	}
	defer f.Close()
	h := w.Header()
	h.Set("Content-Type", "application/zstd")
	h.Set("ETag", `"`+digest+`"`)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeContent(w, r, "", time.Time{}, f)
}
