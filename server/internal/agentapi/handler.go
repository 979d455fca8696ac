package agentapi

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Machines is what the handler needs of the server.
type Machines interface {
	Hello(ctx context.Context, h Hello) (Session, error)
	// Session returns the machine that a session token speaks for; metal.Unauthorized.
	Session(ctx context.Context, token string) (machineID string, err error)
	Next(ctx context.Context, machineID string, wait time.Duration) (*Step, error)
	Progress(ctx context.Context, machineID string, p Progress) (cancel bool, err error)
	Result(ctx context.Context, machineID string, r Result) error
}

const (
	mostBody = 8 << 20 // an inventory of a large machine is well below
	mostWait = 60 * time.Second
)

// Handler serves the agents.
type Handler struct {
	mux      *http.ServeMux
	machines Machines
	log      *slog.Logger
}

// NewHandler makes a handler. images serves the content of an image at /DIGEST.
func NewHandler(machines Machines, images http.Handler, log *slog.Logger) *Handler {
	h := &Handler{mux: http.NewServeMux(), machines: machines, log: log}
	h.mux.HandleFunc("POST "+PathHello, h.hello)
	h.mux.HandleFunc("GET "+PathNext, h.session(h.next))
	h.mux.HandleFunc("POST "+PathProgress, h.session(h.progress))
	h.mux.HandleFunc("POST "+PathResult, h.session(h.result))
	content := http.StripPrefix(strings.TrimSuffix(PathImages, "/"), images)
	h.mux.HandleFunc("GET "+PathImages, h.session(func(w http.ResponseWriter, r *http.Request, _ string) { content.ServeHTTP(w, r) }))
	return h
}

// ServeHTTP answers an agent.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// session lets only agents in that said hello.
func (h *Handler) session(next func(http.ResponseWriter, *http.Request, string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			h.refuse(w, r, metal.Errorf(metal.Unauthorized, "no session token: say hello first"))
			return
		}
		id, err := h.machines.Session(r.Context(), token)
		if err != nil {
			h.refuse(w, r, err)
			return
		}
		next(w, r, id)
	}
}

func (h *Handler) hello(w http.ResponseWriter, r *http.Request) {
	var in Hello
	if !h.read(w, r, &in) {
		return
	}
	s, err := h.machines.Hello(r.Context(), in)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	h.log.Info("an agent said hello", "machine", s.Name, "mac", in.BootMAC, "firmware", in.BootMode, "version", in.Version)
	h.write(w, s)
}

func (h *Handler) next(w http.ResponseWriter, r *http.Request, machine string) {
	wait, err := time.ParseDuration(r.URL.Query().Get("wait"))
	if err != nil {
		wait = 0
	}
	s, err := h.machines.Next(r.Context(), machine, min(wait, mostWait))
	switch {
	case err != nil:
		h.refuse(w, r, err)
	case s == nil:
		w.WriteHeader(http.StatusNoContent)
	default:
		h.write(w, s)
	}
}

func (h *Handler) progress(w http.ResponseWriter, r *http.Request, machine string) {
	var in Progress
	if !h.read(w, r, &in) {
		return
	}
	cancel, err := h.machines.Progress(r.Context(), machine, in)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	h.write(w, ProgressReply{Cancel: cancel})
}

func (h *Handler) result(w http.ResponseWriter, r *http.Request, machine string) {
	var in Result
	if !h.read(w, r, &in) {
		return
	}
	if err := h.machines.Result(r.Context(), machine, in); err != nil {
		h.refuse(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (h *Handler) read(w http.ResponseWriter, r *http.Request, into any) bool {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostBody))
	if err == nil {
		err = json.Unmarshal(body, into)
	}
	if err != nil {
		h.refuse(w, r, metal.Errorf(metal.Invalid, "the body cannot be read: %v", err))
		return false
	}
	return true
}

func (h *Handler) write(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	// The agent that went away asks again.
	_ = json.NewEncoder(w).Encode(v)
}

func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // it went away
	}
	status, message := http.StatusInternalServerError, "a fault of the server"
	switch code := metal.CodeOf(err); code {
	case metal.Unauthorized:
		status, message = http.StatusUnauthorized, err.Error()
	case metal.NotFound:
		status, message = http.StatusGone, err.Error() // the machine was forgotten
	case metal.Invalid, metal.Conflict, metal.Exhausted:
		status, message = http.StatusConflict, err.Error()
	}
	h.log.Warn("an agent was refused", "path", r.URL.Path, "from", r.RemoteAddr, "status", status, "error", err)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"code": string(metal.CodeOf(err)), "message": message})
}
