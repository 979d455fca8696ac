package agentapi

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestToolsAreFetchedForAnArchitecture(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/boot/env/amd64/tools.tar.zst":
			io.WriteString(w, "tools")
		case "/boot/env/arm64/tools.tar.zst":
			w.WriteHeader(http.StatusNotFound)
		default:
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	defer server.Close()
	c, err := NewClient(server.URL, server.Client())
	if err != nil {
		t.Fatal(err)
	}
	tools, err := c.Tools(t.Context(), metal.AMD64)
	if err != nil {
		t.Fatal(err)
	}
	defer tools.Close()
	if raw, err := io.ReadAll(tools); err != nil || string(raw) != "tools" {
		t.Errorf("got %q, %v", raw, err)
	}
	if _, err := c.Tools(t.Context(), metal.ARM64); metal.CodeOf(err) != metal.NotFound || !strings.Contains(err.Error(), "bootenv build -arch arm64 -tools") {
		t.Errorf("missing: got %v; want NotFound that says what to run", err)
	}
	if _, err := c.Tools(t.Context(), "x"); metal.CodeOf(err) != metal.Internal {
		t.Errorf("a fault: got %v; want Internal", err)
	}
}
