package daemon

import (
	"io"
	"net/http"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/lifecycle"
	"github.com/metalform/terraform-provider-metal/server/internal/metadata"
)

// mostReport bounds what an installed system may say.
const mostReport = 256 << 10

// phoneHome serves the call of an installed system that came up.
func phoneHome(engine *lifecycle.Engine) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, mostReport)
		if err := r.ParseForm(); err != nil {
			http.Error(w, "the form cannot be read", http.StatusBadRequest)
			return
		}
		call, err := metadata.ParsePhoneHome(r.PostForm)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answer(w, engine.PhoneHome(r.Context(), r.PathValue("operation"), r.PathValue("token"), call.SSHHostKeys))
	}
}

// firstBoot serves the call of an installed system that says how its first boot went.
func firstBoot(engine *lifecycle.Engine) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostReport))
		if err != nil {
			http.Error(w, "the report cannot be read", http.StatusBadRequest)
			return
		}
		report, err := metadata.ParseFirstBoot(raw)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answer(w, engine.FirstBoot(r.Context(), r.PathValue("operation"), r.PathValue("token"), lifecycle.FirstBoot(report)))
	}
}

// answer tells an installed system what became of its call.
func answer(w http.ResponseWriter, err error) {
	switch metal.CodeOf(err) {
	case "":
		w.WriteHeader(http.StatusNoContent)
	case metal.Unauthorized, metal.NotFound: // the same for both: nobody learns which operations there are
		http.Error(w, "the phone-home token is not valid", http.StatusForbidden)
	default:
		http.Error(w, "a fault of the server: call again", http.StatusServiceUnavailable)
	}
}
