// Package tftp serves files to boot firmware, and takes none (RFC 1350, with the options blksize and tsize of RFC 2348
// and 2349). The protocol is pin/tftp's; this package decides who is served, what a name means, which error a client
// is told, and bounds how many transfers run and how long they last.
package tftp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/pin/tftp/v3"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const (
	// maxBlock is the largest block, in bytes: what an Ethernet frame of 1500 holds beside the headers of IPv4 (20),
	// UDP (8) and TFTP (4). Firmware does not reassemble fragments. The library takes less where the interface that
	// the request came by has a smaller MTU.
	maxBlock = 1468

	// A block that is not acknowledged is sent again after timeout, retries times; firmware asks again after 1 to 4
	// seconds. Then the client is taken for gone.
	timeout = time.Second
	retries = 5

	// maxTransfers run at once; who asks beyond is told to come again. Each holds a socket and readAhead bytes.
	maxTransfers = 256

	// readAhead is how much of a file is read at once.
	readAhead = 64 << 10

	// maxDuration bounds one transfer. The slowest that was seen, UNDI in an emulated machine, moves 3 MB/s.
	maxDuration = 15 * time.Minute
)

// Open returns the content of a file, for the client at from, and its size in bytes; -1 when that is not known. The
// name has been through Clean. metal.NotFound is told to the client as such. The content is closed after the transfer.
type Open func(ctx context.Context, name string, from netip.Addr) (content io.ReadCloser, size int64, err error)

// A Server answers read requests on one socket.
type Server struct {
	conn  *net.UDPConn
	open  Open
	log   *slog.Logger
	slots chan struct{}
}

// New makes a server on conn, which is bound to one address family, and which the server closes when it ends.
func New(conn *net.UDPConn, open Open, log *slog.Logger) *Server {
	return &Server{conn: conn, open: open, log: log, slots: make(chan struct{}, maxTransfers)}
}

// Run serves until ctx ends. It returns nil when the transfers that were under way have ended as well: they are
// stopped with their next block, or, when the client is gone, after the retries of about six seconds.
func (s *Server) Run(ctx context.Context) error {
	library := tftp.NewServer(
		func(name string, to io.ReaderFrom) error { return s.read(ctx, name, to) },
		func(name string, from io.WriterTo) error { return s.refuseWrite(name, from) },
	)
	library.SetTimeout(timeout)
	library.SetRetries(retries)
	library.SetBackoff(func(int) time.Duration { return 0 }) // timeout is wait enough
	library.SetBlockSize(maxBlock)
	library.SetHook(requests{s.log})

	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		library.Shutdown()
	})
	err := library.Serve(s.conn)
	if stop() {
		return errors.Join(fmt.Errorf("serve TFTP on %s: %w", s.conn.LocalAddr(), err), s.conn.Close())
	}
	<-stopped
	_ = s.conn.Close() // in case ctx ended before Serve knew the socket; closing it twice is harmless
	library.Shutdown() // a request that was being taken in while the first one waited
	return nil
}

// read serves one read request.
func (s *Server) read(ctx context.Context, name string, to io.ReaderFrom) error {
	peer := peerOf(to)
	log := s.log.With("file", name, "client", peer.remote)
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		log.Warn("TFTP refused: too many transfers at once", "limit", maxTransfers)
		return s.refuse(peer, codeUndefined, "busy: too many transfers at once")
	}
	name, err := Clean(name)
	if err != nil {
		log.Info("TFTP refused", "error", err)
		return s.refuse(peer, codeUndefined, message(err))
	}
	ctx, cancel := context.WithTimeout(ctx, maxDuration)
	defer cancel()
	content, size, err := s.open(ctx, name, peer.remote.Addr())
	if err != nil {
		if metal.CodeOf(err) == metal.NotFound {
			log.Info("TFTP file not found", "error", err)
			return toClient(message(err)) // the library's own error code is 1, file not found
		}
		log.Warn("TFTP file not opened", "error", err)
		return s.refuse(peer, codeUndefined, message(err))
	}
	defer content.Close()
	return s.transfer(ctx, log, content, size, to)
}

// transfer sends content and logs how that went.
func (s *Server) transfer(ctx context.Context, log *slog.Logger, content io.Reader, size int64, to io.ReaderFrom) error {
	if sized, ok := to.(tftp.OutgoingTransfer); ok && size >= 0 {
		sized.SetSize(size)
	}
	log.Info("TFTP transfer starts", "size", size)
	start := time.Now()
	// Blocks are small: read one by one, every one would cost a call of the kernel more.
	source := &reader{ctx: ctx, content: bufio.NewReaderSize(content, readAhead)}
	_, err := to.ReadFrom(source)
	log = log.With("bytes", source.read, "duration", time.Since(start).Round(time.Millisecond))
	switch {
	case source.failed != nil:
		log.Warn("TFTP transfer broken off: reading the file", "error", source.failed)
	case err != nil:
		// Not a fault: PXE firmware asks for the size first and breaks off, and a machine may lose its power.
		log.Info("TFTP transfer broken off by the client", "error", err)
	default:
		log.Info("TFTP transfer done")
	}
	return err
}

// refuseWrite answers a write request: this server takes nothing.
func (s *Server) refuseWrite(name string, from io.WriterTo) error {
	peer := peerOf(from)
	s.log.Warn("TFTP write refused", "file", name, "client", peer.remote)
	return s.refuse(peer, codeAccess, "this server takes no files")
}

// requests logs what never became a transfer. Strangers can cause it at will, so it is for debugging only.
type requests struct{ log *slog.Logger }

// OnSuccess does nothing: transfer logs.
func (requests) OnSuccess(tftp.TransferStats) {}

// OnFailure logs a request that was not taken; one with a client is a transfer, which logs for itself.
func (r requests) OnFailure(stats tftp.TransferStats, err error) {
	if stats.RemoteAddr == nil {
		r.log.Debug("TFTP request not taken", "error", err)
	}
}

// A reader counts what is read, ends with its context, and keeps the cause of a failure from the client.
type reader struct {
	ctx     context.Context
	content io.Reader
	read    int64
	failed  error
}

// Read reads from the content.
func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		r.failed = context.Cause(r.ctx)
		return 0, toClient("transfer stopped by the server")
	}
	n, err := r.content.Read(p)
	r.read += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		r.failed = err
		return n, toClient("the server cannot read the file")
	}
	return n, err
}
