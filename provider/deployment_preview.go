package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// preview plans what a new deployment makes of the disks, where the machine and everything else is known. A layout or a
// network that cannot be made is refused here, and not first at apply.
func (r *deploymentResource) preview(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	var plan, config deploymentResourceModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.Append(req.Config.Get(ctx, &config)...); resp.Diagnostics.HasError() {
		return
	}
	network, diags := networkFrom(ctx, config.Network)
	if plan.Storage.IsNull() && (diags.HasError() || !network.Declared()) || plan.MachineID.IsUnknown() || !plan.known(ctx, &config) {
		return
	}
	body, diags := plan.body(ctx, nil, &config)
	if resp.Diagnostics.Append(diags...); resp.Diagnostics.HasError() {
		return
	}
	machine := plan.MachineID.ValueString()
	impact, err := r.api.PreviewDeployment(ctx, api.PreviewDeploymentRequest{Body: api.CreateDeploymentBody{MachineID: machine, DeploymentBody: body}})
	if metal.CodeOf(err) == metal.Invalid {
		refused := diag.NewErrorDiagnostic("Cannot deploy to machine "+machine+" as declared", evidence(err))
		switch declared := network.Declared(); {
		case plan.Storage.IsNull():
			resp.Diagnostics.Append(diag.WithPath(path.Root("network"), refused))
		case !declared:
			resp.Diagnostics.Append(diag.WithPath(path.Root("storage"), refused))
		default:
			resp.Diagnostics.Append(refused)
		}
		return
	}
	if err != nil || len(impact.Storage) == 0 { // what else is wrong, apply will say: it may be mended by then
		return
	}
	plan.StoragePlan = computedList(impact.Storage)
	resp.Diagnostics.Append(resp.Plan.Set(ctx, &plan)...)
}

// storageBody adds storage to what the plan asks for.
func (m *deploymentResourceModel) storageBody(ctx context.Context, prior, config *deploymentResourceModel, body *api.DeploymentBody) diag.Diagnostics {
	planned, diags := storageFrom(ctx, m.Storage)
	written, more := storageFrom(ctx, config.Storage)
	diags.Append(more...)
	var before *storageModel
	if prior != nil {
		before, more = storageFrom(ctx, prior.Storage)
		diags.Append(more...)
	}
	var err error
	if body.Storage, err = planned.spec(); err != nil {
		diags.AddAttributeError(path.Root("storage"), "Cannot read storage", sentence(err.Error()))
	}
	body.StorageKeys = storageKeys(before, planned, written)
	return diags
}
