package ipmi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/metalform/terraform-provider-metal/server/internal/bmc"
)

const (
	// maxFirstWait is how long the first transmission is given before the next; the wait doubles, up to maxWait.
	maxFirstWait = time.Second
	maxWait      = 4 * time.Second
	// maxDatagram is more than any IPMI message has.
	maxDatagram = 1024
)

// link is a UDP socket that is connected to the BMC, so that datagrams of others do not reach us.
type link struct {
	conn      net.Conn
	firstWait time.Duration
}

// firstWait returns a wait that leaves room for some transmissions within timeout.
func firstWait(timeout time.Duration) time.Duration { return min(timeout/8, maxFirstWait) }

// exchange sends what request makes, again and again with growing pauses, until accept takes a datagram. request is
// told how often it was called before. It returns ErrUnreachable when ctx's deadline passes, and ctx's own error when
// it is cancelled.
func (l *link) exchange(ctx context.Context, request func(attempt int) ([]byte, error), accept func(datagram []byte) bool) error {
	stop := context.AfterFunc(ctx, func() { _ = l.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var last error
	for attempt, wait := 0, l.firstWait; ; attempt, wait = attempt+1, min(2*wait, maxWait) {
		datagram, err := request(attempt)
		if err != nil {
			return err
		}
		until := time.Now().Add(wait)
		if _, err = l.conn.Write(datagram); err == nil {
			var taken bool
			if taken, err = l.receive(ctx, until, accept); taken {
				return nil
			}
		}
		if err != nil { // as when nobody listens on the port: a BMC that restarts, perhaps
			last = err
			pause(ctx, time.Until(until))
		}
		if ctx.Err() != nil {
			return silence(ctx, last)
		}
	}
}

// receive reads until accept takes a datagram or time is up, which is no error.
func (l *link) receive(ctx context.Context, until time.Time, accept func([]byte) bool) (bool, error) {
	buf := make([]byte, maxDatagram)
	if err := l.conn.SetReadDeadline(until); err != nil {
		return false, err
	}
	for ctx.Err() == nil { // asked after the deadline was set, which may have undone that of exchange's AfterFunc
		n, err := l.conn.Read(buf)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return false, nil
		case err != nil:
			return false, err
		case accept(buf[:n]):
			return true, nil
		}
	}
	return false, nil
}

// silence returns the error for a BMC that was not heard of while ctx lived; last is what the socket said, if anything.
func silence(ctx context.Context, last error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	if last != nil {
		return fmt.Errorf("%w: %w", bmc.ErrUnreachable, last)
	}
	return bmc.ErrUnreachable
}
