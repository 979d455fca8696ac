package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// trimName removes the prefix that says that what follows is a name.
func trimName(id string) string { return strings.TrimPrefix(id, "name:") }

// claim takes a machine, and while none matches tries again until patience is over.
func (r *allocationResource) claim(ctx context.Context, name string, spec metal.AllocationSpec, patience time.Duration) (metal.Allocation, error) {
	until := time.Now().Add(patience)
	for pause := time.Second / 2; ; pause = min(2*pause, 10*time.Second) {
		a, err := r.put(ctx, name, spec)
		if !exhausted(err) {
			return a, err
		}
		if time.Now().Add(pause).After(until) {
			return a, r.explained(ctx, spec, err, patience)
		}
		tflog.Info(ctx, "no machine matches yet", map[string]any{"allocation": name, "until": until.Format(time.RFC3339)})
		select {
		case <-ctx.Done():
			return a, errors.New("interrupted while no machine matched: nothing was claimed")
		case <-time.After(pause):
		}
	}
}

func (r *allocationResource) put(ctx context.Context, name string, spec metal.AllocationSpec) (metal.Allocation, error) {
	call, cancel := lasting(ctx)
	defer cancel()
	return r.api.PutAllocation(call, api.PutAllocationRequest{ByName: api.ByName{Name: name}, Body: spec})
}

// explained adds to an Exhausted error why each machine does not match.
func (r *allocationResource) explained(ctx context.Context, spec metal.AllocationSpec, exhausted error, waited time.Duration) error {
	out := &metal.Error{Code: metal.Exhausted, Message: exhausted.Error()}
	if waited > 0 {
		out.Message += fmt.Sprintf(" (waited for %s)", waited)
	}
	call, cancel := lasting(ctx)
	defer cancel()
	preview, err := r.api.PreviewAllocation(call, api.PreviewAllocationRequest{Body: spec})
	if err != nil {
		out.Detail = "Why no machine matches could not be found out: " + err.Error()
		return out
	}
	out.Detail = reasons(preview.Others) +
		"\n\nChange the constraints, free or add a machine, or set wait_for_capacity to wait for one."
	return out
}

const mostReasons = 30

// reasons lists why each machine does not match, in lines.
func reasons(matches []metal.Match) string {
	if len(matches) == 0 {
		return "There is no machine at all."
	}
	var b strings.Builder
	b.WriteString("Why each machine does not match:")
	for i, match := range matches {
		if i == mostReasons {
			fmt.Fprintf(&b, "\n  and %d more", len(matches)-i)
			break
		}
		fmt.Fprintf(&b, "\n  %s (%s): %s", match.Machine, match.MachineID, strings.Join(match.Reasons, ", "))
	}
	return b.String()
}

// ModifyPlan asks the server whether the held machine meets what is asked for now. If not, the claim is replaced, and
// the plan says why.
func (r *allocationResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() || req.State.Raw.IsNull() || r.connection == nil {
		return
	}
	var plan, state allocationResourceModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.Append(req.State.Get(ctx, &state)...); resp.Diagnostics.HasError() {
		return
	}
	if !changed(req) {
		resp.Plan.Raw = req.State.Raw
		return
	}
	if !plan.Name.Equal(state.Name) || (plan.Constraints.Equal(state.Constraints) && plan.Pool.Equal(state.Pool)) {
		return
	}
	if !fullyKnown(ctx, plan.Constraints, plan.Pool, plan.Release) {
		resp.Diagnostics.AddWarning("Whether the machine stays is not known yet",
			"The constraints depend on something that is known only after apply. If "+state.Machine.ValueString()+" does not meet them then, the apply fails and changes nothing.")
		return
	}
	spec, diags := plan.spec(ctx)
	if resp.Diagnostics.Append(diags...); resp.Diagnostics.HasError() {
		return
	}
	preview, err := r.api.PreviewAllocation(ctx, api.PreviewAllocationRequest{Name: state.Name.ValueString(), Body: spec})
	if err != nil {
		report(&resp.Diagnostics, "ask whether "+state.Machine.ValueString()+" meets the new constraints", err)
		return
	}
	why := misfit(preview, state.MachineID.ValueString())
	if len(why) == 0 {
		return
	}
	changedAt := path.Root("constraints")
	if plan.Constraints.Equal(state.Constraints) {
		changedAt = path.Root("pool")
	}
	resp.RequiresReplace.Append(changedAt)
	resp.Diagnostics.AddAttributeWarning(changedAt, state.Machine.ValueString()+" will be released, and another machine claimed",
		fmt.Sprintf("Machine %s (%s) does not meet what allocation %s asks for now: %s. What is on its disks is lost where the release erases them.",
			state.Machine.ValueString(), state.MachineID.ValueString(), state.Name.ValueString(), strings.Join(why, ", ")))
}

// misfit returns why the held machine does not meet the constraints; nothing when it does.
func misfit(p api.AllocationPreview, held string) []string {
	if p.Machine != nil && p.Machine.MachineID == held {
		return p.Machine.Reasons
	}
	for _, other := range p.Others {
		if other.MachineID == held {
			return other.Reasons
		}
	}
	return []string{"the server does not say why"}
}
