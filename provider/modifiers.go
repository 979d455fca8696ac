package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

var (
	_ planmodifier.String = respelled{}
	_ planmodifier.List   = respelled{}
)

// respelled plans nothing when the configuration now spells the same thing in another way.
type respelled struct{ spelling spelling }

// Description is for tools.
func (respelled) Description(context.Context) string {
	return "Another spelling of the same value is not a change."
}

// MarkdownDescription is for the documentation.
func (r respelled) MarkdownDescription(ctx context.Context) string { return r.Description(ctx) }

// PlanModifyString keeps the spelling in the state.
func (r respelled) PlanModifyString(_ context.Context, req planmodifier.StringRequest, resp *planmodifier.StringResponse) {
	if req.StateValue.IsNull() || req.PlanValue.IsNull() || req.PlanValue.IsUnknown() {
		return
	}
	if r.spelling.same(req.StateValue.ValueString(), req.PlanValue.ValueString()) {
		resp.PlanValue = req.StateValue
	}
}

// PlanModifyList keeps the spelling in the state when every element means the same.
func (r respelled) PlanModifyList(_ context.Context, req planmodifier.ListRequest, resp *planmodifier.ListResponse) {
	was, now := req.StateValue.Elements(), req.PlanValue.Elements()
	if req.StateValue.IsNull() || len(was) != len(now) {
		return
	}
	for i := range was {
		if !r.sameText(was[i], now[i]) {
			return
		}
	}
	resp.PlanValue = req.StateValue
}

func (r respelled) sameText(a, b attr.Value) bool {
	was, okA := a.(textValue)
	now, okB := b.(textValue)
	return okA && okB && !now.IsUnknown() && r.spelling.same(was.ValueString(), now.ValueString())
}

// changed says whether the plan asks for anything: whether any value that is known, or that the user wrote, differs
// from the state. Computed values that are merely unknown do not count.
func changed(req resource.ModifyPlanRequest) bool {
	var state, plan, config map[string]tftypes.Value
	for raw, into := range map[*tftypes.Value]*map[string]tftypes.Value{
		&req.State.Raw: &state, &req.Plan.Raw: &plan, &req.Config.Raw: &config,
	} {
		if raw.IsNull() || raw.As(into) != nil {
			return true
		}
	}
	for name, planned := range plan {
		onlyComputed := !planned.IsKnown() && config[name].IsNull()
		if !onlyComputed && !planned.Equal(state[name]) {
			return true
		}
	}
	return false
}
