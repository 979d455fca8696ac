package bmctest

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// drainTime bounds how long Run waits for requests under way once it is told to stop.
const drainTime = 2 * time.Second

// Redfish is a virtual BMC that speaks Redfish (DSP0266 1.20) over HTTPS with a certificate of its own: one system,
// one manager and one chassis, sessions and Basic authentication.
type Redfish struct {
	faultSwitch
	listener    net.Listener
	certificate tls.Certificate
	server      *http.Server
}

// NewRedfish makes a BMC that answers on ln, which it owns from now on. It returns an error when no certificate can
// be made or the account has no name.
func NewRedfish(ln net.Listener, hw Hardware, id Identity, acc Account, log *slog.Logger) (*Redfish, error) {
	if acc.Username == "" {
		return nil, errors.New("make Redfish account: the name is empty")
	}
	certificate, err := selfSigned(id.Name, ln.Addr(), time.Now())
	if err != nil {
		return nil, fmt.Errorf("make certificate of BMC %q: %w", id.Name, err)
	}
	log = log.With("bmc", ln.Addr().String())
	b := &Redfish{listener: ln, certificate: certificate}
	service := newRedfishService(hw, id, acc, b.faults, log)
	b.server = &http.Server{
		Handler:           service,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return b, nil
}

// Addr returns host:port where the BMC answers.
func (b *Redfish) Addr() string { return b.listener.Addr().String() }

// Fingerprint returns the SHA-256 of the certificate's DER form, in lower-case hex.
func (b *Redfish) Fingerprint() string {
	sum := sha256.Sum256(b.certificate.Certificate[0])
	return hex.EncodeToString(sum[:])
}

// Run answers until ctx ends, and returns nil then.
func (b *Redfish) Run(ctx context.Context) error {
	b.server.BaseContext = func(net.Listener) context.Context { return ctx }
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
		defer cancel()
		if b.server.Shutdown(drain) != nil {
			_ = b.server.Close() // connections that never said anything; they are cut off
		}
	})
	err := b.server.Serve(tls.NewListener(faultyListener{b.listener, b.faults}, &tls.Config{
		Certificates: []tls.Certificate{b.certificate},
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"http/1.1"},
	}))
	if !stop() {
		<-stopped
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// faultyListener hands out connections on which nothing passes while the BMC is silent.
type faultyListener struct {
	net.Listener
	faults func() Faults
}

func (l faultyListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return faultyConn{c, l.faults}, nil
}

type faultyConn struct {
	net.Conn
	faults func() Faults
}

func (c faultyConn) Read(p []byte) (int, error) {
	for {
		n, err := c.Conn.Read(p)
		if err != nil || !c.faults().Silent {
			return n, err
		}
	}
}

func (c faultyConn) Write(p []byte) (int, error) {
	if c.faults().Silent {
		return len(p), nil
	}
	return c.Conn.Write(p)
}
