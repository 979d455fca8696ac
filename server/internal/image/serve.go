package image

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// ServeHTTP answers GET and HEAD of /DIGEST with the stored zstd stream, whole or in ranges (RFC 9110, 14), and of
// /DIGEST.chunks with its table of chunks (see package chunk). The entity tag is the digest, and as content never changes
// an answer may be cached for ever. There is no listing.
func (s *Store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	digest := strings.TrimPrefix(r.URL.Path, "/")
	open, kind := s.openFile, "application/zstd"
	if of, ok := strings.CutSuffix(digest, tableSuffix); ok {
		// The table of an old content is made here. It goes on when the agent loses patience, and is there when it asks again.
		ctx := context.WithoutCancel(r.Context())
		open = func(string) (*os.File, error) { return s.openTable(ctx, of) }
		kind = "application/octet-stream"
	}
	f, err := open(digest)
	switch {
	case metal.CodeOf(err) == metal.NotFound:
		http.Error(w, "no such image content", http.StatusNotFound)
		return
	case errors.Is(err, errLayout):
		s.log.Error("image content is damaged", "digest", digest, "err", err)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnprocessableEntity) // another try cannot mend it
		_ = json.NewEncoder(w).Encode(map[string]string{"code": string(metal.Invalid), "message": errLayout.Error()})
		return
	case err != nil:
		s.log.Error("cannot serve image content", "digest", digest, "err", err)
		http.Error(w, "the image content cannot be read", http.StatusInternalServerError)
		return
	}
	defer f.Close()
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("ETag", `"`+digest+`"`)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeContent(w, r, "", time.Time{}, f)
}
