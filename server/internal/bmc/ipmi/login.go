package ipmi

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/bougou/go-ipmi/pkg/types"

	"github.com/metalform/terraform-provider-metal/server/internal/bmc"
)

// login opens a session: with the best cipher suite that the BMC has, as administrator or, where the account may not
// be one, as operator, which is enough for power and boot (IPMI 2.0, appendix G). Half of the time goes to the better
// suite, because there are BMCs that do not answer to one they do not know.
func (c *controller) login(ctx context.Context) error {
	c.session = nil
	better, cancel := shorten(ctx)
	defer cancel()
	best, second := suites()[0], suites()[1]
	err := c.loginWith(better, best)
	if err != nil && ctx.Err() == nil && (suiteRefused(err) || errors.Is(err, bmc.ErrUnreachable)) {
		err = c.loginWith(ctx, second)
	}
	return explain(err)
}

func (c *controller) loginWith(ctx context.Context, s suite) error {
	err := c.loginAs(ctx, s, types.PrivilegeLevelAdministrator)
	if roleRefused(err) {
		err = c.loginAs(ctx, s, types.PrivilegeLevelOperator)
	}
	return err
}

// loginAs opens a session and raises it to a privilege level. It begins again while the BMC has no room or has lost
// the thread, as it has when RAKP message 4 was lost and message 3 came twice.
func (c *controller) loginAs(ctx context.Context, s suite, privilege types.PrivilegeLevel) error {
	for wait := busyWait; ; wait *= 2 {
		h := handshake{link: c.link, username: c.username, password: c.password, suite: s, privilege: privilege}
		opened, err := h.run(ctx)
		if err == nil {
			c.session, c.lastUsed = opened, time.Now()
			_, err = c.exchange(ctx, types.CommandSetSessionPrivilegeLevel, []byte{byte(privilege)})
		}
		if err == nil {
			return nil
		}
		if refused := (*completionError)(nil); errors.As(err, &refused) { // there is a session, and it is of no use
			err = errors.Join(err, c.logout(ctx))
		}
		c.session = nil
		if !threadLost(err) || !pause(ctx, wait) {
			return err
		}
	}
}

// statusOf returns the status with which the BMC declined a handshake; 0 when it did not.
func statusOf(err error) types.RmcpStatusCode {
	e := (*types.RmcpStatusError)(nil)
	if errors.As(err, &e) {
		return e.StatusCode()
	}
	return types.RmcpStatusCodeNoErrors
}

// suiteRefused says whether another cipher suite may do better.
func suiteRefused(err error) bool {
	switch statusOf(err) {
	case types.RmcpStatusCodeInvalidAuthAlg, types.RmcpStatusCodeInvalidIntegrityAlg, types.RmcpStatusCodeInvalidConfidentAlg,
		types.RmcpStatusCodeNoMatchingAuthPayload, types.RmcpStatusCodeNoMatchingIntegrityPayload,
		types.RmcpStatusCodeNoCipherSuiteMatch, types.RmcpStatusCodeInvalidPayloadType, types.RmcpStatusCodeIllegalParameter:
		return true
	}
	return errors.Is(err, errSuite)
}

// roleRefused says whether a lower privilege level may do better. 80h and 81h are Set Session Privilege Level's own
// codes for a level above the user's or the channel's (IPMI 2.0, 22.18).
func roleRefused(err error) bool {
	switch statusOf(err) {
	case types.RmcpStatusCodeInvalidRole, types.RmcpStatusCodeUnauthorizedRoleOfPriLevel, types.RmcpStatusCodeNoResToCreateSessAtRole:
		return true
	}
	return isCode(err, 0x80) || isCode(err, 0x81) || isCode(err, types.CodeInsufficientPrivilege)
}

// threadLost says whether the same handshake may succeed a moment later.
func threadLost(err error) bool {
	switch statusOf(err) {
	case types.RmcpStatusCodeNoResToCreateSess, types.RmcpStatusCodeInvalidSessionID, types.RmcpStatusCodeInactiveSessionID:
		return true
	}
	return false
}

// explain adds the sentinel to the error of a login.
func explain(err error) error {
	switch {
	case suiteRefused(err):
		return fmt.Errorf("%w: it has neither cipher suite 17 nor 3: %w", bmc.ErrUnsupported, err)
	case roleRefused(err):
		return fmt.Errorf("%w: the account is neither administrator nor operator: %w", bmc.ErrRefused, err)
	}
	switch statusOf(err) {
	case types.RmcpStatusCodeUnauthorizedName, types.RmcpStatusCodeInvalidNameLength, types.RmcpStatusCodeInvalidIntegrityCheckValue:
		return fmt.Errorf("%w: %w", bmc.ErrRefused, err)
	}
	return err
}
