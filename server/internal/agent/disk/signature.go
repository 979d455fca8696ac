package disk

import (
	"bytes"
	"errors"

	"github.com/metalform/terraform-provider-metal/server/internal/agent/disk/gpt"
)

const (
	endsBytes      = 16 << 20 // wiped at either end of a disk
	partitionBytes = 2 << 20  // wiped at either end of a partition: RAID 1.0, LVM and ZFS keep labels at both
	copyBytes      = 64 << 10 // wiped where a copy of a superblock is
)

// mark is a signature at a fixed place: from the start, or from the end where the offset is negative.
type mark struct {
	offset int
	magic  string
}

// marks are the signatures of what makes a disk not empty.
func marks() []mark {
	return []mark{
		{512, "EFI PART"}, {4096, "EFI PART"}, {-512, "EFI PART"}, {-4096, "EFI PART"},
		{510, "\x55\xAA"},                                     // master boot record, FAT, NTFS
		{0, "XFSB"}, {0, "LUKS\xBA\xBE"}, {0x438, "\x53\xEF"}, // ext2 to ext4
		{0x10040, "_BHRfS_M"},              // btrfs
		{0, "LABELONE"}, {512, "LABELONE"}, // LVM2 may be in any of the first four sectors
		{1024, "LABELONE"}, {1536, "LABELONE"}, //
		{0, "\xFC\x4E\x2B\xA9"}, {4096, "\xFC\x4E\x2B\xA9"}, // MD 1.1 and 1.2
		{-0x10000, "\xFC\x4E\x2B\xA9"}, {-0x2000, "\xFC\x4E\x2B\xA9"}, // MD 0.90 and 1.0
		{4086, "SWAPSPACE2"}, {0x8001, "CD001"},
	}
}

// holdsData says whether the first and last bytes of a disk show a partition table, a file system or a member of an
// array. Places that were not read count as empty.
func holdsData(head, tail []byte) bool {
	for _, m := range marks() {
		b, at := head, m.offset
		if at < 0 {
			b, at = tail, len(tail)+at
		}
		if at >= 0 && at+len(m.magic) <= len(b) && bytes.HasPrefix(b[at:], []byte(m.magic)) {
			return true
		}
	}
	return false
}

// signatureSpans returns what a quick wipe overwrites: both ends of the disk, both ends of each partition its table
// names, and the places where btrfs keeps copies of its superblock. The spans lie within the disk and begin and end
// at whole sectors; they may overlap.
func signatureSpans(parts []gpt.Span, diskBytes int64, sector int) []gpt.Span {
	var spans []gpt.Span
	add := func(from, to int64) {
		s := int64(sector)
		from, to = max(from, 0)/s*s, min((to+s-1)/s*s, diskBytes)
		if from < to {
			spans = append(spans, gpt.Span{Offset: from, Bytes: to - from})
		}
	}
	copies := func(start, end int64) {
		for _, at := range []int64{64 << 20, 256 << 30} {
			if start+at+copyBytes <= end {
				add(start+at, start+at+copyBytes)
			}
		}
	}
	add(0, endsBytes)
	add(diskBytes-endsBytes, diskBytes)
	copies(0, diskBytes)
	for _, p := range parts {
		add(p.Offset, min(p.Offset+partitionBytes, p.End()))
		add(max(p.End()-partitionBytes, p.Offset), p.End())
		copies(p.Offset, p.End())
	}
	return spans
}

// partitions returns where the partitions are that the first bytes of a disk tell of. A damaged table has none.
func partitions(head []byte, sector int) []gpt.Span {
	var spans []gpt.Span
	t, err := gpt.Parse(head, sector)
	switch {
	case err == nil:
		for _, e := range t.Entries {
			// Beyond 2^50 blocks no disk reaches, and bytes would overflow.
			if e.Used() && e.Last < 1<<50 {
				spans = append(spans, gpt.Span{Offset: int64(e.First) * int64(sector), Bytes: int64(e.Last-e.First+1) * int64(sector)})
			}
		}
	case errors.Is(err, gpt.ErrNone):
		table, _ := gpt.ParseMBR(head)
		for _, e := range table {
			if e.System != 0 {
				spans = append(spans, gpt.Span{Offset: int64(e.First) * int64(sector), Bytes: int64(e.Blocks) * int64(sector)})
			}
		}
	}
	return spans
}
