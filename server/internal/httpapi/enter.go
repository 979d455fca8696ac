package httpapi

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net/http"
	"time"
)

// A call is one request on its way through the handlers.
type call struct {
	id      string // request id, in the answer's X-Request-Id and in the log
	caller  string // name of the token, once it is known
	request *http.Request
}

type callKey struct{}

// callOf returns the call that ctx belongs to; an empty one for a context that belongs to none.
func callOf(ctx context.Context) *call {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c
	}
	return &call{}
}

// Caller returns the name of the token that the request came with; empty outside of a request.
func Caller(ctx context.Context) string { return callOf(ctx).caller }

// enter numbers the request, and logs it when it is answered. Queries and headers stay out of the log: paths hold
// names and ids only.
func (s *server) enter(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		c := &call{id: newRequestID()}
		r = r.WithContext(context.WithValue(r.Context(), callKey{}, c))
		c.request = r
		w.Header().Set("X-Request-Id", c.id)
		seen := &answer{ResponseWriter: w}
		next.ServeHTTP(seen, r)
		s.log.LogAttrs(r.Context(), slog.LevelInfo, "api",
			slog.String("request", c.id), slog.String("caller", c.caller), slog.String("from", r.RemoteAddr),
			slog.String("method", r.Method), slog.String("path", r.URL.Path),
			slog.Int("status", seen.status), slog.Int64("bytes", seen.bytes), slog.Duration("took", time.Since(began)))
	})
}

func newRequestID() string {
	var raw [6]byte
	rand.Read(raw[:]) // never fails (Go 1.24)
	return hex.EncodeToString(raw[:])
}

// answer remembers what went through it.
type answer struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// WriteHeader notes the status.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write counts the bytes.
func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	n, err := a.ResponseWriter.Write(p)
	a.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach flushing and deadlines.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
