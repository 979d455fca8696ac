package boot

import (
	"context"
	"io"
	"net/http"
	"net/netip"
	"os"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Asker is who asks, and under which URL he reaches the boot server.
type Asker struct {
	From netip.Addr // invalid where it is not known
	Base string
}

// Installers is what the handler needs of boot profiles. The token that an installation was given is asked for
// everywhere; metal.NotFound for another one, and where an installation is over.
type Installers interface {
	// Installer begins an installation or goes on with it; nil where no boot profile is for the machine.
	Installer(ctx context.Context, mac metal.MAC, who Asker) (*Installer, error)
	// BootFile opens the kernel, the iso, or an initrd by its number.
	BootFile(ctx context.Context, mac metal.MAC, token, name string) (*os.File, error)
	// Answer renders an answer file.
	Answer(ctx context.Context, mac metal.MAC, token, name string, who Asker) (string, error)
	// Report takes what the installer says of itself, and the state that follows.
	Report(ctx context.Context, mac metal.MAC, token string, state metal.InstallationState, line string) error
}

func (h *Handler) routeInstallers() {
	const one = PathInstall + "{mac}/{token}"
	h.mux.HandleFunc("GET "+one+"/boot/{name}", h.bootFile)
	h.mux.HandleFunc("GET "+one+"/files/{name}", h.answer)
	for name, state := range map[string]metal.InstallationState{
		"progress": metal.Installing, "done": metal.Installed, "failed": metal.InstallFailed,
	} {
		report := func(w http.ResponseWriter, r *http.Request) { h.report(w, r, name, state) }
		h.mux.HandleFunc("POST "+one+"/"+name, report)
		h.mux.HandleFunc("GET "+one+"/"+name, report) // the wget of small installers cannot post
	}
}

func (h *Handler) asker(r *http.Request) Asker {
	from, _ := netip.ParseAddrPort(r.RemoteAddr) // no address: the answer file does without
	return Asker{From: from.Addr().Unmap(), Base: h.base(r)}
}

// installing reads the MAC address of a request; the token is nobody's to log.
func (h *Handler) installing(w http.ResponseWriter, r *http.Request) (mac metal.MAC, token string, ok bool) {
	w.Header().Set("Cache-Control", "no-store")
	mac, err := metal.ParseMAC(r.PathValue("mac"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return "", "", false
	}
	return mac, r.PathValue("token"), true
}

func (h *Handler) bootFile(w http.ResponseWriter, r *http.Request) {
	mac, token, ok := h.installing(w, r)
	if !ok {
		return
	}
	file, err := h.installers.BootFile(r.Context(), mac, token, r.PathValue("name"))
	if err != nil {
		h.refuse(w, r, mac, "open a file of an installer", err)
		return
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		h.refuse(w, r, mac, "open a file of an installer", err)
		return
	}
	h.log.Info("installer fetches a boot file", "mac", mac, "file", r.PathValue("name"))
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", info.ModTime(), file)
}

func (h *Handler) answer(w http.ResponseWriter, r *http.Request) {
	mac, token, ok := h.installing(w, r)
	if !ok {
		return
	}
	text, err := h.installers.Answer(r.Context(), mac, token, r.PathValue("name"), h.asker(r))
	if err != nil {
		h.refuse(w, r, mac, "render an answer file", err)
		return
	}
	h.log.Info("installer fetches an answer file", "mac", mac, "file", r.PathValue("name"), "bytes", len(text))
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if r.Method == http.MethodGet {
		_, _ = io.WriteString(w, text) // a machine that goes away asks again
	}
}

// report takes a line from the query's message or from the body, whichever is there. HEAD, which GET patterns answer
// too, reports nothing.
func (h *Handler) report(w http.ResponseWriter, r *http.Request, name string, state metal.InstallationState) {
	mac, token, ok := h.installing(w, r)
	if !ok || r.Method == http.MethodHead {
		return
	}
	line := r.URL.Query().Get("message")
	if line == "" {
		body, err := io.ReadAll(io.LimitReader(r.Body, metal.MaxInstallLine))
		if err != nil {
			http.Error(w, "the report broke off", http.StatusBadRequest)
			return
		}
		line = string(body)
	}
	line = readable(line)
	if line == "" {
		line = name
	}
	if err := h.installers.Report(r.Context(), mac, token, state, line); err != nil {
		h.refuse(w, r, mac, "write down what an installer reports", err)
		return
	}
	h.log.Info("installer reports", "mac", mac, "report", name)
	w.WriteHeader(http.StatusNoContent)
}

// readable makes one line of what a stranger wrote.
func readable(s string) string {
	if len(s) > metal.MaxInstallLine {
		s = s[:metal.MaxInstallLine]
	}
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, s)
	return strings.TrimSpace(s)
}

func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, mac metal.MAC, act string, err error) {
	switch metal.CodeOf(err) {
	case metal.NotFound:
		h.log.Warn(act, "mac", mac, "from", r.RemoteAddr, "error", err)
		http.Error(w, err.Error(), http.StatusNotFound)
	case metal.Invalid:
		h.log.Error(act, "mac", mac, "error", err)
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
	default:
		h.log.Error(act, "mac", mac, "error", err)
		http.Error(w, "this cannot be had now", http.StatusServiceUnavailable)
	}
}
