package disk

import (
	"context"
	"errors"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/disk/fat"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/disk/gpt"
)

// seedLabel is what cloud-init's NoCloud source looks for.
const seedLabel = "CIDATA"

// plan is what is written besides the image's own content.
type plan struct {
	head     []byte // the first mebibyte, changed
	backup   []byte // the table's copy for the disk's end; nil without a GUID partition table
	backupAt int64
	seed     gpt.Span // zero without a seed
}

// planLayout decides from the start of an image how it is fitted to a disk. It changes nothing it was given.
func planLayout(head []byte, diskBytes int64, sector int, o WriteOptions) (plan, error) {
	p := plan{head: append([]byte(nil), head...)}
	wantSeed := len(o.Seed) > 0
	if other := 512 + 4096 - sector; other == 512 || other == 4096 {
		if _, err := gpt.Parse(head, other); err == nil {
			return plan{}, metal.Errorf(metal.Invalid,
				"write image to disk %s: the image's partition table is made for blocks of %d bytes, the disk has blocks of %d; use another image or disk", o.Path, other, sector)
		}
	}
	table, err := gpt.Parse(head, sector)
	switch {
	case err == nil:
		p.seed, err = table.Fit(diskBytes, wantSeed, seedID(table.DiskID))
		if err != nil {
			return plan{}, metal.Errorf(metal.Invalid, "fit the image to disk %s: %w", o.Path, err)
		}
		gpt.Protect(p.head, diskBytes, sector)
		copy(p.head[sector:], table.Primary(diskBytes))
		p.backup, p.backupAt = table.Backup(diskBytes)
		return p, nil
	case !errors.Is(err, gpt.ErrNone):
		return plan{}, metal.Errorf(metal.Invalid, "read the partition table of the image for disk %s: %w; import the image again", o.Path, err)
	}
	if _, ok := gpt.ParseMBR(head); ok {
		if p.seed, err = gpt.FitMBR(p.head, diskBytes, sector, wantSeed); err != nil {
			return plan{}, metal.Errorf(metal.Invalid, "fit the image to disk %s: %w", o.Path, err)
		}
		return p, nil
	}
	if wantSeed {
		return plan{}, metal.Errorf(metal.Invalid,
			"write image to disk %s: the image has no partition table, so the machine's seed has no place on the disk; use an image with one", o.Path)
	}
	return p, nil
}

// seedID makes the seed partition's identifier of the disk's, so that the same image and seed give the same disk.
func seedID(disk gpt.GUID) gpt.GUID {
	id := disk
	copy(id[10:], seedLabel)
	return id
}

// seedVolume makes the FAT volume.
func seedVolume(seed map[string]string, sector int) ([]byte, error) {
	raw, err := fat.Build(fat.Volume{Label: seedLabel, SectorSize: sector, Bytes: gpt.SeedBytes, Files: seed})
	if err != nil {
		return nil, metal.Errorf(metal.Invalid, "make the seed volume: %w", err)
	}
	return raw, nil
}

// checkSeed finds out before anything is written whether the seed fits its volume.
func checkSeed(seed map[string]string, sector int) error {
	if len(seed) == 0 {
		return nil
	}
	_, err := seedVolume(seed, sector)
	return err
}

// finish writes what the plan adds, and the head last.
func (w *writer) finish(ctx context.Context) error {
	if w.plan.seed.Bytes > 0 {
		raw, err := seedVolume(w.o.Seed, w.dev.sector)
		if err != nil {
			return err
		}
		if err := w.dev.writeBytes(raw, w.plan.seed.Offset); err != nil {
			return err
		}
	}
	if w.plan.backup != nil {
		if err := w.dev.writeBytes(w.plan.backup, w.plan.backupAt); err != nil {
			return err
		}
	}
	if err := w.dev.sync(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return metal.Errorf(metal.Conflict, "write image to disk %s: called off: %w", w.o.Path, err)
	}
	if err := w.dev.writeBytes(w.plan.head, 0); err != nil {
		return err
	}
	return errors.Join(w.dev.sync(), w.dev.reread())
}
