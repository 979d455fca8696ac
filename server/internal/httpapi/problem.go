package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// problem is an answer that is not a success. huma takes it for a status error and writes it as it is.
type problem struct {
	api.Problem
	status int
}

// Error returns the message.
func (p *problem) Error() string { return p.Message }

// GetStatus returns the HTTP status.
func (p *problem) GetStatus() int { return p.status }

// problemFor tells e as it is.
func problemFor(e *metal.Error) *problem {
	return &problem{
		Problem: api.Problem{Code: e.Code, Message: e.Message, Detail: e.Detail, Operation: e.Operation},
		status:  api.Status(e.Code),
	}
}

// hidden tells no more than where to look.
func hidden(ctx context.Context) *problem {
	return problemFor(metal.Errorf(metal.Internal, "the server failed: its log says why, at request %s", callOf(ctx).id))
}

// problemOf turns what an endpoint returned into an answer. Faults of the server are logged here, and only here;
// of their cause the caller is told nothing.
func (s *server) problemOf(ctx context.Context, endpoint string, err error) *problem {
	if ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
		// Either the client is gone, or the server is stopping: the one hears nothing, the other comes again.
		p := problemFor(metal.Errorf(metal.Internal, "the server is stopping: try again"))
		p.status = http.StatusServiceUnavailable
		return p
	}
	var e *metal.Error
	known := errors.As(err, &e)
	if known && e.Code != metal.Internal {
		return problemFor(e)
	}
	id := callOf(ctx).id
	s.log.ErrorContext(ctx, "api: an endpoint failed", "request", id, "endpoint", endpoint, "error", err)
	if !known {
		return hidden(ctx)
	}
	p := problemFor(e)
	if e.Err != nil {
		p.Message = strings.TrimSuffix(p.Message, ": "+e.Err.Error())
	}
	p.Message = fmt.Sprintf("%s (the server's log says more, at request %s)", p.Message, id)
	return p
}

// writeProblem answers outside of huma.
func writeProblem(w http.ResponseWriter, p *problem) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(p.status)
	// The only error left is a client that is gone.
	_ = json.NewEncoder(w).Encode(p.Problem)
}

// tellFaults is a huma.Transformer: it gives huma's own refusals the API's form. Values are left out, since they may
// be secrets.
func tellFaults(ctx huma.Context, status string, body any) (any, error) {
	model, ok := body.(*huma.ErrorModel)
	if !ok {
		return body, nil
	}
	ctx.SetHeader("Content-Type", "application/json")
	if code, err := strconv.Atoi(status); err != nil || code >= http.StatusInternalServerError {
		return hidden(ctx.Context()), nil
	}
	var faults []string
	for _, fault := range model.Errors {
		if fault.Location == "" {
			faults = append(faults, fault.Message)
		} else {
			faults = append(faults, fault.Location+": "+fault.Message)
		}
	}
	p := api.Problem{Code: metal.Invalid, Message: model.Detail}
	switch len(faults) {
	case 0:
	case 1:
		p.Message = "the request is not valid: " + faults[0]
	default:
		p.Message = fmt.Sprintf("the request is not valid: %s (and %d more)", faults[0], len(faults)-1)
		p.Detail = strings.Join(faults, "\n")
	}
	return &p, nil
}
