package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// report says that something could not be done, in the server's own words. act is a verb and its object.
func report(diags *diag.Diagnostics, act string, err error) {
	var failed *operationFailed
	var interrupted *interruptedError
	var late *lateError
	switch {
	case errors.As(err, &interrupted):
		diags.AddWarning("Interrupted: "+interrupted.summary(), interrupted.Error())
	case errors.As(err, &late):
		diags.AddError("Cannot "+act+" in time", late.Error())
	case errors.As(err, &failed):
		diags.AddError(fmt.Sprintf("Cannot %s: %s", act, failed.summary()), failed.Error())
	default:
		diags.AddError("Cannot "+act, evidence(err))
	}
}

// reportRead is report for a refresh: a thing that is gone leaves the state and is planned again; whatever else went
// wrong says nothing about the thing, so that the state stays.
func reportRead(ctx context.Context, resp *resource.ReadResponse, kind string, id types.String, err error) {
	if metal.CodeOf(err) != metal.NotFound {
		report(&resp.Diagnostics, "read "+kind+" "+id.ValueString(), err)
		return
	}
	resp.State.RemoveResource(ctx)
	if resp.Identity != nil { // wanted even of what is gone
		resp.Diagnostics.Append(resp.Identity.SetAttribute(ctx, path.Root("id"), id)...)
	}
}

// reportDelete is report for a deletion, where nothing left to delete is a success.
func reportDelete(diags *diag.Diagnostics, act string, err error) {
	if err != nil && metal.CodeOf(err) != metal.NotFound {
		report(diags, act, err)
	}
}

// evidence is the message, and what an Error carries besides.
func evidence(err error) string {
	var e *metal.Error
	if !errors.As(err, &e) {
		return sentence(err.Error())
	}
	out := sentence(e.Error())
	if e.Detail != "" {
		out += "\n\n" + strings.TrimSpace(e.Detail)
	}
	if e.Operation != "" {
		out += "\n\nOperation: " + e.Operation
	}
	if hint := hints(e.Code); hint != "" {
		out += "\n\n" + hint
	}
	return out
}

// hints says what to do about errors whose message cannot know: it is the provider's configuration that is wrong.
func hints(code metal.Code) string {
	switch code {
	case metal.Unauthorized:
		return "Set the provider's token (or METAL_TOKEN) to one that the server knows."
	case metal.Forbidden:
		return "The provider's token may not do this: use another one."
	default:
		return ""
	}
}

func sentence(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// operationFailed is an operation that ended without success.
type operationFailed struct {
	op   metal.Operation
	log  []string
	next string // what to do
}

func (f *operationFailed) summary() string {
	if f.op.Status == metal.OpAborted {
		return "it was aborted"
	}
	return fmt.Sprintf("step %q failed", f.step())
}

func (f *operationFailed) step() string {
	if f.op.Failure != nil && f.op.Failure.Step != "" {
		return f.op.Failure.Step
	}
	return f.op.Step
}

// Error is the whole story: message, evidence, log tail, operation, what to do.
func (f *operationFailed) Error() string {
	var b strings.Builder
	if f.op.Failure != nil {
		b.WriteString(sentence(f.op.Failure.Message) + "\n\n")
		if f.op.Failure.Detail != "" {
			b.WriteString(strings.TrimSpace(f.op.Failure.Detail) + "\n\n")
		}
	} else {
		fmt.Fprintf(&b, "The operation ended as %s in step %q.\n\n", f.op.Status, f.op.Step)
	}
	if len(f.log) > 0 {
		b.WriteString("Last lines of the log:\n  " + strings.Join(f.log, "\n  ") + "\n\n")
	}
	fmt.Fprintf(&b, "Operation: %s\n", f.op.ID)
	if f.next != "" {
		b.WriteString(f.next)
	}
	return strings.TrimSpace(b.String())
}

// interruptedError is a wait that the user cut short. The work goes on.
type interruptedError struct{ op metal.Operation }

func (e *interruptedError) summary() string {
	if e.op.ID == "" {
		return "nothing was started"
	}
	return "it continues on the server as operation " + e.op.ID
}

// Error says what to do.
func (e *interruptedError) Error() string {
	if e.op.ID == "" {
		return "Terraform was interrupted before the work began. Apply again to go on."
	}
	return fmt.Sprintf("Terraform was interrupted while operation %s (%s) was at step %q. The work continues on the server, "+
		"and the state holds what is known by now. Apply again to wait for the rest.", e.op.ID, e.op.Kind, e.op.Step)
}

// lateError is a wait that took longer than the resource's own limit. The work goes on.
type lateError struct {
	op    metal.Operation
	limit time.Duration
}

// Error says what to do.
func (e *lateError) Error() string {
	return fmt.Sprintf("Operation %s (%s) is at step %q and did not end within %s. It continues on the server. Apply again "+
		"once it has ended, or give it more time in the resource's timeouts.", e.op.ID, e.op.Kind, e.op.Step, e.limit)
}
