package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/testnet"
)

// importQcow2 compares an import with the conversion to qemu-img's own packed form, which is not hashed. Both run on
// the server's core and end with what they wrote on disk.
func (b *bench) importQcow2(ctx context.Context) error {
	ours := func() (float64, error) {
		// The content must go, or the next round finds it and stores nothing.
		image, took, err := b.importImage(ctx, "imported", b.qcow2())
		if err != nil {
			return 0, err
		}
		return took.Seconds(), b.metald.Client.DeleteImage(ctx, api.DeleteByNameRequest{ByName: api.ByName{Name: image.Name}})
	}
	out := filepath.Join(b.dir, "peer.qcow2")
	defer os.Remove(out)
	peer := func() (float64, error) {
		start := time.Now()
		script := fmt.Sprintf("qemu-img convert -c -f qcow2 -O qcow2 -o compression_type=zstd %s %s && sync %s || echo exit code $?", b.qcow2(), out, out)
		said, err := b.net.Server.Run(ctx, testnet.Program{Path: "bash", Args: []string{"-c", script}})
		if err == nil && len(said) > 0 {
			err = fmt.Errorf("%s: %s", script, said)
		}
		return time.Since(start).Seconds(), err
	}
	return b.compare("import-qcow2", "s", ours, peer)
}
