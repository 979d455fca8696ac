package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const (
	// maxAnswer bounds what is read of one answer: a page of 1,000 machines is a few MiB.
	maxAnswer = 64 << 20
	// answerLimit is how long one try may take, beyond what the server was asked to wait.
	answerLimit = 60 * time.Second

	firstPause   = 200 * time.Millisecond
	longestPause = 5 * time.Second
)

// call sends a request to an endpoint and reads the answer. While the server does not answer, calls that are safe to
// repeat are repeated for as long as patience says and ctx allows.
func call[In, Out any](ctx context.Context, c *Client, e api.Endpoint[In, Out], in In) (Out, error) {
	return callFor(ctx, c, c.patience, e, in)
}

// callAgain is call for a POST that is safe to repeat as well: it changes nothing, or finds what the first one made.
func callAgain[In, Out any](ctx context.Context, c *Client, e api.Endpoint[In, Out], in In) (Out, error) {
	r, err := newRequest(e.Method, e.Path, in)
	r.again = true
	return answerTo[Out](ctx, c, c.patience, r, err)
}

func callFor[In, Out any](ctx context.Context, c *Client, patience time.Duration, e api.Endpoint[In, Out], in In) (Out, error) {
	r, err := newRequest(e.Method, e.Path, in)
	return answerTo[Out](ctx, c, patience, r, err)
}

func answerTo[Out any](ctx context.Context, c *Client, patience time.Duration, r request, err error) (Out, error) {
	var out Out
	if err != nil {
		return out, &metal.Error{Code: metal.Invalid, Message: err.Error()}
	}
	// A 204 has no body, and None no fields: nothing is decoded.
	var into any = &out
	if _, none := into.(*api.None); none {
		into = nil
	}
	return out, c.send(ctx, patience, &r, into)
}

// send tries a request until it is answered.
func (c *Client) send(ctx context.Context, patience time.Duration, r *request, into any) error {
	giveUp := time.Now().Add(patience)
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		again, err := c.try(ctx, r, into)
		if err == nil || !again || ctx.Err() != nil || time.Now().Add(pause).After(giveUp) {
			return err
		}
		// Half of the pause is random, so that many clients of a server that comes back do not come at once.
		if sleep(ctx, pause/2+rand.N(pause/2)) != nil {
			return err
		}
	}
}

// try sends a request once. It says whether trying again is safe and may help.
func (c *Client) try(ctx context.Context, r *request, into any) (again bool, err error) {
	if r.stream == nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.wait+answerLimit)
		defer cancel()
	}
	req, err := c.httpRequest(ctx, r)
	if err != nil {
		return false, err
	}
	answer, err := c.http.Do(req)
	if err != nil {
		return mayHelp(err) && (repeatable(r) || neverSent(err)), c.unreachable(req, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	if err != nil {
		return mayHelp(err) && repeatable(r), c.unreachable(req, err)
	}
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		switch answer.StatusCode {
		case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			again = repeatable(r)
		}
		return again, c.refused(req, answer.Status, body)
	}
	if into == nil {
		return false, nil
	}
	if len(body) > maxAnswer {
		return false, metal.Errorf(metal.Internal, "%s answered %s %s with more than %d MiB: ask for a smaller page", c.base.Host, req.Method, req.URL.Path, maxAnswer>>20)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return false, &metal.Error{
			Code:    metal.Internal,
			Message: fmt.Sprintf("%s answered %s %s with something else than a Metalform server does: check the server's URL, and that server and client have the same version", c.base.Host, req.Method, req.URL.Path),
			Err:     err,
		}
	}
	return false, nil
}

func (c *Client) httpRequest(ctx context.Context, r *request) (*http.Request, error) {
	body, contentType := r.bodyReader()
	target := c.base.String() + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return nil, fmt.Errorf("build %s %s: %w", r.method, r.path, err)
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Authorization", "Bearer "+c.token.Reveal())
	req.Header.Set("User-Agent", c.userAgent)
	return req, nil
}

// repeatable says whether sending a request twice has the same effect as sending it once (RFC 9110, 9.2.2): by its
// method, or because it has a key by which the server knows the second one again.
func repeatable(r *request) bool {
	if r.stream != nil {
		return false
	}
	switch r.method {
	case http.MethodGet, http.MethodPut, http.MethodDelete:
		return true
	default:
		return r.again || r.header.Get("Idempotency-Key") != ""
	}
}

// refused turns an answer that is not a success into an error.
func (c *Client) refused(req *http.Request, status string, body []byte) error {
	var p api.Problem
	if err := json.Unmarshal(body, &p); err == nil && p.Code != "" && p.Message != "" {
		return &metal.Error{Code: p.Code, Message: p.Message, Detail: p.Detail, Operation: p.Operation}
	}
	return metal.Errorf(metal.Internal,
		"%s answered %s %s with %q, and not as a Metalform server does: check the server's URL and any proxy in front of it",
		c.base.Host, req.Method, req.URL.Path, status)
}

// sleep waits for d or the end of ctx, whichever is first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// isEnd says whether err comes from the end of a context.
func isEnd(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
