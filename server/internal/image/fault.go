package image

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/image/qcow2"
	"github.com/metalform/terraform-provider-metal/server/internal/image/vdisk"
)

// A flaw is what is wrong with a source, as the end of a sentence that begins with "it": "is truncated: ...".
type flaw struct {
	code metal.Code
	says string
	err  error // the cause, for the log only; may be nil
}

func flawf(code metal.Code, format string, args ...any) *flaw {
	return &flaw{code: code, says: fmt.Sprintf(format, args...)}
}

// Error tells the end of the sentence.
func (f *flaw) Error() string { return f.says }

// Unwrap returns the cause.
func (f *flaw) Unwrap() error { return f.err }

// tooLarge is the flaw of a disk of size bytes (negative: not known) above the limit.
func (s *Store) tooLarge(size int64) *flaw {
	if size < 0 {
		return flawf(metal.Invalid, "holds more than the %d bytes that the server's configuration allows", s.opts.MaxBytes)
	}
	return flawf(metal.Invalid, "has %d bytes: the server's configuration allows %d", size, s.opts.MaxBytes)
}

// fault makes an error for the caller out of what a step of the import returned.
func (j *job) fault(ctx context.Context, err error) error {
	var f *flaw
	var told *metal.Error
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("import %s: %w", j.src.name, ctx.Err())
	case isFull(err):
		return j.full(err)
	case errors.As(j.src.err, &told):
		return told // a download's own words; what the decoder made of the broken stream says less
	case j.src.err != nil:
		code := metal.Internal
		if j.src.file == nil {
			code = metal.Invalid // an upload that its sender broke off
		}
		return metal.Errorf(code, "cannot import %s: it cannot be read on after %d bytes: %v", j.src.name, j.src.read, j.src.err)
	case isDisk(err):
		return metal.Errorf(metal.Invalid, "cannot import %s: it cannot be read: %v", j.src.name, err)
	case errors.As(err, &f):
		return &metal.Error{Code: f.code, Message: fmt.Sprintf("cannot import %s: it %s", j.src.name, f.says), Err: f.err}
	}
	return metal.Errorf(metal.Internal, "cannot import %s: storing it went wrong: %v", j.src.name, err)
}

// isDisk says whether the reader of a disk format found the file wanting.
func isDisk(err error) bool {
	known := []error{qcow2.ErrUnsupported, qcow2.ErrCorrupt, qcow2.ErrTruncated, vdisk.ErrUnsupported, vdisk.ErrCorrupt, vdisk.ErrTruncated}
	return slices.ContainsFunc(known, func(known error) bool { return errors.Is(err, known) })
}

// isFull says whether an error means that no more can be written to a disk.
func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// full says how much room an import needs, as well as that can be known.
func (j *job) full(err error) error {
	need := fmt.Sprintf("more than the %s written so far", mebibytes(j.written))
	if f := j.meter.share; f > 0 {
		need = "about " + mebibytes(int64(float64(j.written)/f))
	}
	return &metal.Error{
		Code:    metal.Exhausted,
		Message: fmt.Sprintf("cannot import %s: the disk of the image store is full: this step needs %s, and %s", j.src.name, need, j.store.room()),
		Err:     err,
	}
}

// room says in words how much of the store's disk is free.
func (s *Store) room() string {
	free, err := s.free()
	if err != nil {
		return "how much is free cannot be told"
	}
	return mebibytes(free) + " are free"
}

// free is how many bytes the server may still write to the store's disk.
func (s *Store) free() (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(s.dir, &st); err != nil {
		return 0, fmt.Errorf("look at the disk of the image store: %w", err)
	}
	return int64(st.Bavail) * st.Bsize, nil
}

// mebibytes shows a size, rounded up.
func mebibytes(n int64) string { return fmt.Sprintf("%d MiB", (n+1<<20-1)>>20) }
