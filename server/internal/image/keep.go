package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// keep packs a disk into the store. approve is told the raw size when everything is written, and may still refuse it.
func (j *job) keep(ctx context.Context, p *packer, approve func(raw int64) error) (Content, error) {
	temp, err := j.store.temp()
	if err != nil {
		return Content{}, j.fault(ctx, err)
	}
	defer discard(temp)
	p.w = j.count(temp)
	out, err := p.pack(ctx)
	if err == nil {
		err = approve(out.raw)
	}
	if err != nil {
		return Content{}, j.fault(ctx, err)
	}
	content := Content{Digest: out.digest, RawBytes: out.raw, StoredBytes: out.stored}
	if f, there, err := j.store.Open(out.digest); err == nil {
		// The same content as before: its file stays, since somebody may be reading it in ranges.
		f.Close()
		return there, nil
	}
	if err := errors.Join(j.store.keepTable(&out.chunks), j.store.publish(temp, j.store.path(content.Digest))); err != nil {
		return Content{}, j.fault(ctx, err)
	}
	return content, nil
}

// spool puts a mapped disk image down where it can be read at any place, and checks the source's digest. isPlain says that
// the file is as large as the source.
func (j *job) spool(ctx context.Context, unpacked io.Reader, isPlain bool) (*os.File, error) {
	if isPlain && j.src.size > 0 {
		if free, err := j.store.free(); err == nil && free < j.src.size {
			return nil, &flaw{code: metal.Exhausted, says: fmt.Sprintf("needs %s in the image store for its conversion, and %s",
				mebibytes(j.src.size), j.store.room())}
		}
	}
	temp, err := j.store.temp()
	if err != nil {
		return nil, err
	}
	bounded := &limited{r: unpacked, left: j.store.opts.MaxBytes, over: j.store.tooLarge(-1)}
	_, err = io.Copy(j.count(temp), withContext{ctx, bounded})
	if err == nil {
		err = j.verify(ctx, unpacked)
	}
	if err != nil {
		discard(temp)
		return nil, err
	}
	return temp, nil
}

// count returns a writer to a file that keeps j.written up to date.
func (j *job) count(f *os.File) io.Writer {
	j.written = 0
	return &counted{f, &j.written}
}

// temp makes a file for an import under way.
func (s *Store) temp() (*os.File, error) {
	f, err := os.CreateTemp(s.dir, tempPattern)
	if err != nil {
		return nil, fmt.Errorf("make a file in the image store: %w", err)
	}
	return f, nil
}

// discard closes a temporary file and removes it, if it still has its own name.
func discard(f *os.File) {
	f.Close()
	os.Remove(f.Name()) // what cannot be removed now goes at the next start
}

// publish gives a finished file its name. A crash at any point leaves the whole content or none of it.
func (s *Store) publish(f *os.File, path string) error {
	if err := f.Chmod(0o640); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(s.dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// limited reads at most left bytes, and fails with over when there are more.
type limited struct {
	r    io.Reader
	left int64
	over error
}

// Read reads on.
func (l *limited) Read(p []byte) (int, error) {
	n, err := l.r.Read(p[:min(int64(len(p)), l.left+1)])
	if l.left -= int64(n); l.left < 0 {
		return n, l.over
	}
	return n, err
}

// withContext is a reader that ends with its context.
type withContext struct {
	ctx context.Context
	r   io.Reader
}

// Read reads on.
func (c withContext) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// counted adds up what is written.
type counted struct {
	w io.Writer
	n *int64
}

// Write writes on.
func (c *counted) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	*c.n += int64(n)
	return n, err
}
