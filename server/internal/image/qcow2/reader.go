package qcow2

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
)

// l2CacheBytes bounds the L2 tables that a Reader holds, but for the one it has just read.
const l2CacheBytes = 8 << 20

const (
	offsetMask  = 0x00ff_ffff_ffff_fe00 // bits 9 to 55 of L1 and L2 entries
	flagZero    = 1 << 0                // version 3: the cluster reads as zeros
	flagPacked  = 1 << 62               // the cluster is compressed
	sectorBytes = 512
)

// Reader is the disk inside an image. Its methods may be called from several goroutines.
type Reader struct {
	Header
	src io.ReaderAt
	l1  []uint64

	mu    sync.Mutex
	l2    map[int64][]uint64 // by offset in the file
	order []int64            // the same, oldest first

	unpackers sync.Pool // *unpacker
}

// NewReader reads the header and the L1 table of an image. A disk larger than maxSize bytes is refused.
func NewReader(src io.ReaderAt, maxSize int64) (*Reader, error) {
	head := make([]byte, HeaderSize)
	n, err := src.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read qcow2 header: %w", err)
	}
	h, err := Parse(head[:n])
	if err != nil {
		return nil, err
	}
	if h.Size > maxSize {
		return nil, fmt.Errorf("%w: a disk of %d bytes; at most %d are allowed", ErrUnsupported, h.Size, maxSize)
	}
	l1, err := readTable(src, h.L1Offset, h.L1Entries)
	if err != nil {
		return nil, fmt.Errorf("read L1 table: %w", err)
	}
	return &Reader{
		Header:    h,
		src:       src,
		l1:        l1,
		l2:        map[int64][]uint64{},
		unpackers: sync.Pool{New: func() any { return &unpacker{} }},
	}, nil
}

// ReadAt reads the disk, as io.ReaderAt asks. Clusters that the image does not hold read as zeros.
func (r *Reader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read qcow2 disk: negative offset %d", off)
	}
	if off >= r.Size {
		return 0, io.EOF
	}
	var end error
	if int64(len(p)) > r.Size-off {
		p, end = p[:r.Size-off], io.EOF
	}
	cluster := int64(1) << r.ClusterBits
	done := 0
	for done < len(p) {
		at := off + int64(done)
		within := at & (cluster - 1)
		part := p[done:min(len(p), done+int(cluster-within))]
		if err := r.readCluster(part, at-within, within); err != nil {
			return done, fmt.Errorf("read cluster at %#x: %w", at-within, err)
		}
		done += len(part)
	}
	return done, end
}

// readCluster fills p, which lies within one cluster, from byte `within` of the cluster at disk offset `guest`.
func (r *Reader) readCluster(p []byte, guest, within int64) error {
	entry, err := r.lookup(guest)
	if err != nil {
		return err
	}
	if entry&flagPacked != 0 {
		return r.readPacked(p, entry, within)
	}
	host := int64(entry & offsetMask)
	switch {
	case entry&flagZero != 0 && r.Version < 3:
		return fmt.Errorf("%w: a zero cluster in version 2", ErrCorrupt)
	case entry&flagZero != 0 || host == 0:
		clear(p)
		return nil
	case host&(1<<r.ClusterBits-1) != 0:
		return fmt.Errorf("%w: data at %#x, not on a cluster border", ErrCorrupt, host)
	}
	return readFull(r.src, p, host+within)
}

// lookup returns the L2 entry of the cluster at a disk offset; 0 where there is none.
func (r *Reader) lookup(guest int64) (uint64, error) {
	index := guest >> r.ClusterBits
	perTable := int64(1) << (r.ClusterBits - 3)
	offset := int64(r.l1[index/perTable] & offsetMask)
	if offset == 0 {
		return 0, nil
	}
	if offset&(1<<r.ClusterBits-1) != 0 {
		return 0, fmt.Errorf("%w: L2 table at %#x, not on a cluster border", ErrCorrupt, offset)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	table, ok := r.l2[offset]
	if !ok {
		var err error
		if table, err = readTable(r.src, offset, int(perTable)); err != nil {
			return 0, fmt.Errorf("read L2 table at %#x: %w", offset, err)
		}
		for len(r.order) > l2CacheBytes>>r.ClusterBits {
			delete(r.l2, r.order[0])
			r.order = r.order[1:]
		}
		r.l2[offset] = table
		r.order = append(r.order, offset)
	}
	return table[index%perTable], nil
}

// readPacked fills p from a compressed cluster. Its entry holds the byte offset in the file, and in how many further
// 512-byte sectors the packed bytes end; what follows them there is not part of the cluster.
func (r *Reader) readPacked(p []byte, entry uint64, within int64) error {
	split := 62 - (r.ClusterBits - 8)
	host := int64(entry & (1<<split - 1))
	sectors := int64(entry&(flagPacked-1)) >> split
	length := (sectors+1)*sectorBytes - host%sectorBytes

	u := r.unpackers.Get().(*unpacker)
	defer r.unpackers.Put(u)
	if int64(cap(u.packed)) < length {
		u.packed = make([]byte, length) // at most the 2 clusters that the sector count can express
	}
	packed := u.packed[:length]
	n, err := r.src.ReadAt(packed, host)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return u.unpack(p, packed[:n], r.Compression, within, int64(1)<<r.ClusterBits)
}

// unpacker holds what unpacking a cluster needs, so that it is made once and not per cluster.
type unpacker struct {
	packed  []byte
	cluster []byte
	inflate io.ReadCloser
	zstd    *zstd.Decoder
}

// unpack fills p with bytes of the cluster that packed holds, from `within` on. The whole cluster is unpacked even
// where p is less, so that a damaged one is never passed as good.
func (u *unpacker) unpack(p, packed []byte, kind Compression, within, size int64) error {
	var stream io.Reader
	switch kind {
	case Zstd:
		if u.zstd == nil {
			d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(64<<20))
			if err != nil {
				return fmt.Errorf("make zstd decoder: %w", err)
			}
			u.zstd = d
		}
		if err := u.zstd.Reset(bytes.NewReader(packed)); err != nil {
			return unpackFault(err)
		}
		stream = u.zstd
	default:
		if u.inflate == nil {
			u.inflate = flate.NewReader(nil)
		}
		if err := u.inflate.(flate.Resetter).Reset(bytes.NewReader(packed), nil); err != nil {
			return fmt.Errorf("reset inflater: %w", err)
		}
		stream = u.inflate
	}
	whole := p
	if int64(len(p)) != size {
		if int64(len(u.cluster)) != size {
			u.cluster = make([]byte, size)
		}
		whole = u.cluster
	}
	if _, err := io.ReadFull(stream, whole); err != nil {
		return unpackFault(err)
	}
	if int64(len(p)) != size {
		copy(p, whole[within:])
	}
	return nil
}

func unpackFault(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: a compressed cluster ends early", ErrTruncated)
	}
	return fmt.Errorf("%w: a compressed cluster cannot be unpacked: %w", ErrCorrupt, err)
}

// readTable reads n big-endian 64-bit entries.
func readTable(src io.ReaderAt, off int64, n int) ([]uint64, error) {
	raw := make([]byte, 8*n)
	if err := readFull(src, raw, off); err != nil {
		return nil, err
	}
	table := make([]uint64, n)
	for i := range table {
		table[i] = binary.BigEndian.Uint64(raw[8*i:])
	}
	return table, nil
}
