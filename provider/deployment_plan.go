package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-validators/resourcevalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// What metal.Impact.Action can be.
const (
	impactStore  = "store"
	impactDeploy = "deploy"
)

// unfinished says whether a machine in this state has yet to come to what its deployment asks for.
func unfinished(s metal.State) bool {
	return s == metal.Deploying || s == metal.FailedDeployment || s == metal.Allocated || s == metal.Undeploying
}

// ConfigValidators wants user data from one place.
func (r *deploymentResource) ConfigValidators(context.Context) []resource.ConfigValidator {
	return []resource.ConfigValidator{resourcevalidator.Conflicting(path.MatchRoot("user_data"), path.MatchRoot("user_data_wo"))}
}

// ModifyPlan asks the server what the change would do to the machine, and says so in the plan.
func (r *deploymentResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() || r.connection == nil {
		return
	}
	if req.State.Raw.IsNull() {
		r.preview(ctx, req, resp)
		return
	}
	var plan, state, config deploymentResourceModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.Append(req.Config.Get(ctx, &config)...); resp.Diagnostics.HasError() {
		return
	}
	resume := plan.Wait.ValueBool() && unfinished(metal.State(state.State.ValueString()))
	if !resume && !changed(req) {
		resp.Plan.Raw = req.State.Raw
		return
	}
	if !plan.MachineID.Equal(state.MachineID) {
		return // another machine: this one is replaced, and nothing of it is kept
	}
	if !plan.known(ctx, &config) {
		plan.forget()
		resp.Diagnostics.AddWarning(r.machineName(ctx, &state)+" may be erased and reinstalled",
			"What to deploy depends on something that is known only after apply, so that the plan cannot say what this does to the machine.")
		resp.Diagnostics.Append(resp.Plan.Set(ctx, &plan)...)
		return
	}
	body, diags := plan.body(ctx, &state, &config)
	if resp.Diagnostics.Append(diags...); resp.Diagnostics.HasError() {
		return
	}
	impact, err := r.api.PlanDeployment(ctx, api.PlanDeploymentRequest{ByID: api.ByID{ID: state.ID.ValueString()}, Body: body})
	if err != nil {
		report(&resp.Diagnostics, "ask what the change does to machine "+state.MachineID.ValueString(), err)
		return
	}
	resp.Diagnostics.Append(warn(impact, r.machineName(ctx, &state), &plan)...)
	plan.expect(impact, &state, resume)
	resp.Diagnostics.Append(resp.Plan.Set(ctx, &plan)...)
}

// known says whether everything that the server would be asked about is known.
func (m *deploymentResourceModel) known(ctx context.Context, config *deploymentResourceModel) bool {
	return fullyKnown(ctx, m.Image, m.Hostname, m.SSHKeys, m.Network, m.KernelParameters, m.Disk, m.Boot, m.RedeployOn,
		m.RedeployTrigger, m.Protection, m.Storage, config.Storage, m.UserData, config.UserDataWO, m.UserDataVersion)
}

// forget plans everything that a deployment changes as unknown.
func (m *deploymentResourceModel) forget() {
	m.State, m.Digest, m.DeployedAt = types.StringUnknown(), types.StringUnknown(), types.StringUnknown()
	m.PendingChanges, m.StoragePlan = types.SetUnknown(types.StringType), types.ListUnknown(types.StringType)
	m.SSHHostKeys, m.FQDN = types.ListUnknown(types.StringType), types.StringUnknown()
}

// expect plans what the impact changes as unknown, and keeps the rest.
func (m *deploymentResourceModel) expect(impact metal.Impact, state *deploymentResourceModel, resume bool) {
	m.forget()
	if impact.Action == impactDeploy {
		m.StoragePlan = computedList(impact.Storage)
	}
	if resume || impact.Action == impactDeploy {
		return
	}
	m.StoragePlan = state.StoragePlan
	m.State, m.Digest, m.DeployedAt, m.SSHHostKeys = state.State, state.Digest, state.DeployedAt, state.SSHHostKeys
	if impact.Action != impactStore {
		m.PendingChanges = state.PendingChanges
	}
	if m.Hostname.Equal(state.Hostname) && !state.FQDN.IsNull() {
		m.FQDN = state.FQDN
	}
}

// warn says what the change does to a machine that runs.
func warn(impact metal.Impact, machine string, plan *deploymentResourceModel) diag.Diagnostics {
	var diags diag.Diagnostics
	changes := strings.Join(impact.Changes, ", ")
	switch {
	case impact.Problem != "" && impact.Action == impactDeploy && plan.Protection.ValueBool():
		diags.AddAttributeError(path.Root("redeploy_protection"), machine+" is protected from being redeployed",
			fmt.Sprintf("%s\n\nChanged: %s. Set redeploy_protection to false first, or take these fields out of redeploy_on.", sentence(impact.Problem), changes))
	case impact.Problem != "":
		diags.AddWarning("The server would refuse this change of "+machine+" now", sentence(impact.Problem))
	case impact.Action == impactDeploy && plan.Boot.ValueString() == metal.BootMemory:
		diags.AddWarning(machine+" will be given a new system in memory",
			fmt.Sprintf("Applying this redeploys the machine, because of: %s. What its system has in memory is lost; no disk is touched. Until the new system is up, the machine is down.", orElse(changes, "its last deployment did not end well")))
	case impact.Action == impactDeploy:
		disk := orElse(impact.Erases, "its disk")
		diags.AddWarning(machine+" will be erased and reinstalled",
			fmt.Sprintf("Applying this redeploys the machine, because of: %s. It overwrites %s, and what is on it is lost. Until the new system is up, the machine is down.", orElse(changes, "its last deployment did not end well"), disk))
	case impact.Action == impactStore && changes != "":
		diags.AddWarning("Changes of "+machine+" will wait for its next deployment",
			fmt.Sprintf("Applying this stores the change of: %s. The machine runs on as it is. To redeploy it now, change redeploy_trigger, or name these fields in redeploy_on.", changes))
	}
	return diags
}

// machineName is what people call the machine; its id where that cannot be found out.
func (r *deploymentResource) machineName(ctx context.Context, state *deploymentResourceModel) string {
	id := state.MachineID.ValueString()
	got, err := r.read.machines.get(ctx, id)
	if err != nil {
		return "machine " + id
	}
	return fmt.Sprintf("%s (%s)", got.Spec.Name, id)
}
