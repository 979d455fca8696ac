package image

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func errChanged() error {
	return flawf(metal.Conflict, "changed while it was fetched: import it again")
}

// statusFault is an answer that is not the file.
type statusFault struct{ code int }

// Error tells the status.
func (f statusFault) Error() string {
	return fmt.Sprintf("the server answered %d %s", f.code, http.StatusText(f.code))
}

// transient says whether trying again may help.
func transient(err error) bool {
	var f *flaw
	if errors.As(err, &f) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	var status statusFault
	if errors.As(err, &status) {
		return status.code >= 500 || status.code == http.StatusTooManyRequests || status.code == http.StatusRequestTimeout
	}
	return true
}

// fault makes an error for the caller.
func (d *download) fault(err error) error {
	if d.ctx.Err() != nil {
		return fmt.Errorf("fetch %s: %w", d.name, d.ctx.Err())
	}
	var f *flaw
	var status statusFault
	switch {
	case errors.As(err, &f):
		return metal.Errorf(f.code, "cannot fetch %s: it %s", d.name, f.says)
	case errors.As(err, &status) && (status.code == http.StatusUnauthorized || status.code == http.StatusForbidden):
		return metal.Errorf(metal.Invalid, "cannot fetch %s: %v: it needs credentials, or others", d.name, status)
	case errors.As(err, &status) && status.code < 500:
		return metal.Errorf(metal.Invalid, "cannot fetch %s: %v", d.name, status)
	case errors.As(err, &status):
		return metal.Errorf(metal.Internal, "cannot fetch %s: %v, after %d tries", d.name, status, d.tries)
	case d.off > 0:
		return metal.Errorf(metal.Internal, "cannot fetch %s: the connection broke after %d of %s bytes, and again at every try: %v", d.name, d.off, orUnknown(d.size), err)
	}
	return metal.Errorf(metal.Internal, "cannot fetch %s, after %d tries: %v", d.name, d.tries, err)
}

func orUnknown(size int64) string {
	if size < 0 {
		return "an unknown number of"
	}
	return fmt.Sprint(size)
}

// redact returns a URL as messages may show it: without user, password, query and fragment, any of which may be a key.
func redact(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// withoutURL takes the URL out of an error of net/http, which shows it whole.
func withoutURL(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
