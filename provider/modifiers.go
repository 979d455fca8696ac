package main

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

var (
	_ planmodifier.String = respelled{}
	_ planmodifier.List   = respelled{}
	_ planmodifier.String = stableWhile{}
	_ planmodifier.List   = stableWhile{}
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

// stableWhile keeps a computed value known for as long as the attributes that it follows from do not change: a plan
// that says "known after apply" of what will stay as it is is no honest one.
type stableWhile struct{ paths []string }

// Description is for tools.
func (s stableWhile) Description(context.Context) string {
	return "Stays as it is unless one of these changes: " + strings.Join(s.paths, ", ") + "."
}

// MarkdownDescription is for the documentation.
func (s stableWhile) MarkdownDescription(ctx context.Context) string { return s.Description(ctx) }

// PlanModifyString keeps the value in the state.
func (s stableWhile) PlanModifyString(_ context.Context, req planmodifier.StringRequest, resp *planmodifier.StringResponse) {
	if req.PlanValue.IsUnknown() && !req.StateValue.IsNull() && s.same(req.State, req.Plan) {
		resp.PlanValue = req.StateValue
	}
}

// PlanModifyList keeps the value in the state.
func (s stableWhile) PlanModifyList(_ context.Context, req planmodifier.ListRequest, resp *planmodifier.ListResponse) {
	if req.PlanValue.IsUnknown() && !req.StateValue.IsNull() && s.same(req.State, req.Plan) {
		resp.PlanValue = req.StateValue
	}
}

func (s stableWhile) same(state tfsdk.State, plan tfsdk.Plan) bool {
	var was, planned map[string]tftypes.Value
	if state.Raw.As(&was) != nil || plan.Raw.As(&planned) != nil {
		return false
	}
	for _, name := range s.paths {
		if !alike(planned[name], was[name]) {
			return false
		}
	}
	return true
}

// alike says whether two values mean the same, however addresses in them are spelt.
func alike(a, b tftypes.Value) bool {
	if a.Equal(b) {
		return true
	}
	if !a.IsKnown() || !b.IsKnown() || a.IsNull() || b.IsNull() {
		return false
	}
	var s, t string
	if a.As(&s) == nil && b.As(&t) == nil {
		return macSpelling.same(s, t) || addressSpelling.same(s, t) || networkSpelling.same(s, t)
	}
	var m, n map[string]tftypes.Value
	if a.As(&m) == nil && b.As(&n) == nil {
		return maps.EqualFunc(m, n, alike)
	}
	var l, k []tftypes.Value
	return a.As(&l) == nil && b.As(&k) == nil && slices.EqualFunc(l, k, alike)
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
