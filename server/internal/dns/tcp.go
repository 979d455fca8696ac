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

	// maxRequest is the longest request that is read, in bytes. A query has a few dozen; an update may have more.
	maxRequest = 1 << 15

	// usualRequest is the length up to which a connection needs no more memory.
	usualRequest = 1 << 10

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
	if err != nil || !s.clients.enter(client.Addr()) {
		return
	}
	defer s.clients.leave(client.Addr())
	var usual [usualRequest]byte
	for {
		if conn.SetDeadline(time.Now().Add(idle)) != nil {
			return
		}
		request, err := readMessage(conn, usual[:])
		if err == nil {
			err = s.answerTCP(ctx, conn, request, client)
		}
		if err != nil {
			s.log.Debug("DNS connection ends", "client", client, "error", err)
			return
		}
	}
}

// answerTCP answers one request. It is an error where there is no answer.
func (s *Server) answerTCP(ctx context.Context, conn net.Conn, request []byte, client netip.AddrPort) error {
	asked := time.Now()
	s.counters.tcp.Add(1)
	answer := func(wire []byte) error {
		s.note(client, "tcp", wire, asked)
		// Waiting for upstreams was not the client's time, and a transfer may be long.
		if err := conn.SetDeadline(time.Now().Add(idle)); err != nil {
			return err
		}
		return writeMessage(conn, wire)
	}
	view, recursive := s.zones.Now(), s.forwarder.serves(client.Addr())
	if wire, ok := quick(nil, request, view, s.self, recursive, byStream); ok {
		return answer(wire)
	}
	t := s.turn(request, client.Addr(), view, recursive)
	slots := t.slots
	if t.records != nil {
		slots = s.transfers
	}
	switch {
	case slots == nil:
	case !slots.take():
		t.answer.Rcode, t.records = dns.RcodeServerFailure, nil
	default:
		defer slots.release()
		if t.later != nil {
			t.answer = t.later(ctx)
		}
	}
	if t.answer == nil {
		return errAnswer
	}
	if t.records != nil {
		return s.copyZone(&t, client, answer)
	}
	wire, err := t.wire(t.answer, dns.MaxMsgSize, nil)
	if err != nil {
		return err
	}
	return answer(wire)
}

// copyZone answers with all records of a transfer.
func (s *Server) copyZone(t *turn, client netip.AddrPort, answer func([]byte) error) error {
	count := 0
	for m := range messages(t.answer, t.records) {
		count += len(m.Answer)
		wire, err := t.wire(m, dns.MaxMsgSize, nil)
		if err != nil {
			return fmt.Errorf("copy zone %s: %w", t.q.Question[0].Name, err)
		}
		if err := answer(wire); err != nil {
			return fmt.Errorf("copy zone %s: %w", t.q.Question[0].Name, err)
		}
	}
	s.counters.transfers.Add(1)
	s.log.Info("DNS zone copied", "zone", t.q.Question[0].Name, "type", dns.Type(t.q.Question[0].Qtype).String(),
		"client", client, "key", t.sig.by(), "records", count)
	return nil
}

// readMessage reads one message, which its length of two bytes goes before (RFC 1035, section 4.2.2), into usual if it
// fits.
func readMessage(from io.Reader, usual []byte) ([]byte, error) {
	if _, err := io.ReadFull(from, usual[:2]); err != nil {
		return nil, err
	}
	size := int(binary.BigEndian.Uint16(usual))
	if size > maxRequest {
		return nil, fmt.Errorf("a request of %d bytes; %d are read", size, maxRequest)
	}
	if size > len(usual) {
		usual = make([]byte, size)
	}
	_, err := io.ReadFull(from, usual[:size])
	return usual[:size], err
}

// writeMessage writes a message and its length at once, so that they leave in one segment.
func writeMessage(to io.Writer, wire []byte) error {
	framed := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(wire)), uint16(len(wire)))
	_, err := to.Write(append(framed, wire...))
	return err
}
