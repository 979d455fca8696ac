package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

const (
	// maxConnections are open at once; more wait in the kernel's queue.
	maxConnections = 128

	// idle is how long a connection may be silent between requests, and how long one message may take (RFC 7766,
	// section 6.2.3, asks for a few seconds).
	idle = 10 * time.Second

	// maxRequest is the longest request that is read, in bytes; a query has a few dozen.
	maxRequest = 4096

	// acceptPause is waited when the process has no file descriptor left for a connection.
	acceptPause = 100 * time.Millisecond
)

// serveTCP accepts connections until ctx ends, and returns when all of them are closed.
func (s *Server) serveTCP(ctx context.Context, listener net.Listener) error {
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	var open sync.WaitGroup
	defer open.Wait()
	for {
		select {
		case s.tcp <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		conn, err := listener.Accept()
		if err == nil {
			open.Go(func() {
				defer func() { <-s.tcp }()
				s.serveConnection(ctx, conn)
			})
			continue
		}
		<-s.tcp
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE), errors.Is(err, unix.ECONNABORTED):
			s.log.Warn("DNS connection not accepted", "error", err)
			select {
			case <-time.After(acceptPause):
			case <-ctx.Done():
			}
		default:
			return fmt.Errorf("accept DNS connections on %s: %w", listener.Addr(), err)
		}
	}
}

// serveConnection answers the requests of one connection in the order in which they come.
func (s *Server) serveConnection(ctx context.Context, conn net.Conn) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()
	client, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return
	}
	request := make([]byte, maxRequest)
	for {
		if conn.SetDeadline(time.Now().Add(idle)) != nil {
			return
		}
		size, err := readMessage(conn, request)
		if err != nil {
			s.log.Debug("DNS connection ends", "client", client, "error", err)
			return
		}
		answer := s.answerTCP(ctx, request[:size], client.Addr())
		if answer == nil {
			return
		}
		// Waiting for upstreams was not the client's time.
		if conn.SetDeadline(time.Now().Add(idle)) != nil || writeMessage(conn, answer) != nil {
			return
		}
	}
}

// answerTCP answers one request, or returns nil where it gets no answer.
func (s *Server) answerTCP(ctx context.Context, request []byte, client netip.Addr) *dns.Msg {
	q, answer, elsewhere := s.local(request, client)
	if !elsewhere {
		return answer
	}
	if !s.forwarder.take() {
		answer.Rcode = dns.RcodeServerFailure
		return answer
	}
	defer s.forwarder.release()
	return s.remote(ctx, q)
}

// readMessage reads one message, which its length of two bytes goes before (RFC 1035, section 4.2.2), into buf.
func readMessage(from io.Reader, buf []byte) (int, error) {
	if _, err := io.ReadFull(from, buf[:2]); err != nil {
		return 0, err
	}
	size := int(binary.BigEndian.Uint16(buf))
	if size > len(buf) {
		return 0, fmt.Errorf("a request of %d bytes; %d are read", size, len(buf))
	}
	return io.ReadFull(from, buf[:size])
}

// writeMessage writes a message and its length at once, so that they leave in one segment.
func writeMessage(to io.Writer, m *dns.Msg) error {
	wire, err := pack(m, dns.MaxMsgSize, nil)
	if err != nil {
		return err
	}
	framed := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(wire)), uint16(len(wire)))
	_, err = to.Write(append(framed, wire...))
	return err
}
