package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// ModifyPlan finds out whether the content would change: a file is compared by its checksum, and an import that did
// not end well is planned again.
func (r *imageResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() {
		return
	}
	var plan, state, config imageResourceModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	exists := !req.State.Raw.IsNull()
	if exists {
		resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	if !config.Mirrors.IsNull() && config.SHA256.IsNull() && config.SHA512.IsNull() {
		resp.Diagnostics.AddAttributeError(path.Root("mirrors"), "Mirrors need a checksum",
			"Nothing else says that they hold the same file as source: set sha256 or sha512, as the publisher states it.")
		return
	}
	if config.SHA256.IsNull() && !plan.File.IsUnknown() {
		plan.SHA256 = types.StringNull()
		_, err := plan.readFile(loadStamp(ctx, req.Private))
		switch {
		case err != nil && exists:
			plan.SHA256 = state.SHA256
			resp.Diagnostics.AddAttributeWarning(path.Root("file"), "The image file is not here", err.Error()+". The plan takes its content to be unchanged.")
		case err != nil:
			resp.Diagnostics.AddAttributeError(path.Root("file"), "Cannot read the image file", err.Error())
			return
		}
	}
	resp.Diagnostics.Append(resp.Plan.Set(ctx, &plan)...)
	if !exists {
		return
	}
	req.Plan = resp.Plan
	ready := state.State.ValueString() == string(metal.ImageReady)
	sameContent := plan.Source.Equal(state.Source) && plan.SHA256.Equal(state.SHA256) && plan.SHA512.Equal(state.SHA512) &&
		plan.Format.Equal(state.Format) && plan.Kind.Equal(state.Kind)
	if ready && !changed(req) {
		resp.Plan.Raw = req.State.Raw
		return
	}
	if ready && sameContent {
		plan.State, plan.Digest, plan.RawBytes, plan.StoredBytes = state.State, state.Digest, state.RawBytes, state.StoredBytes
	} else {
		plan.State, plan.Digest = types.StringUnknown(), types.StringUnknown()
		plan.RawBytes, plan.StoredBytes = types.Int64Unknown(), types.Int64Unknown()
	}
	resp.Diagnostics.Append(resp.Plan.Set(ctx, &plan)...)
}
