package redfish

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/stmcginnis/gofish/schemas"

	"github.com/metalform/terraform-provider-metal/server/internal/bmc"
)

const (
	// attempts is how often a call is tried while the service is busy or the system changes under it.
	attempts  = 4
	firstWait = 250 * time.Millisecond
	// maxMessage bounds what is shown of a BMC's message, in bytes.
	maxMessage = 1000
)

// An answerError is an answer other than success.
type answerError struct {
	status  int
	message string   // the service's own, in one line
	ids     []string // message ids without their registry, as in ActionNotSupported
}

func (e *answerError) Error() string {
	text := fmt.Sprintf("the BMC answered %d %s", e.status, http.StatusText(e.status))
	if e.message != "" {
		text += ": " + e.message
	}
	return text
}

// Unwrap returns the sentinel for answers that have one.
func (e *answerError) Unwrap() error {
	switch e.status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return bmc.ErrRefused
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return bmc.ErrUnsupported
	}
	// Ids of the Base registry (DSP0268).
	for _, id := range []string{"ActionNotSupported", "ActionParameterNotSupported", "PropertyUnknown", "PropertyNotWritable"} {
		if slices.Contains(e.ids, id) {
			return bmc.ErrUnsupported
		}
	}
	return nil
}

// statusOf returns the HTTP status that err is about; 0 when none.
func statusOf(err error) int {
	if e := (*answerError)(nil); errors.As(err, &e) {
		return e.status
	}
	if e := (*schemas.Error)(nil); errors.As(err, &e) {
		return e.HTTPReturnedStatusCode
	}
	return 0
}

// explain turns an error of gofish, which shows the whole answer, into one that shows the service's message and
// nothing secret, with the sentinel for its cause.
func (l *login) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if e := (*schemas.Error)(nil); errors.As(err, &e) {
		return l.answered(e)
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	e := (*url.Error)(nil)
	if !errors.As(err, &e) {
		return err
	}
	if untrusted := (*tls.CertificateVerificationError)(nil); errors.As(err, &untrusted) {
		return fmt.Errorf("%w: %w", bmc.ErrUntrusted, untrusted)
	}
	if errors.Is(err, bmc.ErrUntrusted) {
		return e.Err
	}
	return fmt.Errorf("%w: %w", bmc.ErrUnreachable, e.Err)
}

// answered reads the error body of an answer (DSP0266, 8.6).
func (l *login) answered(e *schemas.Error) error {
	a := &answerError{status: e.HTTPReturnedStatusCode}
	var messages []string
	for _, info := range e.ExtendedInfos {
		if info.Message != "" {
			messages = append(messages, info.Message)
		}
		a.ids = append(a.ids, info.MessageID[strings.LastIndexByte(info.MessageID, '.')+1:])
	}
	if len(messages) == 0 {
		messages = []string{e.Message}
	}
	a.message = oneLine(l.scrub(strings.Join(messages, " ")))
	if a.status == 0 { // gofish's own complaint
		return errors.New(a.message)
	}
	return a
}

// scrub takes out secrets that a service repeats to us.
func (l *login) scrub(text string) string {
	secrets := []string{l.password.Reveal()}
	if l.client != nil {
		if session, err := l.client.GetSession(); err == nil {
			secrets = append(secrets, session.Token)
		}
	}
	for _, secret := range secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "[secret]")
		}
	}
	return text
}

// oneLine returns text, which may be a page of HTML, bounded and with white space made single blanks.
func oneLine(text string) string {
	text = strings.ToValidUTF8(strings.Join(strings.Fields(text), " "), "?")
	if len(text) > maxMessage {
		text = strings.ToValidUTF8(text[:maxMessage], "") + "..."
	}
	return text
}

// retry runs act until it succeeds, fails for good, or was tried often enough.
func retry(ctx context.Context, act func() error) error {
	for n, wait := 1, firstWait; ; n, wait = n+1, 2*wait {
		err := act()
		if n == attempts || !passing(err) || !pause(ctx, wait) {
			return err
		}
	}
}

// passing says whether the same call may succeed a moment later: the system was changed by another (412, or 428 from
// those that mean it), it is in between states (409), or the service is busy (503).
func passing(err error) bool {
	switch statusOf(err) {
	case http.StatusPreconditionFailed, http.StatusPreconditionRequired, http.StatusConflict, http.StatusServiceUnavailable:
		return true
	}
	return false
}

// pause waits, and says whether ctx still lives then.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
