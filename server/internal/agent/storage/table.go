package storage

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/disk/gpt"
)

// table returns the partition table for a disk. head is what the disk begins with now: partitions to preserve have to
// be in the table there, with number, name and place as planned; the disk's identifier then stays as well.
func table(parts []metal.PlannedPartition, head []byte, diskBytes int64, sector int) (*gpt.Table, error) {
	s := int64(sector)
	arrays := (int64(128*128) + s - 1) / s
	t := &gpt.Table{SectorSize: sector, FirstUsable: uint64(2 + arrays), LastUsable: uint64(diskBytes/s - 2 - arrays), Entries: make([]gpt.Entry, 128)}
	id := sha256.New()
	now, nowErr := gpt.Parse(head, sector)
	for _, p := range parts {
		if p.Number < 1 || p.Number > len(t.Entries) || p.Start <= 0 || p.Bytes <= 0 || p.Start%s != 0 || p.Bytes%s != 0 {
			return nil, metal.Errorf(metal.Invalid, "partition %s has number %d, begins at %d and has %d bytes: that is no place on a disk with blocks of %d bytes", p.Name, p.Number, p.Start, p.Bytes, sector)
		}
		e := gpt.Entry{First: uint64(p.Start / s), Last: uint64((p.Start+p.Bytes)/s - 1)}
		var err error
		if e.Type, err = parseGUID(p.Type); err != nil {
			return nil, err
		}
		if e.ID, err = parseGUID(p.UUID); err != nil {
			return nil, err
		}
		e.SetName(p.Name)
		if e.First < t.FirstUsable || e.Last > t.LastUsable {
			return nil, metal.Errorf(metal.Invalid, "partition %s reaches beyond the disk of %d bytes", p.Name, diskBytes)
		}
		if p.Preserve {
			if err := found(now, nowErr, p, e); err != nil {
				return nil, err
			}
			t.DiskID = now.DiskID
		}
		id.Write([]byte(p.UUID))
		t.Entries[p.Number-1] = e
	}
	if t.DiskID == (gpt.GUID{}) {
		copy(t.DiskID[:], id.Sum(nil)) // of the partitions', so that the same plan makes the same disk
	}
	return t, nil
}

// found makes sure that a partition to preserve is on the disk.
func found(now *gpt.Table, nowErr error, p metal.PlannedPartition, want gpt.Entry) error {
	if nowErr != nil {
		return metal.Errorf(metal.Conflict, "partition %s is to be kept, but the disk's partition table cannot be read: %w; nothing was changed", p.Name, nowErr)
	}
	if p.Number > len(now.Entries) || !now.Entries[p.Number-1].Used() {
		return metal.Errorf(metal.Conflict, "partition %s is to be kept, but the disk has no partition %d; nothing was changed", p.Name, p.Number)
	}
	is := now.Entries[p.Number-1]
	if is.Name() != want.Name() || is.First != want.First || is.Last != want.Last {
		return metal.Errorf(metal.Conflict, "partition %s is to be kept at blocks %d to %d, but partition %d of the disk is %q at blocks %d to %d; nothing was changed",
			p.Name, want.First, want.Last, p.Number, is.Name(), is.First, is.Last)
	}
	return nil
}

// parseGUID reads the text form; the first three fields are little-endian on disk (UEFI 2.10, appendix A).
func parseGUID(text string) (gpt.GUID, error) {
	raw, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err == nil && (len(raw) != 16 || strings.Count(text, "-") != 4) {
		err = errors.New("it is not of the form 8-4-4-4-12")
	}
	if err != nil {
		return gpt.GUID{}, metal.Errorf(metal.Invalid, "read the GUID %q: %w", text, err)
	}
	return gpt.GUID{
		raw[3], raw[2], raw[1], raw[0], raw[5], raw[4], raw[7], raw[6],
		raw[8], raw[9], raw[10], raw[11], raw[12], raw[13], raw[14], raw[15],
	}, nil
}
