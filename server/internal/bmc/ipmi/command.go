package ipmi

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/bougou/go-ipmi/pkg/types"

	"github.com/metalform/terraform-provider-metal/server/internal/bmc"
)

// busyWait is the first pause before a busy BMC is asked again; it doubles each time.
const busyWait = 250 * time.Millisecond

// A completionError is a command that the BMC answered with a completion code other than 00h (IPMI 2.0, table 5-2).
type completionError struct {
	command string
	code    types.CompletionCode
}

func (e *completionError) Error() string {
	return fmt.Sprintf("the BMC answered %s with completion code %02Xh (%s)", e.command, uint8(e.code), e.code.String())
}

// Unwrap returns the sentinel for codes that have one.
func (e *completionError) Unwrap() error {
	switch e.code {
	case types.CodeInvalidCommand, types.CodeInvalidCommandForLUN, types.CodeSubFnDisabled:
		return bmc.ErrUnsupported
	case types.CodeInsufficientPrivilege:
		return bmc.ErrRefused
	}
	return nil
}

// passing says whether the same command may succeed a moment later.
func (e *completionError) passing() bool {
	switch e.code {
	case types.CodeNodeBusy, types.CodeProcessTimeout, types.CodeCannotProvideResponse,
		types.CodeCannotProvideResponseFirmwareUpdate, types.CodeCannotProvideResponseBMCInitialize:
		return true
	}
	return false
}

func isCode(err error, code types.CompletionCode) bool {
	e := (*completionError)(nil)
	return errors.As(err, &e) && e.code == code
}

// command sends a command until the BMC answers and is not busy, and returns the data of the answer.
func (c *controller) command(ctx context.Context, cmd types.Command, data []byte) ([]byte, error) {
	for wait := busyWait; ; wait *= 2 {
		answer, err := c.ask(ctx, cmd, data)
		e := (*completionError)(nil)
		if !errors.As(err, &e) || !e.passing() || !pause(ctx, wait) {
			return answer, err
		}
	}
}

// ask sends a command once or, when the BMC does not answer in half of the time that is left, once more in a new
// session: a BMC that was reset or has dropped the session is silent (IPMI 2.0, 6.12.15).
func (c *controller) ask(ctx context.Context, cmd types.Command, data []byte) ([]byte, error) {
	if c.session != nil && time.Since(c.lastUsed) < sessionIdle {
		half, cancel := shorten(ctx)
		answer, err := c.exchange(half, cmd, data)
		cancel()
		if !errors.Is(err, bmc.ErrUnreachable) || ctx.Err() != nil {
			return answer, err
		}
	}
	if err := c.login(ctx); err != nil {
		return nil, err
	}
	return c.exchange(ctx, cmd, data)
}

// exchange sends a command in the open session and returns the data of the answer.
func (c *controller) exchange(ctx context.Context, cmd types.Command, data []byte) ([]byte, error) {
	s := c.session
	message := s.request(cmd, data)
	var answer response
	err := c.link.exchange(ctx,
		func(int) ([]byte, error) { return s.seal(message.bytes) },
		func(datagram []byte) bool {
			payload, ok := s.open(datagram)
			if ok {
				answer, ok = message.answeredBy(payload)
			}
			return ok
		})
	if err != nil {
		return nil, err
	}
	c.lastUsed = time.Now()
	if answer.code != types.CodeOK {
		return nil, &completionError{cmd.Name, answer.code}
	}
	return answer.data, nil
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

// shorten returns a context with half of the time that ctx has left.
func shorten(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)/2)
}
