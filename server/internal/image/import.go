package image

import (
	"bufio"
	"context"
	"errors"
	"io"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/image/qcow2"
)

// Import reads the file that spec names (or upload, where it is not nil), compares its SHA-256 with the one that spec
// states, unpacks it (gzip, xz, zstd or nothing), takes the disk out of it (raw or qcow2), and stores that under its
// own digest. It is safe to repeat and to break off: the content appears whole or not at all. progress may be nil; it
// is told a rising fraction of the work at most four times a second, where the source's size is known.
//
// A source that can never be imported is an Invalid error, a full disk an Exhausted one, and a file that the server's
// configuration does not allow a Forbidden one. After ctx ended the error is that of ctx.
func (s *Store) Import(ctx context.Context, spec metal.ImageSpec, upload io.Reader, progress func(float64)) (Content, error) {
	// The SHA-256 of a raw file that is not packed is the digest of its content: nothing needs to be fetched.
	if upload == nil && spec.SHA256 != "" && spec.Format != "qcow2" {
		if f, content, err := s.Open(spec.SHA256); err == nil {
			f.Close()
			return content, nil
		}
	}
	src, err := s.openSource(ctx, spec.Source, upload)
	if err != nil {
		return Content{}, err
	}
	defer src.close()
	job := &job{store: s, spec: spec, src: src, meter: &meter{report: progress, now: time.Now, to: 1}}
	start := time.Now()
	content, err := job.run(ctx)
	if err != nil {
		return Content{}, err
	}
	s.log.Info("imported an image", "source", src.name, "digest", content.Digest, "raw_bytes", content.RawBytes,
		"stored_bytes", content.StoredBytes, "seconds", time.Since(start).Seconds())
	return content, nil
}

// A job is one import.
type job struct {
	store *Store
	spec  metal.ImageSpec
	src   *source
	meter *meter
	// written is what the present step wrote to the store.
	written int64
}

func (j *job) run(ctx context.Context) (Content, error) {
	if j.src.size > j.store.opts.MaxBytes {
		return Content{}, j.fault(ctx, j.store.tooLarge(j.src.size))
	}
	in := bufio.NewReaderSize(j.src, readBuffer)
	head, err := in.Peek(sniffBytes)
	if err != nil && !errors.Is(err, io.EOF) {
		return Content{}, j.fault(ctx, err)
	}
	if len(head) == 0 {
		return Content{}, j.fault(ctx, flawf(metal.Invalid, "is empty"))
	}
	kind := compressionOf(head)
	unpacked, err := newUnpacker(kind, in)
	if err != nil {
		return Content{}, j.fault(ctx, err)
	}
	defer unpacked.close()
	disk := bufio.NewReaderSize(unpacked, readBuffer)
	head, err = disk.Peek(sniffBytes)
	if err != nil && !errors.Is(err, io.EOF) {
		return Content{}, j.fault(ctx, err)
	}
	format, err := formatOf(head, j.spec.Format)
	if err != nil {
		return Content{}, j.fault(ctx, err)
	}
	if format == "qcow2" {
		return j.qcow2(ctx, disk, kind == plain)
	}
	if err := checkHead(head); err != nil {
		return Content{}, j.fault(ctx, err)
	}
	j.src.seen = func(n int64) { j.meter.at(n, j.src.size) }
	bounded := &limited{r: disk, left: j.store.opts.MaxBytes, over: j.store.tooLarge(-1)}
	return j.keep(ctx, &packer{stream: withContext{ctx, bounded}}, func(raw int64) error {
		if err := checkSize(raw); err != nil {
			return err
		}
		return j.verify(ctx, in)
	})
}

// verify reads what may be left of the source, as its digest is of the whole file, and checks it.
func (j *job) verify(ctx context.Context, in io.Reader) error {
	if _, err := io.Copy(io.Discard, withContext{ctx, in}); err != nil {
		return err
	}
	return j.src.check(j.spec.SHA256)
}

// qcow2 imports the disk inside a qcow2 file. As its clusters lie anywhere, it must be a file: a local one that is not
// packed is read in place, anything else is put down first.
func (j *job) qcow2(ctx context.Context, unpacked io.Reader, isPlain bool) (Content, error) {
	file := j.src.file
	switch {
	case file != nil && isPlain:
		if j.spec.SHA256 != "" {
			j.meter.part(0, 0.3)
			j.src.seen = func(n int64) { j.meter.at(n, j.src.size) }
			if err := j.verify(ctx, unpacked); err != nil {
				return Content{}, j.fault(ctx, err)
			}
			j.meter.part(0.3, 1)
		}
	default:
		j.meter.part(0, 0.5)
		j.src.seen = func(n int64) { j.meter.at(n, j.src.size) }
		temp, err := j.spool(ctx, unpacked, isPlain)
		if err != nil {
			return Content{}, j.fault(ctx, err)
		}
		defer discard(temp)
		j.meter.part(0.5, 1)
		file = temp
	}
	j.src.seen = nil
	r, err := qcow2.NewReader(file, j.store.opts.MaxBytes)
	if err != nil {
		return Content{}, j.fault(ctx, err)
	}
	head := make([]byte, min(sniffBytes, r.Size))
	if _, err := r.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return Content{}, j.fault(ctx, err)
	}
	if err := errors.Join(checkHead(head), checkSize(r.Size)); err != nil {
		return Content{}, j.fault(ctx, err)
	}
	return j.keep(ctx, &packer{disk: r, size: r.Size, raw: func(n int64) { j.meter.at(n, r.Size) }}, func(int64) error { return nil })
}
