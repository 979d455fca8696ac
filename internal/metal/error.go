package metal

import (
	"errors"
	"fmt"
	"strings"
)

// A Code says what kind of failure an Error is. The set is closed: clients switch on it.
type Code string

const (
	Invalid      Code = "invalid"      // can never succeed as written
	NotFound     Code = "not_found"    // no such object
	Conflict     Code = "conflict"     // not in the object's present state, or somebody else changed it
	Exhausted    Code = "exhausted"    // nothing left to give: no machine matches, no address is free, no disk space
	Unauthorized Code = "unauthorized" // no valid token
	Forbidden    Code = "forbidden"    // a valid token that may not do this
	Internal     Code = "internal"     // a fault of the server
)

// Error is a failure a caller may be told of.
type Error struct {
	Code Code
	// Message is one line for the caller: what was tried, on what, what happened, what to do.
	Message string
	// Detail is further evidence, may have several lines (log tail, the BMC's own message); may be empty.
	Detail string
	// Operation is the id of the operation that failed, or empty.
	Operation string
	// Err is the cause, for the log only.
	Err error
}

// Error returns the message, and the cause where there is one that the message does not have in it.
func (e *Error) Error() string {
	if e.Err != nil && !strings.Contains(e.Message, e.Err.Error()) {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error with a message for the caller. A %w in format becomes the cause as well.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	cause := errors.Unwrap(err)
	var several interface{ Unwrap() []error }
	if cause == nil && errors.As(err, &several) { // two %w or more
		cause = err
	}
	return &Error{Code: code, Message: err.Error(), Err: cause}
}

// CodeOf returns the code of the first Error in err's chain; Internal when there is none, and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Internal
}
