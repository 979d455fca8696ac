package client

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// mayHelp says whether another try could end otherwise. Faults of configuration stay what they are.
func mayHelp(err error) bool {
	if isConfiguration(err) {
		return false
	}
	var dns *net.DNSError
	return !errors.As(err, &dns) || !dns.IsNotFound
}

func isConfiguration(err error) bool {
	var (
		certificate *tls.CertificateVerificationError
		header      tls.RecordHeaderError
		alert       tls.AlertError
	)
	return errors.As(err, &certificate) || errors.As(err, &header) || errors.As(err, &alert) || errors.Is(err, http.ErrSchemeMismatch)
}

// neverSent says whether no byte of the request can have reached the server.
func neverSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// unreachable turns an error of the transport into one that says what to do. It names the host, never the token.
func (c *Client) unreachable(req *http.Request, err error) error {
	// *url.Error repeats method and URL, which the message says already.
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	out := &metal.Error{Code: metal.Internal, Err: err}
	act := fmt.Sprintf("%s %s on %s", req.Method, req.URL.Path, c.base.Host)
	var (
		certificate *tls.CertificateVerificationError
		dns         *net.DNSError
	)
	switch {
	case errors.As(err, &certificate):
		out.Message = act + ": the server's certificate is not believed: give the server's certificate authority (METAL_CA_FILE, or metalctl login --ca-file), and call the server by a name that its certificate has"
		out.Detail = certificate.Err.Error()
	case isConfiguration(err):
		out.Message = act + ": the two ends do not agree on TLS: check http or https in the server's URL"
		out.Detail = err.Error()
	case errors.As(err, &dns) && dns.IsNotFound:
		out.Message = act + ": no such host: check the server's URL"
		out.Detail = err.Error()
	case req.Context().Err() != nil && isEnd(err):
		out.Message = act + ": no answer in the time allowed"
	default:
		out.Message = act + ": cannot talk to the server: check that metald runs there and that nothing blocks the way"
		out.Detail = err.Error()
	}
	return out
}
