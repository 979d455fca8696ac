// Package httpapi serves the HTTP API: it authenticates, checks requests against the schemas of internal/api, calls
// the fleet, and turns what comes back into answers. It decides nothing about machines.
package httpapi

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// Authenticator knows the bearer tokens.
type Authenticator interface {
	// Authenticate returns the name of the token's holder; a metal.Unauthorized error for a token it does not know.
	// How long it takes must not depend on how much of a token is right.
	Authenticate(ctx context.Context, token string) (name string, err error)
}

// Info is what the API tells of the server without asking the fleet.
type Info struct {
	// CA is the certificate authority of the server's own certificate in PEM form, or empty when it has none.
	CA []byte
	// Metrics serves /metrics to who has a token; nil: there is none.
	Metrics http.Handler
}

// Paths that need no token. Everything else does, existing or not.
const (
	pathHealth  = "/healthz"
	pathOpenAPI = "/v1/openapi.json"
	pathCA      = "/v1/ca.pem"
)

// server is one API, being assembled and then served.
type server struct {
	fleet Fleet
	auth  Authenticator
	log   *slog.Logger
	mux   *http.ServeMux
	api   huma.API
}

// New returns the handler of the whole API. Its answers may take as long as a client asks to wait, and uploads as
// long as they need: the http.Server has a ReadHeaderTimeout, but neither ReadTimeout nor WriteTimeout.
func New(fleet Fleet, auth Authenticator, info Info, log *slog.Logger) http.Handler {
	s := &server{fleet: fleet, auth: auth, log: log, mux: http.NewServeMux()}
	s.api = humago.New(s.mux, configuration())
	s.register()
	s.finishOpenAPI()
	s.serveStatic(info)
	return s.enter(s.recover(s.authenticate(http.HandlerFunc(s.route))))
}

// serveStatic adds what is the same for everybody.
func (s *server) serveStatic(info Info) {
	s.mux.HandleFunc("GET "+pathHealth, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Write([]byte("ok\n"))
	})
	document := s.openAPI()
	s.mux.HandleFunc("GET "+pathOpenAPI, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openapi+json")
		w.Write(document)
	})
	if len(info.CA) > 0 {
		s.mux.HandleFunc("GET "+pathCA, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/x-pem-file")
			w.Write(info.CA)
		})
	}
	if info.Metrics != nil {
		s.mux.Handle("GET /metrics", info.Metrics)
	}
}
