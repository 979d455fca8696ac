package agentapi

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/image/chunk"
)

// ErrGone is the answer 410: the server has no use for this boot any more.
var ErrGone = errors.New("the server has no use for this boot any more")

// chunksSuffix makes the path of an image's table of chunks from that of its content.
const chunksSuffix = ".chunks"

// maxAnswer bounds what the agent reads of one JSON answer. A step with a large seed is the longest.
const maxAnswer = 16 << 20

// How long the agent waits for an answer, beyond what it asked the server to wait. A connection whose other end
// vanished would otherwise hold a call for the many minutes of TCP's own retries.
const (
	answerLimit = 15 * time.Second
	resultLimit = 60 * time.Second
)

// Client is the agent's end of the wire. After Hello it holds the session. Its methods may be called at the same
// time from several goroutines.
type Client struct {
	server  string
	http    *http.Client
	session atomic.Pointer[string]
}

// NewClient returns a client of the server with the given base URL, as in http://172.31.0.1:7080. It returns an
// Invalid error for anything but an http or https URL.
func NewClient(server string, h *http.Client) (*Client, error) {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, metal.Errorf(metal.Invalid, "%q is not the URL of a server: write it as in http://172.31.0.1:7080", server)
	}
	return &Client{server: strings.TrimSuffix(server, "/"), http: h}, nil
}

// Hello opens a session and keeps its token for the calls that follow.
func (c *Client) Hello(ctx context.Context, hello Hello) (Session, error) {
	var s Session
	if _, err := c.call(ctx, answerLimit, http.MethodPost, PathHello, hello, &s); err != nil {
		return Session{}, err
	}
	c.session.Store(&s.Token)
	return s, nil
}

// Next waits up to wait for a step. It returns nil when there is none yet.
func (c *Client) Next(ctx context.Context, wait time.Duration) (*Step, error) {
	var s Step
	path := fmt.Sprintf("%s?wait=%ds", PathNext, int(wait.Seconds()))
	status, err := c.call(ctx, wait+answerLimit, http.MethodGet, path, nil, &s)
	if err != nil || status == http.StatusNoContent {
		return nil, err
	}
	return &s, nil
}

// Progress reports how far a step is.
func (c *Client) Progress(ctx context.Context, p Progress) (ProgressReply, error) {
	var r ProgressReply
	_, err := c.call(ctx, answerLimit, http.MethodPost, PathProgress, p, &r)
	return r, err
}

// Result ends a step. It is safe to repeat.
func (c *Client) Result(ctx context.Context, r Result) error {
	_, err := c.call(ctx, resultLimit, http.MethodPost, PathResult, r, nil)
	return err
}

// ImagePart opens length bytes of the stored stream of an image, from an offset on (RFC 9110, 14.2). The caller closes
// it.
func (c *Client) ImagePart(ctx context.Context, digest string, offset, length int64) (io.ReadCloser, error) {
	return c.image(ctx, digest, fmt.Sprintf("bytes=%d-%d", offset, offset+length-1))
}

// image opens what is below an image's path, whole or in a range.
func (c *Client) image(ctx context.Context, digest, span string) (io.ReadCloser, error) {
	req, err := c.request(ctx, http.MethodGet, PathImages+url.PathEscape(digest), nil)
	if err != nil {
		return nil, err
	}
	want := http.StatusOK
	if span != "" {
		req.Header.Set("Range", span)
		want = http.StatusPartialContent
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("get image %s: %w", digest, err)
	}
	if res.StatusCode != want {
		defer res.Body.Close()
		if err := answerError(res); err != nil {
			return nil, fmt.Errorf("get image %s: %w", digest, err)
		}
		return nil, metal.Errorf(metal.Internal, "get %q of image %s: the server answered %s instead of %d", span, digest, res.Status, want)
	}
	return res.Body, nil
}

// ImageChunks reads the table of an image's chunks.
func (c *Client) ImageChunks(ctx context.Context, digest string) (chunk.Table, error) {
	body, err := c.image(ctx, digest+chunksSuffix, "")
	if err != nil {
		return chunk.Table{}, err
	}
	defer body.Close()
	raw, err := io.ReadAll(io.LimitReader(body, int64(chunk.MaxTableBytes)+1))
	if err != nil {
		return chunk.Table{}, fmt.Errorf("get the chunks of image %s: %w", digest, err)
	}
	table, err := chunk.Parse(raw)
	if err == nil && hex.EncodeToString(table.Digest[:]) != digest {
		err = metal.Errorf(metal.Internal, "get the chunks of image %s: the server answered with those of %x", digest, table.Digest)
	}
	return table, err
}

// call does one exchange within limit and decodes the answer into out unless out is nil or there is no content.
func (c *Client) call(ctx context.Context, limit time.Duration, method, path string, in, out any) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := c.request(ctx, method, path, in)
	if err != nil {
		return 0, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return 0, fmt.Errorf("call the server: %w", err)
	}
	defer res.Body.Close()
	if err := answerError(res); err != nil {
		return res.StatusCode, err
	}
	if out == nil || res.StatusCode == http.StatusNoContent {
		return res.StatusCode, nil
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(out); err != nil {
		return res.StatusCode, fmt.Errorf("read the answer to %s: %w", req.URL.Path, err)
	}
	return res.StatusCode, nil
}

func (c *Client) request(ctx context.Context, method, path string, in any) (*http.Request, error) {
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("encode the call of %s: %w", path, err)
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.server+path, body)
	if err != nil {
		return nil, fmt.Errorf("make the call of %s: %w", path, err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token := c.session.Load(); token != nil {
		req.Header.Set("Authorization", "Bearer "+*token)
	}
	return req, nil
}

// answerError turns an answer that is no success into an error: ErrGone, or a metal.Error with the server's code
// and words. An answer that is not of the server's making, as a proxy's, gets its code from the status.
func answerError(res *http.Response) error {
	if res.StatusCode < 300 {
		return nil
	}
	if res.StatusCode == http.StatusGone {
		return ErrGone
	}
	var said struct {
		Code    metal.Code `json:"code"`
		Message string     `json:"message"`
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil || json.Unmarshal(raw, &said) != nil || said.Message == "" {
		said.Message = "the server answered " + res.Status
	}
	return &metal.Error{Code: codeOf(res.StatusCode), Message: said.Message}
}

func codeOf(status int) metal.Code {
	switch status {
	case http.StatusUnauthorized:
		return metal.Unauthorized
	case http.StatusForbidden:
		return metal.Forbidden
	case http.StatusNotFound:
		return metal.NotFound
	case http.StatusConflict:
		return metal.Conflict
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusRequestEntityTooLarge:
		return metal.Invalid
	}
	return metal.Internal
}
