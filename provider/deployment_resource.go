package main

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

var (
	_ resource.ResourceWithConfigure        = (*deploymentResource)(nil)
	_ resource.ResourceWithIdentity         = (*deploymentResource)(nil)
	_ resource.ResourceWithImportState      = (*deploymentResource)(nil)
	_ resource.ResourceWithModifyPlan       = (*deploymentResource)(nil)
	_ resource.ResourceWithConfigValidators = (*deploymentResource)(nil)
)

func newDeploymentResource() resource.Resource { return &deploymentResource{} }

// deploymentResource is what runs on an allocated machine.
type deploymentResource struct{ connected }

// The server's own limits are 45 and 10 minutes: it has the first word.
const (
	deployTime   = time.Hour
	undeployTime = 20 * time.Minute
)

// Metadata names the resource.
func (r *deploymentResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_deployment"
}

// Schema is what a configuration may say.
func (r *deploymentResource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = deploymentSchema(ctx)
}

// Create installs the image, and waits until the system is up.
func (r *deploymentResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var m, config deploymentResourceModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	if resp.Diagnostics.Append(req.Config.Get(ctx, &config)...); resp.Diagnostics.HasError() {
		return
	}
	limit, diags := m.Timeouts.Create(ctx, deployTime)
	resp.Diagnostics.Append(diags...)
	body, diags := m.body(ctx, nil, &config)
	if resp.Diagnostics.Append(diags...); resp.Diagnostics.HasError() {
		return
	}
	call, cancel := lasting(ctx)
	defer cancel()
	d, err := r.api.CreateDeployment(call, api.CreateDeploymentRequest{
		Body: api.CreateDeploymentBody{MachineID: m.MachineID.ValueString(), DeploymentBody: body},
	})
	if err != nil {
		report(&resp.Diagnostics, "deploy "+body.Image+" to machine "+m.MachineID.ValueString(), err)
		return
	}
	planned := m
	resp.Diagnostics.Append(m.set(ctx, d)...)
	m.StoragePlan = hold(planned.StoragePlan, m.StoragePlan)
	resp.Diagnostics.Append(save(ctx, &resp.State, resp.Identity, m.ID, &m)...)
	if m.Wait.ValueBool() {
		resp.Diagnostics.Append(r.settle(ctx, &m, d, limit)...)
		m.StoragePlan = hold(planned.StoragePlan, m.StoragePlan)
		resp.Diagnostics.Append(save(ctx, &resp.State, resp.Identity, m.ID, &m)...)
	}
}

// Read refreshes the state; a deployment that is gone, as when its machine was released by hand, is removed.
func (r *deploymentResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m deploymentResourceModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	d, err := r.read.deployments.get(ctx, m.ID.ValueString())
	if err != nil {
		reportRead(ctx, resp, "deployment", m.ID, err)
		return
	}
	resp.Diagnostics.Append(m.set(ctx, d)...)
	resp.Diagnostics.Append(save(ctx, &resp.State, resp.Identity, m.ID, &m)...)
}

// Update changes what runs on the same machine: at once, or with its next deployment, as redeploy_on says. A failure
// leaves the machine with its claim, and the resource untainted.
func (r *deploymentResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var planned, prior, config deploymentResourceModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &planned)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &prior)...)
	if resp.Diagnostics.Append(req.Config.Get(ctx, &config)...); resp.Diagnostics.HasError() {
		return
	}
	m := planned
	limit, diags := m.Timeouts.Update(ctx, deployTime)
	resp.Diagnostics.Append(diags...)
	body, diags := m.body(ctx, &prior, &config)
	if resp.Diagnostics.Append(diags...); resp.Diagnostics.HasError() {
		return
	}
	call, cancel := lasting(ctx)
	defer cancel()
	d, err := r.api.UpdateDeployment(call, api.UpdateDeploymentRequest{ByID: api.ByID{ID: m.ID.ValueString()}, Body: body})
	if err != nil {
		report(&resp.Diagnostics, "change deployment "+m.ID.ValueString(), err)
		return
	}
	resp.Diagnostics.Append(m.set(ctx, d)...)
	if m.Wait.ValueBool() {
		resp.Diagnostics.Append(r.settle(ctx, &m, d, limit)...)
	}
	m.keep(&planned)
	resp.Diagnostics.Append(save(ctx, &resp.State, resp.Identity, m.ID, &m)...)
}

// settle waits until the machine is settled; whatever comes of it, the model holds what the server knows then.
func (r *deploymentResource) settle(ctx context.Context, m *deploymentResourceModel, d metal.Deployment, limit time.Duration) diag.Diagnostics {
	var diags diag.Diagnostics
	if d.Settled && d.Failure == nil {
		return nil
	}
	op, err := r.ended(ctx, d.OperationID, limit, "The machine keeps its claim. Mend the cause and apply again: the same machine is installed once more.")
	call, cancel := lasting(ctx)
	defer cancel()
	now, readErr := r.api.GetDeployment(call, api.GetDeploymentRequest{ByID: api.ByID{ID: d.ID}})
	if readErr == nil {
		diags.Append(m.set(ctx, now)...)
	}
	if err == nil {
		err = readErr
	}
	if err != nil {
		report(&diags, "deploy "+d.Spec.Image+" to "+orElse(d.FQDN, d.MachineID), err)
		return diags
	}
	for _, warning := range op.Warnings {
		diags.AddWarning("The system is up on "+orElse(d.FQDN, d.MachineID)+", and something went wrong on the way", warning)
	}
	return diags
}

// Delete takes the system off the machine, which stays claimed. It is accepted for good when the call returns, so that
// an interrupt may drop the deployment from the state.
func (r *deploymentResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var m deploymentResourceModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	limit, diags := m.Timeouts.Delete(ctx, undeployTime)
	resp.Diagnostics.Append(diags...)
	call, cancel := lasting(ctx)
	defer cancel()
	op, err := r.api.DeleteDeployment(call, api.ByID{ID: m.ID.ValueString()})
	if err == nil {
		err = r.follow(ctx, op.ID, limit, "Mend the cause and destroy again.")
	}
	reportDelete(&resp.Diagnostics, "take the system off machine "+m.MachineID.ValueString(), err)
}

// ImportState takes over a deployment by its id, or by name: or mac: of the machine it runs on.
func (r *deploymentResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	if !prefixed(req.ID) {
		resource.ImportStatePassthroughWithIdentity(ctx, path.Root("id"), path.Root("id"), req, resp)
		return
	}
	got, err := r.find(ctx, req.ID)
	if err == nil && got.DeploymentID == "" {
		err = metal.Errorf(metal.NotFound, "nothing is deployed on machine %s", got.Spec.Name)
	}
	if err != nil {
		report(&resp.Diagnostics, "import the deployment on "+req.ID, err)
		return
	}
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("id"), got.DeploymentID)...)
}
