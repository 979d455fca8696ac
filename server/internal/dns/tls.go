package dns

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	// tlsIdle is how long a connection to an upstream is kept without an answer.
	tlsIdle = 15 * time.Second

	// padding is what the length of a request is a multiple of, in bytes, so that it does not tell what is asked (RFC
	// 8467, section 4.1).
	padding = 128

	// redial is how long no connection is tried after one that could not be made.
	redial = 200 * time.Millisecond
)

var (
	errClosed = errors.New("the connection was closed")
	errSilent = errors.New("the server did not answer in time")
)

// A tlsClient asks one upstream by TLS (RFC 7858): many requests at once on one connection, which is made when there is
// something to ask.
type tlsClient struct {
	upstream Upstream
	config   *tls.Config

	dial    chan struct{} // holds one token; who has it may look at what follows
	conn    *tlsConn      // nil or closed: the next request makes one
	failure error         // of the last attempt to make one
	failed  time.Time
	running sync.WaitGroup
}

// newTLSClient makes a client that trusts roots; nil are those of the machine.
func newTLSClient(u Upstream, roots *x509.CertPool) *tlsClient {
	return &tlsClient{upstream: u, dial: make(chan struct{}, 1), config: &tls.Config{
		ServerName: u.Name, RootCAs: roots, MinVersion: tls.VersionTLS12, NextProtos: []string{"dot"},
		ClientSessionCache: tls.NewLRUClientSessionCache(2),
	}}
}

// close ends the connection and waits for its goroutine.
func (c *tlsClient) close() {
	c.dial <- struct{}{}
	if c.conn != nil {
		c.conn.end(errClosed)
	}
	<-c.dial
	c.running.Wait()
}

// exchange asks, and once more on a new connection where the server had closed the one that there was.
func (c *tlsClient) exchange(ctx context.Context, m *dns.Msg) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*upstreamTimeout) // with the handshake
	defer cancel()
	for {
		conn, fresh, err := c.connection(ctx)
		if err != nil {
			return nil, err
		}
		got, err := conn.exchange(ctx, m)
		if err == nil {
			return answerTo(m, got)
		}
		if fresh || ctx.Err() != nil {
			return nil, err
		}
	}
}

// connection returns the open connection, or makes one.
func (c *tlsClient) connection(ctx context.Context) (conn *tlsConn, fresh bool, err error) {
	select {
	case c.dial <- struct{}{}:
		defer func() { <-c.dial }()
	case <-ctx.Done():
		return nil, false, context.Cause(ctx)
	}
	if c.conn != nil && !c.conn.closed() {
		return c.conn, false, nil
	}
	if time.Since(c.failed) < redial { // those who waited for the one that failed need not wait again
		return nil, false, c.failure
	}
	dialer := &tls.Dialer{Config: c.config, NetDialer: &net.Dialer{Timeout: upstreamTimeout}}
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	raw, err := dialer.DialContext(ctx, "tcp", c.upstream.Addr.String())
	if err != nil {
		if !errors.Is(ctx.Err(), context.Canceled) {
			c.failure, c.failed = err, time.Now()
		}
		return nil, false, err
	}
	c.conn = &tlsConn{conn: raw, waiting: map[uint16]chan<- *dns.Msg{}, ended: make(chan struct{})}
	c.running.Go(c.conn.read)
	return c.conn, true, nil
}

// tlsConn is one connection.
type tlsConn struct {
	conn net.Conn

	mu      sync.Mutex
	waiting map[uint16]chan<- *dns.Msg // by id
	err     error
	ended   chan struct{}
}

func (c *tlsConn) closed() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

// end closes the connection; whoever waits is told why.
func (c *tlsConn) end(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = why
		close(c.ended)
		c.conn.Close()
	}
}

// exchange sends m, under an id that is free on the connection, and waits for the answer.
func (c *tlsConn) exchange(ctx context.Context, m *dns.Msg) (*dns.Msg, error) {
	answer := make(chan *dns.Msg, 1)
	c.mu.Lock()
	for c.waiting[m.Id] != nil {
		m.Id = dns.Id()
	}
	c.waiting[m.Id] = answer
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.waiting, m.Id)
		c.mu.Unlock()
	}()
	wire, err := pad(m).Pack()
	if err != nil {
		return nil, err
	}
	if err := errors.Join(c.conn.SetWriteDeadline(time.Now().Add(upstreamTimeout)), writeMessage(c.conn, wire)); err != nil {
		c.end(err)
		return nil, err
	}
	select {
	case got := <-answer:
		return got, nil
	case <-c.ended:
		return nil, c.err
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			c.end(errSilent) // what is in between may have forgotten the connection
		}
		return nil, context.Cause(ctx)
	}
}

// read gives answers to whoever waits for them, until the connection ends.
func (c *tlsConn) read() {
	var length [2]byte
	for {
		if err := c.conn.SetReadDeadline(time.Now().Add(tlsIdle)); err != nil {
			c.end(fmt.Errorf("wait for an answer: %w", err))
			return
		}
		wire, err := readLong(c.conn, length[:])
		if err != nil {
			c.end(fmt.Errorf("read an answer: %w", err))
			return
		}
		got := new(dns.Msg)
		if err := got.Unpack(wire); err != nil {
			c.end(fmt.Errorf("read an answer: %w", err))
			return
		}
		c.mu.Lock()
		waiter := c.waiting[got.Id]
		delete(c.waiting, got.Id)
		c.mu.Unlock()
		if waiter != nil {
			waiter <- got
		}
	}
}

// readLong reads one message of any length.
func readLong(conn net.Conn, length []byte) ([]byte, error) {
	if _, err := io.ReadFull(conn, length); err != nil {
		return nil, err
	}
	wire := make([]byte, binary.BigEndian.Uint16(length))
	_, err := io.ReadFull(conn, wire)
	return wire, err
}

// pad fills a request up (RFC 7830).
func pad(m *dns.Msg) *dns.Msg {
	opt := m.IsEdns0()
	if opt == nil {
		return m
	}
	option := &dns.EDNS0_PADDING{}
	opt.Option = append(opt.Option, option)
	if over := m.Len() % padding; over > 0 {
		option.Padding = make([]byte, padding-over)
	}
	return m
}
