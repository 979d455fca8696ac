package redfish

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/bmc"
)

const (
	// maxAnswer bounds an answer; a ComputerSystem has some 10 KiB.
	maxAnswer = 4 << 20
	// idleTime is short, because many BMCs have few connections to give, and drop idle ones in silence.
	idleTime = 3 * time.Second
)

// transport carries requests to one BMC and nowhere else: links in answers are the BMC's to write, and gofish puts
// them behind the endpoint as text, so that "@elsewhere/" would take the session's token there.
type transport struct {
	endpoint string
	base     *http.Transport
}

// newTransport believes certificates as t says: the system's roots, one pinned certificate, or any.
func newTransport(to target, t metal.BMCTLS) (*transport, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	switch {
	case t.Fingerprint != "":
		pin, err := parseFingerprint(t.Fingerprint)
		if err != nil {
			return nil, err
		}
		config.InsecureSkipVerify = true // the pin takes the place of the chain
		config.VerifyConnection = func(state tls.ConnectionState) error { return checkPin(state, pin) }
	case t.Insecure:
		config.InsecureSkipVerify = true
	}
	return &transport{to.endpoint, &http.Transport{
		TLSClientConfig:     config,
		IdleConnTimeout:     idleTime,
		MaxConnsPerHost:     1, // a BMC gets one connection at a time
		TLSHandshakeTimeout: 0, // bounded by the request's context
	}}, nil
}

// RoundTrip sends a request if it is for the BMC, and bounds the answer's body.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if to := r.URL.Scheme + "://" + r.URL.Host; to != t.endpoint || r.URL.User != nil {
		return nil, fmt.Errorf("the BMC at %s sent us to %q: refused", t.endpoint, to)
	}
	response, err := t.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(response.Body, maxAnswer), response.Body}
	return response, nil
}

// CloseIdleConnections closes what is open and not in use.
func (t *transport) CloseIdleConnections() { t.base.CloseIdleConnections() }

// parseFingerprint reads a SHA-256 in hex, of either case and with or without colons, as tools print it.
func parseFingerprint(s string) ([sha256.Size]byte, error) {
	raw, err := hex.DecodeString(strings.ReplaceAll(s, ":", ""))
	if err != nil || len(raw) != sha256.Size {
		return [sha256.Size]byte{}, metal.Errorf(metal.Invalid, "%q is not a certificate's fingerprint: write its SHA-256 as 64 hex digits", s)
	}
	return [sha256.Size]byte(raw), nil
}

// checkPin believes the leaf certificate that has the pinned fingerprint, and no other.
func checkPin(state tls.ConnectionState, pin [sha256.Size]byte) error {
	if len(state.PeerCertificates) == 0 {
		return fmt.Errorf("%w: it has none", bmc.ErrUntrusted)
	}
	seen := sha256.Sum256(state.PeerCertificates[0].Raw)
	if subtle.ConstantTimeCompare(seen[:], pin[:]) != 1 {
		return fmt.Errorf("%w: its SHA-256 is %x, and the pinned one %x", bmc.ErrUntrusted, seen, pin)
	}
	return nil
}
