package hardware

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// stall is how long a stream may be silent before its connection is given up.
const stall = 20 * time.Second

// firstGap and lastGap bound the pause before a broken stream is opened again.
const (
	firstGap = 250 * time.Millisecond
	lastGap  = 5 * time.Second
)

// stream reads a thing of known length from a server that may break off at any byte, or go away for a while: it
// opens it again where it stopped. It gives up only when its context ends, or when the server says that there is no
// such thing.
type stream struct {
	ctx    context.Context
	log    *slog.Logger
	open   func(ctx context.Context, offset int64) (io.ReadCloser, error)
	length int64
	stall  time.Duration

	offset int64
	body   io.ReadCloser
	cancel context.CancelFunc // of the connection behind body
	gap    patience
}

func newStream(ctx context.Context, log *slog.Logger, length int64, open func(ctx context.Context, offset int64) (io.ReadCloser, error)) *stream {
	return &stream{ctx: ctx, log: log, open: open, length: length, stall: stall, gap: patience(firstGap)}
}

// Read returns io.EOF after length bytes and not before.
func (s *stream) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for s.offset < s.length {
		if s.body == nil {
			if err := s.reopen(); err != nil {
				return 0, err
			}
			continue
		}
		watchdog := time.AfterFunc(s.stall, s.cancel)
		n, err := s.body.Read(p[:min(int64(len(p)), s.length-s.offset)])
		watchdog.Stop()
		s.offset += int64(n)
		if err != nil {
			s.Close()
			if s.offset < s.length && s.ctx.Err() == nil {
				s.log.Warn("image stream broke, opening it again", "offset", s.offset, "error", err)
			}
		}
		if n > 0 {
			s.gap = patience(firstGap)
			return n, nil
		}
		if err != nil && !s.gap.wait(s.ctx) {
			return 0, s.ctx.Err()
		}
	}
	return 0, io.EOF
}

// reopen opens the stream once. It returns an error only for what another try cannot mend.
func (s *stream) reopen() error {
	ctx, cancel := context.WithCancel(s.ctx)
	watchdog := time.AfterFunc(s.stall, cancel)
	body, err := s.open(ctx, s.offset)
	watchdog.Stop()
	if err == nil {
		s.body, s.cancel = body, cancel
		return nil
	}
	cancel()
	if final(err) {
		return fmt.Errorf("open image stream: %w", err)
	}
	s.log.Warn("open image stream", "offset", s.offset, "error", err)
	if !s.gap.wait(s.ctx) {
		return s.ctx.Err()
	}
	return nil
}

// final says whether another try cannot mend what the server said.
func final(err error) bool {
	var told *metal.Error
	if !errors.As(err, &told) {
		return false
	}
	return told.Code == metal.NotFound || told.Code == metal.Invalid || told.Code == metal.Forbidden
}

// patience is the pause before the next try.
type patience time.Duration

// wait pauses, longer each time; false when the context ended.
func (p *patience) wait(ctx context.Context) bool {
	t := time.NewTimer(time.Duration(*p))
	defer t.Stop()
	*p = min(2**p, patience(lastGap))
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// Close ends the present connection.
func (s *stream) Close() error {
	if s.body == nil {
		return nil
	}
	s.cancel()
	err := s.body.Close()
	s.body = nil
	return err
}
