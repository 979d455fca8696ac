// Package client calls the HTTP API: one typed method per endpoint, errors as *metal.Error, one loop that waits for
// operations, and a batcher that turns many reads of one object into few reads of a list.
package client

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Patience is how long calls that are safe to repeat are repeated while the server does not answer: a server that
// restarts is back well within it.
const Patience = 90 * time.Second

// Config says which server is called, and as whom.
type Config struct {
	URL       string       // of the server, as in https://metal.example.net:7443
	Token     metal.Secret // bearer token
	CA        []byte       // PEM certificates that sign the server's; empty: those the system believes
	Insecure  bool         // accept any certificate
	UserAgent string       // product/version; empty: metalform
	// HTTPClient replaces the client that CA and Insecure would configure.
	HTTPClient *http.Client
	// Patience bounds how long safe calls are repeated while the server does not answer; 0 means the constant
	// Patience. Waiting for an operation always has at least that.
	Patience time.Duration
}

// Client calls one server. Its methods may be called at the same time from several goroutines.
type Client struct {
	base      *url.URL
	token     metal.Secret
	userAgent string
	http      *http.Client
	patience  time.Duration
}

// New returns a client. It calls nobody. A missing URL or token, and certificates that are none, are Invalid errors.
func New(cfg Config) (*Client, error) {
	base, err := parseURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	if cfg.Token.Empty() {
		return nil, metal.Errorf(metal.Invalid, "no token for the server %s: set METAL_TOKEN, or run metalctl login %s", base.Host, base)
	}
	c := &Client{base: base, token: cfg.Token, userAgent: cfg.UserAgent, http: cfg.HTTPClient, patience: cfg.Patience}
	if c.userAgent == "" {
		c.userAgent = "metalform"
	}
	if c.patience == 0 {
		c.patience = Patience
	}
	if c.http == nil {
		if c.http, err = httpClient(cfg.CA, cfg.Insecure); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Host returns the server's host and port, to name it in messages.
func (c *Client) Host() string { return c.base.Host }

// parseURL accepts http and https URLs without user, query and fragment; a path is kept, for a server behind a proxy.
func parseURL(text string) (*url.URL, error) {
	if text == "" {
		return nil, metal.Errorf(metal.Invalid, "no server is named: set METAL_URL, as in https://metal.example.net:7443, or run metalctl login URL")
	}
	u, err := url.Parse(strings.TrimRight(text, "/"))
	// The text may hold a password where a user name is allowed, so it is not told back.
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, metal.Errorf(metal.Invalid, "the server's URL is not one: write it as in https://metal.example.net:7443, without user, query and fragment")
	}
	return u, nil
}

// httpClient returns a client of its own that follows no redirects, so that the token goes to no other server.
func httpClient(ca []byte, insecure bool) (*http.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 32
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: insecure}
	if len(ca) > 0 {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(ca) {
			return nil, metal.Errorf(metal.Invalid, "the certificate authority holds no PEM certificate: give the file that the server's /v1/ca.pem answers")
		}
		transport.TLSClientConfig.RootCAs = pool
	}
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}
