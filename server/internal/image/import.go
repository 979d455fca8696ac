package image

import (
	"bufio"
	"context"
	"errors"
	"io"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Import reads the file that spec names (or upload, where it is not nil), compares its SHA-256 and SHA-512 with those that
// spec states, unpacks it (gzip, xz, zstd, bzip2 or nothing), takes the disk out of it (raw, qcow2, vmdk, vhd or vhdx, or the
// one disk image in a tar archive), and stores that under its own digest. Where the format tar or squashfs or the
// kind root is declared, the archive or file system itself is stored. It is safe to repeat and to break off: the content appears whole or not at all. progress may be nil; it
// is told a rising fraction of the work at most four times a second, where the source's size is known.
//
// A source that can never be imported is an Invalid error, a full disk an Exhausted one, and a file that the server's
// configuration does not allow a Forbidden one. After ctx ended the error is that of ctx.
func (s *Store) Import(ctx context.Context, spec metal.ImageSpec, upload io.Reader, progress func(float64)) (Content, error) {
	// The SHA-256 of a raw file that is not packed is the digest of its content: nothing needs to be fetched.
	if upload == nil && spec.SHA256 != "" && spec.SHA512 == "" {
		if content, ok := s.holds(spec.SHA256, spec.Format); ok {
			return content, nil
		}
	}
	src, err := s.openSource(ctx, spec, upload)
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
	declared, err := declaredFormat(j.spec, head)
	if err != nil {
		return Content{}, j.fault(ctx, err)
	}
	form, err := formatOf(head, declared)
	if err != nil {
		return Content{}, j.fault(ctx, err)
	}
	limit := &limited{r: disk, left: j.store.opts.MaxBytes, over: j.store.tooLarge(-1)}
	var rest io.Reader // of an archive, behind its disk
	if form == tarball && (declared == "" || declared == "auto") {
		rest = limit
		if disk, head, err = firstMember(limit); err == nil {
			form, err = formatOf(head, "auto")
		}
		if err != nil {
			return Content{}, j.fault(ctx, err)
		}
	}
	if form.mapped() {
		return j.mapped(ctx, form, disk, kind == plain && rest == nil)
	}
	check, err := newCheck(form, head)
	if err != nil {
		return Content{}, j.fault(ctx, err)
	}
	defer check.end()
	j.src.seen = func(n int64) { j.meter.at(n, j.src.size) }
	if rest == nil {
		disk = bufio.NewReaderSize(limit, readBuffer)
	}
	return j.keep(ctx, &packer{stream: withContext{ctx, check.watch(disk)}}, func(raw int64) error {
		if err := check.whole(raw); err != nil {
			return err
		}
		if rest != nil {
			if _, err := io.Copy(io.Discard, withContext{ctx, rest}); err != nil {
				return err
			}
		}
		return j.verify(ctx, in)
	})
}

// declaredFormat is the format that spec declares of content that begins with head: an archive or a file system of
// kind root is taken for what it is. A disk is no root.
func declaredFormat(spec metal.ImageSpec, head []byte) (string, error) {
	if spec.Kind != metal.ImageRoot || (spec.Format != "" && spec.Format != "auto") {
		return spec.Format, nil
	}
	for _, root := range []format{tarball, squashfs} {
		if _, err := formatOf(head, string(root)); err == nil {
			return string(root), nil
		}
	}
	if found, err := formatOf(head, "auto"); err == nil && (found.mapped() || checkHead(head) == nil) {
		return "", flawf(metal.Invalid, "is an image of a whole disk, and kind says root, which is a tar archive or a squashfs file system: declare kind disk, or give the archive")
	}
	return spec.Format, nil
}

// verify reads what may be left of the source, as its digest is of the whole file, and checks it.
func (j *job) verify(ctx context.Context, in io.Reader) error {
	if _, err := io.Copy(io.Discard, withContext{ctx, in}); err != nil {
		return err
	}
	return j.src.check(j.spec)
}

// mapped imports the disk inside a file of a format that maps it. As its parts lie anywhere, it must be a file: a local
// one that is not packed is read in place, anything else is put down first.
func (j *job) mapped(ctx context.Context, f format, unpacked io.Reader, isPlain bool) (Content, error) {
	file := j.src.file
	switch {
	case file != nil && isPlain:
		if j.spec.SHA256 != "" || j.spec.SHA512 != "" {
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
	disk, size, err := openDisk(f, file, j.store.opts.MaxBytes)
	if err != nil {
		return Content{}, j.fault(ctx, err)
	}
	head := make([]byte, min(sniffBytes, size))
	if _, err := disk.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return Content{}, j.fault(ctx, err)
	}
	if err := errors.Join(checkHead(head), checkSize(size)); err != nil {
		return Content{}, j.fault(ctx, err)
	}
	return j.keep(ctx, &packer{disk: disk, size: size, raw: func(n int64) { j.meter.at(n, size) }}, func(int64) error { return nil })
}
