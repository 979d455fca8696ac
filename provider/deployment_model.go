package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// deploymentModel is what the resource and the data source both show.
type deploymentModel struct {
	ID               types.String `tfsdk:"id"`
	MachineID        types.String `tfsdk:"machine_id"`
	Image            types.String `tfsdk:"image"`
	Hostname         types.String `tfsdk:"hostname"`
	SSHKeys          types.Set    `tfsdk:"ssh_keys"`
	Network          types.Object `tfsdk:"network"`
	KernelParameters types.String `tfsdk:"kernel_parameters"`
	Disk             types.String `tfsdk:"disk"`
	Boot             types.String `tfsdk:"boot"`
	RedeployOn       types.Set    `tfsdk:"redeploy_on"`
	RedeployTrigger  types.String `tfsdk:"redeploy_trigger"`
	Protection       types.Bool   `tfsdk:"redeploy_protection"`
	State            types.String `tfsdk:"state"`
	Digest           types.String `tfsdk:"digest"`
	StoragePlan      types.List   `tfsdk:"storage_plan"`
	PendingChanges   types.Set    `tfsdk:"pending_changes"`
	SSHHostKeys      types.List   `tfsdk:"ssh_host_keys"`
	Addresses        types.List   `tfsdk:"addresses"`
	FQDN             types.String `tfsdk:"fqdn"`
	DeployedAt       types.String `tfsdk:"deployed_at"`
}

type deploymentResourceModel struct {
	deploymentModel
	Storage         types.Object   `tfsdk:"storage"`
	UserData        types.String   `tfsdk:"user_data"`
	UserDataWO      types.String   `tfsdk:"user_data_wo"`
	UserDataVersion types.Int64    `tfsdk:"user_data_wo_version"`
	Wait            types.Bool     `tfsdk:"wait"`
	Timeouts        timeouts.Value `tfsdk:"timeouts"`
}

const staticMode = "static"

// redeployDefault are the fields whose change redeploys where the user does not say otherwise.
func redeployDefault() types.Set { return computedSet([]string{"image", "disk", "trigger"}) }

// set copies what the server says. Only what is asked for is compared with the configuration: what runs is in digest,
// pending_changes and state.
func (m *deploymentModel) set(ctx context.Context, d metal.Deployment) (diags diag.Diagnostics) {
	m.ID, m.MachineID = types.StringValue(d.ID), types.StringValue(d.MachineID)
	m.Image = types.StringValue(d.Spec.Image)
	m.Hostname = newString(m.Hostname, d.Spec.Hostname)
	m.SSHKeys = newSet(m.SSHKeys, d.Spec.SSHKeys)
	m.Network, diags = newNetwork(ctx, m.Network, d.Spec.Network)
	m.KernelParameters = newString(m.KernelParameters, d.Spec.KernelParameters)
	m.Disk = newString(m.Disk, d.Spec.Disk)
	m.Boot = types.StringValue(orElse(d.Spec.Boot, "reboot"))
	m.RedeployTrigger = newString(m.RedeployTrigger, d.Spec.Trigger)
	m.Protection = types.BoolValue(d.Spec.Protected)
	switch {
	case len(d.Spec.RedeployOn) > 0:
		m.RedeployOn = computedSet(d.Spec.RedeployOn)
	case m.RedeployOn.IsNull():
		m.RedeployOn = redeployDefault()
	}
	m.State = types.StringValue(string(d.State))
	m.Digest = newString(types.StringUnknown(), d.Digest)
	m.StoragePlan = computedList(d.StoragePlan)
	m.PendingChanges = computedSet(d.PendingChanges)
	m.SSHHostKeys, m.Addresses = computedList(d.SSHHostKeys), computedList(d.Addresses)
	m.FQDN = newString(types.StringUnknown(), d.FQDN)
	m.DeployedAt = types.StringNull()
	if !d.DeployedAt.IsZero() {
		m.DeployedAt = types.StringValue(d.DeployedAt.UTC().Format(time.RFC3339))
	}
	return diags
}

// set copies what the server says. It never tells user data back, but its digest shows when somebody replaced it.
func (m *deploymentResourceModel) set(ctx context.Context, d metal.Deployment) diag.Diagnostics {
	diags := m.deploymentModel.set(ctx, d)
	var more diag.Diagnostics
	m.Storage, more = newStorage(ctx, m.Storage, d.Spec.Storage)
	diags.Append(more...)
	if !m.UserData.IsNull() && digestOf(m.UserData.ValueString()) != d.Spec.UserDataSHA256 {
		m.UserData = types.StringNull()
	}
	if m.Wait.IsNull() {
		m.Wait = types.BoolValue(true)
	}
	return diags
}

// digestOf is the SHA-256 in hex; empty for no text.
func digestOf(text string) string {
	if text == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// keep holds what the plan promised.
func (m *deploymentResourceModel) keep(planned *deploymentResourceModel) {
	m.State, m.Digest = hold(planned.State, m.State), hold(planned.Digest, m.Digest)
	m.PendingChanges, m.SSHHostKeys = hold(planned.PendingChanges, m.PendingChanges), hold(planned.SSHHostKeys, m.SSHHostKeys)
	m.Addresses, m.FQDN = hold(planned.Addresses, m.Addresses), hold(planned.FQDN, m.FQDN)
	m.StoragePlan = hold(planned.StoragePlan, m.StoragePlan)
	m.DeployedAt, m.UserData = hold(planned.DeployedAt, m.DeployedAt), hold(planned.UserData, m.UserData)
}

// body is what the plan asks for. prior is nil before the first time; config has the user data that is in no plan.
func (m *deploymentResourceModel) body(ctx context.Context, prior, config *deploymentResourceModel) (api.DeploymentBody, diag.Diagnostics) {
	network, diags := networkFrom(ctx, m.Network)
	body := api.DeploymentBody{
		DeploymentSpec: metal.DeploymentSpec{
			Image:            m.Image.ValueString(),
			Hostname:         m.Hostname.ValueString(),
			SSHKeys:          sorted(m.SSHKeys),
			Network:          network,
			KernelParameters: m.KernelParameters.ValueString(),
			Disk:             m.Disk.ValueString(),
			Boot:             m.Boot.ValueString(),
			Trigger:          m.RedeployTrigger.ValueString(),
			RedeployOn:       sorted(m.RedeployOn),
			Protected:        m.Protection.ValueBool(),
		},
		UserData: m.userData(prior, config),
	}
	diags.Append(m.storageBody(ctx, prior, config, &body)...)
	return body, diags
}

// userData is the user data to send; nil leaves what the server has. Write-only data is sent when its version says
// that it is another one, and data that the configuration no longer has is taken away.
func (m *deploymentResourceModel) userData(prior, config *deploymentResourceModel) *string {
	switch {
	case !m.UserData.IsNull():
		return m.UserData.ValueStringPointer()
	case prior == nil:
		return config.UserDataWO.ValueStringPointer()
	case !m.UserDataVersion.Equal(prior.UserDataVersion):
		text := config.UserDataWO.ValueString()
		return &text
	case !prior.UserData.IsNull():
		text := ""
		return &text
	default:
		return nil
	}
}
