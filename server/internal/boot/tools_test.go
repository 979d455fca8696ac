package boot

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestToolsAreServedWhereTheyWereBuilt(t *testing.T) {
	files := Files{Env: t.TempDir()}
	if _, err := files.env(metal.AMD64, fileTools); metal.CodeOf(err) != metal.NotFound || !strings.Contains(err.Error(), "-tools") {
		t.Errorf("without tools: got %v; want NotFound that names the flag", err)
	}
	dir := filepath.Join(files.Env, "amd64")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, fileTools), []byte("tools"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := files.env(metal.AMD64, fileTools)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if raw, err := io.ReadAll(f); err != nil || string(raw) != "tools" {
		t.Errorf("got %q, %v", raw, err)
	}
	if _, err := files.env(metal.AMD64, "manifest.json"); metal.CodeOf(err) != metal.NotFound {
		t.Errorf("another file: got %v; want NotFound", err)
	}
}
