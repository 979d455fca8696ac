package gpt

import (
	"fmt"
	"slices"
)

// SeedBytes is the size of the partition that holds a machine's seed.
const SeedBytes = 4 << 20

const alignBytes = 1 << 20

// Span is a range of bytes on a disk.
type Span struct{ Offset, Bytes int64 }

// End is the first byte behind the span.
func (s Span) End() int64 { return s.Offset + s.Bytes }

// Fit moves the table's end to the true end of a disk of that many bytes and grows the last partition up to there,
// when it is a Linux file system. With seed it first sets aside SeedBytes at the end, as a partition of its own with
// that identifier, and returns where. Partitions never move and never shrink.
func (t *Table) Fit(diskBytes int64, seed bool, id GUID) (Span, error) {
	sector := uint64(t.SectorSize)
	overhead := uint64(t.arrayBytes())/sector + 2 // backup entries, backup header; lastBlock counts from 0
	blocks := uint64(diskBytes) / sector
	if t.FirstUsable >= blocks || blocks < overhead+t.FirstUsable {
		return Span{}, fmt.Errorf("disk of %d bytes is too small for a partition table", diskBytes)
	}
	// A table that grows to 128 slots must not swallow the first partition.
	primaryEnd := 2 + uint64(t.arrayBytes())/sector
	last := -1
	for i := range t.Entries {
		e := &t.Entries[i]
		if !e.Used() {
			continue
		}
		if e.First < primaryEnd {
			return Span{}, fmt.Errorf("partition %d begins at block %d, inside the partition table", i+1, e.First)
		}
		if last < 0 || e.Last > t.Entries[last].Last {
			last = i
		}
	}
	t.FirstUsable = max(t.FirstUsable, primaryEnd)
	t.LastUsable = blocks - overhead
	end := t.LastUsable + 1 // first block that no partition may have
	if last >= 0 && t.Entries[last].Last >= end {
		return Span{}, fmt.Errorf("partition %d ends at block %d, the disk's last usable one is %d", last+1, t.Entries[last].Last, t.LastUsable)
	}
	var span Span
	if seed {
		at, err := t.addSeed(end, last, id)
		if err != nil {
			return Span{}, err
		}
		span, end = Span{int64(at * sector), SeedBytes}, at
	}
	if last >= 0 && slices.Contains([]string{LinuxFilesystem, LinuxRootAMD64, LinuxRootARM64}, t.Entries[last].Type.String()) {
		align := uint64(alignBytes) / sector
		t.Entries[last].Last = max(t.Entries[last].Last, end/align*align-1)
	}
	return span, nil
}

// addSeed adds the seed partition before block end and behind partition last, and returns its first block.
func (t *Table) addSeed(end uint64, last int, id GUID) (uint64, error) {
	sector := uint64(t.SectorSize)
	align, size := alignBytes/sector, SeedBytes/sector
	used := t.FirstUsable
	if last >= 0 {
		used = t.Entries[last].Last + 1
	}
	if end < used+size || (end-size)/align*align < used {
		return 0, fmt.Errorf("no room for a seed partition of %d bytes behind the image's partitions: %d bytes are free",
			SeedBytes, (end-min(used, end))*sector)
	}
	first := (end - size) / align * align
	slot := slices.IndexFunc(t.Entries, func(e Entry) bool { return !e.Used() })
	if slot < 0 {
		if len(t.Entries) >= 128 {
			return 0, fmt.Errorf("the partition table's %d slots are all taken: there is none for the seed", len(t.Entries))
		}
		t.Entries = append(t.Entries, Entry{})
		slot = len(t.Entries) - 1
	}
	t.Entries[slot] = Entry{Type: MicrosoftBasic(), ID: id, First: first, Last: first + size - 1}
	t.Entries[slot].SetName("cidata")
	return first, nil
}
