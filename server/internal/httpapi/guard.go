package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// maxToken bounds what is taken for a token at all.
const maxToken = 512

// recover turns a panic into an answer. http.ErrAbortHandler is net/http's own way to drop a connection.
func (s *server) recover(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			cause := recover()
			if cause == nil {
				return
			}
			if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(cause)
			}
			// huma panics when an answer cannot be written because its reader is gone.
			if r.Context().Err() != nil {
				return
			}
			s.log.ErrorContext(r.Context(), "api: panic", "request", callOf(r.Context()).id, "method", r.Method, "path", r.URL.Path,
				"panic", fmt.Sprint(cause), "stack", string(debug.Stack()))
			if seen, ok := w.(*answer); ok && seen.status != 0 {
				// The answer has begun: only a broken connection tells the client that it is not whole.
				panic(http.ErrAbortHandler)
			}
			writeProblem(w, hidden(r.Context()))
		}()
		next.ServeHTTP(w, r)
	})
}

// authenticate lets nobody without a valid token past, but for the few public paths.
func (s *server) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isPublic(r) {
			next.ServeHTTP(w, r)
			return
		}
		name, err := s.identify(r.Context(), r.Header.Get("Authorization"))
		if err != nil {
			p := s.problemOf(r.Context(), "Authenticate", err)
			if p.status == http.StatusUnauthorized {
				// RFC 6750, 3: the challenge names an error only when a token was sent.
				w.Header().Set("WWW-Authenticate", `Bearer realm="metalform"`)
			}
			writeProblem(w, p)
			return
		}
		callOf(r.Context()).caller = name
		next.ServeHTTP(w, r)
	})
}

func isPublic(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	switch r.URL.Path {
	case pathHealth, pathOpenAPI, pathCA:
		return true
	default:
		return false
	}
}

// identify reads an Authorization header (RFC 6750, 2.1) and asks who that is.
func (s *server) identify(ctx context.Context, header string) (string, error) {
	scheme, token, _ := strings.Cut(header, " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", metal.Errorf(metal.Unauthorized, "no token: send it as in Authorization: Bearer TOKEN")
	}
	if len(token) > maxToken {
		return "", metal.Errorf(metal.Unauthorized, "what was sent as a token is none: it is longer than %d characters", maxToken)
	}
	return s.auth.Authenticate(ctx, token)
}

// route finds the endpoint. What the mux would refuse by itself is refused in the API's own form.
func (s *server) route(w http.ResponseWriter, r *http.Request) {
	if _, pattern := s.mux.Handler(r); pattern != "" {
		s.mux.ServeHTTP(w, r)
		return
	}
	refusal := &refusal{header: http.Header{}}
	s.mux.ServeHTTP(refusal, r)
	if refusal.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", refusal.header.Get("Allow"))
		p := problemFor(metal.Errorf(metal.Invalid, "%s is not possible on %s: use %s", r.Method, r.URL.Path, refusal.header.Get("Allow")))
		p.status = http.StatusMethodNotAllowed
		writeProblem(w, p)
		return
	}
	writeProblem(w, problemFor(metal.Errorf(metal.NotFound, "the API has no %s: see %s for what it has", r.URL.Path, pathOpenAPI)))
}

// refusal takes the mux's own answer, of which only status and Allow are used.
type refusal struct {
	header http.Header
	status int
}

// Header returns the headers.
func (f *refusal) Header() http.Header { return f.header }

// Write drops the text.
func (f *refusal) Write(p []byte) (int, error) { return len(p), nil }

// WriteHeader keeps the status.
func (f *refusal) WriteHeader(status int) { f.status = status }
