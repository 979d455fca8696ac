package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const (
	maxRedirects = 10
	// maxTries is how often in a row a fetch is tried without a byte of progress.
	maxTries = 6
	// mirrorTries is the same where there is another place to go on at.
	mirrorTries = 3
	// maxIdle is how long a server may send nothing.
	maxIdle = 60 * time.Second
)

// errIdle ends a request whose server fell silent.
var errIdle = errors.New("the server sent nothing for too long")

// fetcher gets files over HTTP.
type fetcher struct {
	client *http.Client
	idle   time.Duration
	pause  func(tries int) time.Duration // before try number tries+1
}

func newFetcher(client *http.Client) fetcher {
	if client == nil {
		client = &http.Client{Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: 15 * time.Second}).DialContext,
			TLSHandshakeTimeout:   15 * time.Second,
			ResponseHeaderTimeout: 60 * time.Second,
			IdleConnTimeout:       30 * time.Second,
			ForceAttemptHTTP2:     true,
		}}
	}
	own := *client
	own.CheckRedirect = checkRedirect
	return fetcher{
		client: &own,
		idle:   maxIdle,
		pause:  func(tries int) time.Duration { return time.Second << min(tries, 5) },
	}
}

// checkRedirect bounds redirects, and refuses those that leave HTTP or give up its encryption.
func checkRedirect(req *http.Request, via []*http.Request) error {
	switch {
	case len(via) >= maxRedirects:
		return flawf(metal.Invalid, "is redirected more than %d times", maxRedirects)
	case req.URL.Scheme != "http" && req.URL.Scheme != "https":
		return flawf(metal.Invalid, "is redirected to a %s URL", req.URL.Scheme)
	case req.URL.Scheme == "http" && via[0].URL.Scheme == "https":
		return flawf(metal.Invalid, "is redirected from https to http: give a source that stays with https, or the http URL itself")
	}
	return nil
}

// A download is the body of a URL, which goes on after broken connections where the server can (RFC 9110, 14), and at
// the next of several places that hold the same file where it cannot.
type download struct {
	fetcher
	ctx  context.Context // of the import: a download lives no longer
	url  *url.URL
	name string     // the URL without credentials
	more []*url.URL // places that were not tried yet

	body   io.ReadCloser
	req    context.Context // of the request under way
	cancel context.CancelCauseFunc
	silent *time.Timer
	off    int64
	skip   int64 // bytes of body that come before off
	size   int64 // negative when the server does not say
	mark   marks // of the first answer of this place
	moved  bool  // no answer of this place came yet, but one of another did
	tries  int
}

// marks tell whether two answers are of the same file.
type marks struct{ etag, modified string }

// open sends the first request and waits for its answer's head. All places, at least one, hold the same file.
func (f fetcher) open(ctx context.Context, places ...*url.URL) (*download, error) {
	d := &download{fetcher: f, ctx: ctx, url: places[0], name: redact(places[0]), more: places[1:], size: -1}
	if err := d.connect(); err != nil {
		return nil, d.fault(err)
	}
	return d, nil
}

// Read reads on, over as many connections as it takes.
func (d *download) Read(p []byte) (int, error) {
	for {
		d.silent.Reset(d.idle)
		n, err := d.body.Read(p)
		d.silent.Stop()
		skipped := min(d.skip, int64(n))
		n = copy(p, p[skipped:n])
		d.skip -= skipped
		d.off += int64(n)
		if n > 0 {
			d.tries = 0
		}
		switch {
		case skipped > 0 && n == 0 && err == nil:
			continue
		case n > 0 && err != nil && !errors.Is(err, io.EOF):
			return n, nil // the fault comes again with the next read
		case err == nil, errors.Is(err, io.EOF) && (d.size < 0 || d.off >= d.size):
			return n, err
		case errors.Is(err, io.EOF):
			if n > 0 {
				return n, nil
			}
			err = io.ErrUnexpectedEOF
		case context.Cause(d.req) != nil:
			err = context.Cause(d.req)
		}
		d.Close()
		d.tries++
		if err := d.retry(err); err != nil {
			return 0, d.fault(err)
		}
	}
}

// Close ends the request under way.
func (d *download) Close() error {
	d.silent.Stop()
	d.cancel(nil)
	return d.body.Close()
}

// connect asks until an answer comes, or it is clear that none will.
func (d *download) connect() error {
	for {
		err := d.request()
		if err == nil {
			return nil
		}
		if d.tries++; !transient(err) || d.tries >= d.most() {
			if !d.move() {
				return err
			}
			continue
		}
		if err := d.wait(); err != nil {
			return err
		}
	}
}

// retry connects again after a connection broke with cause.
func (d *download) retry(cause error) error {
	if d.ctx.Err() != nil {
		return d.ctx.Err()
	}
	if d.tries >= d.most() {
		if !d.move() {
			return cause
		}
		return d.connect()
	}
	if err := d.wait(); err != nil {
		return err
	}
	return d.connect()
}

// most is how often this place is tried in a row.
func (d *download) most() int {
	if len(d.more) > 0 {
		return mirrorTries
	}
	return maxTries
}

// move goes on at the next place, where there is one and the fetch is still wanted. What was read stays: the checksum,
// which mirrors need, tells at the end whether both places held the same.
func (d *download) move() bool {
	if len(d.more) == 0 || d.ctx.Err() != nil {
		return false
	}
	d.url, d.more = d.more[0], d.more[1:]
	d.name, d.tries, d.moved = redact(d.url), 0, d.off > 0
	return true
}

// wait pauses before the next try.
func (d *download) wait() error {
	t := time.NewTimer(d.pause(d.tries - 1))
	defer t.Stop()
	select {
	case <-d.ctx.Done():
		return d.ctx.Err()
	case <-t.C:
		return nil
	}
}

// request sends one request for everything from d.off on.
func (d *download) request() error {
	ctx, cancel := context.WithCancelCause(d.ctx)
	silent := time.AfterFunc(d.idle, func() { cancel(errIdle) })
	body, err := d.exchange(ctx)
	silent.Stop()
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		cancel(nil)
		return err
	}
	d.body, d.req, d.cancel, d.silent = body, ctx, cancel, silent
	return nil
}

func (d *download) exchange(ctx context.Context) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url.String(), nil)
	if err != nil {
		return nil, withoutURL(err)
	}
	// Named explicitly, so that the transport does not unpack what is counted and hashed here as it was published.
	req.Header.Set("Accept-Encoding", "identity")
	if d.off > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", d.off))
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return nil, withoutURL(err)
	}
	if err := d.accept(resp); err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp.Body, nil
}

// accept checks an answer, and notes where its body begins.
func (d *download) accept(resp *http.Response) error {
	mark := marks{resp.Header.Get("ETag"), resp.Header.Get("Last-Modified")}
	good := resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusPartialContent
	if d.moved && good {
		d.mark, d.moved = mark, false
	}
	switch {
	case resp.StatusCode == http.StatusOK && d.off == 0:
		d.size, d.mark, d.skip = resp.ContentLength, mark, 0
		return nil
	case resp.StatusCode == http.StatusPartialContent && d.off > 0:
		var first, last int64
		var total string
		_, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-%d/%s", &first, &last, &total)
		if err != nil || first != d.off || mark != d.mark || (d.size >= 0 && total != "*" && total != fmt.Sprint(d.size)) {
			return errChanged()
		}
		d.skip = 0
		return nil
	case resp.StatusCode == http.StatusOK:
		// This server knows no ranges: what was read already is read again, if it is of the same file.
		if mark != d.mark || resp.ContentLength != d.size {
			return errChanged()
		}
		d.skip = d.off
		return nil
	}
	return statusFault{resp.StatusCode}
}
