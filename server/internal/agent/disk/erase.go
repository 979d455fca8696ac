package disk

import (
	"context"
	"errors"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/disk/gpt"
)

const (
	samples     = 64      // evenly spaced blocks read back after a wipe, besides the two at the ends
	sampleBytes = 4 << 10 // of each
)

// Erase wipes a disk and reads samples of it back.
//
//   - quick destroys partition tables and signatures, and has the device discard or zero the rest where it can do
//     so without being sent every block. Samples may still show data on devices that can neither: NonZero says so.
//   - zero overwrites every block. Samples that are not zero afterwards are an error.
//   - secure is the device's own format, sanitise or security erase. A device that has none is an error: nothing weaker
//     is done.
//
// progress gets fractions from 0 to 1, and may be nil. When ctx ends Erase stops at the next chunk; a device's own format is not
// stopped. The disk must not be in use.
func Erase(ctx context.Context, d metal.Disk, devPath string, mode metal.Erase, progress func(float64)) (metal.DiskWiped, error) {
	wiped := metal.DiskWiped{Name: d.Name, Model: d.Model, Serial: d.Serial, WWN: d.WWN, StartedAt: time.Now().UTC()}
	if progress == nil {
		progress = func(float64) {}
	}
	if d.ReadOnly {
		return wiped, metal.Errorf(metal.Invalid, "erase disk %s: it is read-only", d.Name)
	}
	dev, err := openDevice(devPath)
	if err != nil {
		return wiped, err
	}
	defer dev.Close()
	wiped.Bytes = dev.bytes
	switch mode {
	case metal.EraseQuick:
		wiped.Method, err = dev.quick(ctx, progress)
	case metal.EraseZero:
		wiped.Method, err = dev.zero(ctx, progress)
	case metal.EraseSecure:
		wiped.Method, err = dev.secure(ctx, d, progress)
	default:
		return wiped, metal.Errorf(metal.Invalid, "erase disk %s: there is no way %q to erase; use quick, zero or secure", d.Name, mode)
	}
	if err != nil {
		return wiped, err
	}
	if err := errors.Join(dev.sync(), dev.reread()); err != nil {
		return wiped, err
	}
	wiped.Sampled, wiped.NonZero, err = dev.sample()
	if err != nil {
		return wiped, err
	}
	wiped.Result, wiped.EndedAt = resultOf(wiped), time.Now().UTC()
	if mode == metal.EraseZero && wiped.NonZero > 0 {
		return wiped, metal.Errorf(metal.Internal, "erase disk %s: %d of %d blocks read back are not zero after every block was overwritten; replace the disk",
			d.Name, wiped.NonZero, wiped.Sampled)
	}
	progress(1)
	return wiped, nil
}

// resultOf says what the samples prove. A device that threw its key away may read back as noise.
func resultOf(w metal.DiskWiped) metal.WipeResult {
	switch {
	case w.NonZero == 0:
		return metal.WipeVerified
	case strings.HasSuffix(w.Method, cryptoSuffix):
		return metal.WipeTrusted
	}
	return metal.WipeDataLeft
}

func (d *device) quick(ctx context.Context, progress func(float64)) (string, error) {
	if err := d.wipeSignatures(ctx); err != nil {
		return "", err
	}
	method := "signatures"
	if d.discards {
		if err := d.ranges(ctx, blkDiscard, d.bytes, progress); err == nil {
			method += ", blkdiscard"
		} else if !unsupported(err) {
			return "", err
		}
		_, left, err := d.sample()
		if err != nil || left == 0 {
			return method, err
		}
	}
	if !d.zeroes {
		return method, nil
	}
	err := d.ranges(ctx, blkZeroOut, d.bytes, progress)
	if err == nil {
		method += ", blkzeroout"
	} else if !unsupported(err) {
		return "", err
	}
	return method, nil
}

// wipeSignatures overwrites what makes the disk's content recognisable.
func (d *device) wipeSignatures(ctx context.Context) error {
	head, err := d.readBytes(0, gpt.HeadBytes)
	if err != nil {
		return err
	}
	for _, span := range signatureSpans(partitions(head, d.sector), d.bytes, d.sector) {
		if err := d.writeZeros(ctx, span, func(int64) {}); err != nil {
			return err
		}
	}
	return d.sync()
}

func (d *device) zero(ctx context.Context, progress func(float64)) (string, error) {
	err := d.ranges(ctx, blkZeroOut, d.bytes, progress)
	if err == nil {
		return "blkzeroout", nil
	}
	if !unsupported(err) {
		return "", err
	}
	err = d.writeZeros(ctx, gpt.Span{Bytes: d.bytes}, func(done int64) { progress(float64(done) / float64(d.bytes)) })
	return "zero", err
}

// ranges sends one of the range ioctls for the disk up to an offset, in pieces so that it can be called off.
func (d *device) ranges(ctx context.Context, request uintptr, end int64, progress func(float64)) error {
	for at := int64(0); at < end; at += zeroBytes {
		if err := ctx.Err(); err != nil {
			return metal.Errorf(metal.Conflict, "clear disk %s: called off at offset %d: %w", d.path, at, err)
		}
		if err := d.rangeIoctl(request, at, min(zeroBytes, end-at)); err != nil {
			return metal.Errorf(metal.Internal, "clear disk %s at offset %d: %w", d.path, at, err)
		}
		progress(float64(at) / float64(end))
	}
	return nil
}

// unsupported says whether the device or the file does not know the ioctl. Some controllers answer EREMOTEIO to a
// command they claimed to have.
func unsupported(err error) bool {
	for _, e := range []unix.Errno{unix.ENOTTY, unix.EOPNOTSUPP, unix.EINVAL, unix.EREMOTEIO, unix.ENOSYS} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// writeZeros overwrites a span with zeros, block by block.
func (d *device) writeZeros(ctx context.Context, span gpt.Span, progress func(int64)) error {
	zeros := aligned(int(min(chunkBytes, max(span.Bytes, 1))))
	defer free(zeros)
	for at := span.Offset; at < span.End(); at += int64(len(zeros)) {
		if err := ctx.Err(); err != nil {
			return metal.Errorf(metal.Conflict, "clear disk %s: called off at offset %d: %w", d.path, at, err)
		}
		if err := d.writeAt(zeros[:min(int64(len(zeros)), span.End()-at)], at); err != nil {
			return err
		}
		progress(at - span.Offset)
	}
	return nil
}

// sample reads evenly spaced blocks and both ends, and counts those that hold anything.
func (d *device) sample() (read, nonZero int, err error) {
	for _, at := range samplePoints(d.bytes, d.sector) {
		b, err := d.readBytes(at, int(min(sampleBytes, d.bytes-at)))
		if err != nil {
			return read, nonZero, err
		}
		read++
		if !isZero(b) {
			nonZero++
		}
	}
	return read, nonZero, nil
}

// samplePoints returns the offsets to read: the first block, the last one, and samples in between, each at a whole
// sector and none twice.
func samplePoints(bytes int64, sector int) []int64 {
	last := (bytes - sampleBytes) / int64(sector) * int64(sector)
	if last <= 0 {
		return []int64{0}
	}
	points := []int64{0}
	for i := int64(1); i <= samples+1; i++ {
		// Divided first: bytes times samples may not fit where a disk has more than 2^56 bytes.
		at := last / (samples + 1) * i / sampleBytes * sampleBytes
		if i == samples+1 {
			at = last
		}
		if at > points[len(points)-1] {
			points = append(points, at)
		}
	}
	return points
}
