package hardware

import (
	"context"
	"io"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agentapi"
)

// Installer installs root archives; package install does it.
type Installer interface {
	// Install carries a step out on these disks. archive is the stored stream of the root archive.
	Install(ctx context.Context, in agentapi.Install, disks []metal.Disk, archive io.Reader, progress func(float64)) error
}

// Install makes a system of a root archive.
func (m *Machine) Install(ctx context.Context, in agentapi.Install, progress func(float64)) (agentapi.Written, error) {
	disks, err := m.disks(ctx)
	if err != nil {
		return agentapi.Written{}, err
	}
	stream := newStream(ctx, m.Log, in.StoredBytes, func(ctx context.Context, offset int64) (io.ReadCloser, error) {
		return m.ImagePart(ctx, in.Digest, offset, in.StoredBytes-offset)
	})
	defer stream.Close()
	began := time.Now()
	// Only its Read is handed on: it ends with ctx by itself, and Close belongs to this goroutine.
	if err := m.Installer.Install(ctx, in, disks, struct{ io.Reader }{stream}, progress); err != nil {
		return agentapi.Written{}, err
	}
	took := time.Since(began)
	m.Log.Info("system installed", "took", took.Round(time.Millisecond))
	w := agentapi.Written{WriteMillis: took.Milliseconds()}
	if len(in.Plan.Disks) > 0 {
		p := in.Plan.Disks[0]
		w.Disk = metal.Disk{Name: p.Kernel, Serial: p.Serial, WWN: p.WWN, Model: p.Model, Bytes: p.Bytes}
	}
	return w, nil
}
