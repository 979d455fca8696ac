package bootenv

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// TestBuildFromADebianKernelOfAnotherArchitecture fetches a real kernel by the host's apt and builds with it. The
// host's own architecture has the test that boots, beside metal-agent.
func TestBuildFromADebianKernelOfAnotherArchitecture(t *testing.T) {
	if testing.Short() {
		t.Skip("fetches a kernel")
	}
	needTool(t, "apt-get")
	arch := metal.ARM64
	cache := filepath.Join("..", "..", "..", ".cache", "kernel-"+string(arch))
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	deb, err := FetchKernel(t.Context(), arch, Cloud, cache)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Build(t.Context(), Options{Arch: arch, KernelDeb: deb, AgentPath: plantAgent(t, arch), OutDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"virtio_net", "net_failover", "virtio_blk"} {
		if !slices.Contains(m.Modules, name) {
			t.Errorf("got modules %v; want %s among them", m.Modules, name)
		}
	}
}
