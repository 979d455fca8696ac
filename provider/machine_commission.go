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

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func idPath() path.Path { return path.Root("id") }

// uncommissioned says whether a machine in this state has to be commissioned before it is of use.
func uncommissioned(s metal.State) bool {
	return s == metal.New || s == metal.Commissioning || s == metal.FailedCommissioning
}

// ModifyPlan plans another commissioning for a machine that has none behind it, and nothing at all where only the
// spelling of a value is another.
func (r *machineResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() || req.State.Raw.IsNull() {
		return
	}
	var plan, state machineResourceModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	commission := plan.WaitFor.ValueString() == waitForReady && uncommissioned(metal.State(state.State.ValueString()))
	if !commission && !changed(req) {
		resp.Plan.Raw = req.State.Raw
		return
	}
	plan.State = types.StringUnknown()
	if commission {
		plan.Hardware = types.ObjectUnknown(hardwareAttributes())
	}
	if commission || !plan.MACs.Equal(state.MACs) {
		plan.Address = types.StringUnknown()
	}
	if commission || !plan.MACs.Equal(state.MACs) || !plan.Name.Equal(state.Name) {
		plan.FQDN = types.StringUnknown()
	}
	resp.Diagnostics.Append(resp.Plan.Set(ctx, &plan)...)
}

// settle commissions the machine where it needs that, and waits; whatever comes of it, the model holds what the server
// knows then.
func (r *machineResource) settle(ctx context.Context, m *machineResourceModel, got metal.Machine, limit time.Duration) diag.Diagnostics {
	var diags diag.Diagnostics
	if !uncommissioned(got.State) {
		return nil
	}
	err := r.commission(ctx, got, limit)
	call, cancel := lasting(ctx)
	defer cancel()
	now, readErr := r.api.GetMachine(call, api.GetMachineRequest{ByID: api.ByID{ID: got.ID}})
	if readErr == nil {
		diags.Append(m.set(ctx, now)...)
	}
	if err == nil {
		err = readErr
	}
	if err != nil {
		report(&diags, "commission machine "+got.Spec.Name, err)
	}
	return diags
}

func (r *machineResource) commission(ctx context.Context, got metal.Machine, limit time.Duration) error {
	operation := got.OperationID
	if got.State != metal.Commissioning {
		if ctx.Err() != nil {
			return &interruptedError{}
		}
		call, cancel := lasting(ctx)
		defer cancel()
		// The last operation is part of the key: a repeat of this call finds its own operation, a later try makes another.
		key := fmt.Sprintf("%s/%d/%s", got.ID, got.Generation, got.OperationID)
		op, err := r.api.CommissionMachine(call, api.CommandRequest{ByID: api.ByID{ID: got.ID}, Key: key})
		if err != nil {
			return err
		}
		operation = op.ID
	}
	return r.follow(ctx, operation, limit, "Mend the cause and apply again: the machine is commissioned once more.")
}

// forget deletes the machine's record. An operation that still works on the machine, as the erase after a release that
// the same apply has asked for, is waited for; how it ends does not matter to a machine that is forgotten.
func (r *machineResource) forget(ctx context.Context, id string, limit time.Duration) error {
	until := time.Now().Add(limit)
	for {
		call, cancel := lasting(ctx)
		err := r.api.DeleteMachine(call, api.DeleteMachineRequest{ByID: api.ByID{ID: id}})
		cancel()
		var refusal *metal.Error
		if !errors.As(err, &refusal) || refusal.Code != metal.Conflict || refusal.Operation == "" {
			return err
		}
		err = r.follow(ctx, refusal.Operation, time.Until(until), "")
		var ended *operationFailed
		var interrupted *interruptedError
		switch {
		case errors.As(err, &interrupted):
			return refusal // the record is still there, and so must the resource be
		case err != nil && !errors.As(err, &ended):
			return err
		}
	}
}

// prefixed says whether an import id names its object otherwise than by its id.
func prefixed(id string) bool { return strings.Contains(id, ":") }

// find looks one machine up by its id, or by a prefix that says what the rest is.
func (c *connection) find(ctx context.Context, id string) (metal.Machine, error) {
	kind, value, _ := strings.Cut(id, ":")
	query := api.ListMachinesRequest{Page: api.Page{Limit: 2}}
	switch {
	case prefixed(id) && kind == "name":
		query.Name = value
	case prefixed(id) && kind == "serial":
		query.Serial = value
	case prefixed(id) && kind == "uuid":
		query.UUID = value
	case prefixed(id) && kind == "mac":
		mac, err := metal.ParseMAC(value)
		if err != nil {
			return metal.Machine{}, err
		}
		query.MAC = string(mac)
	default:
		return c.api.GetMachine(ctx, api.GetMachineRequest{ByID: api.ByID{ID: id}})
	}
	found, err := c.api.ListMachines(ctx, query)
	switch {
	case err != nil:
		return metal.Machine{}, err
	case len(found.Items) == 0:
		return metal.Machine{}, metal.Errorf(metal.NotFound, "no machine has the %s %s: `metalctl machines list` shows all", kind, value)
	case len(found.Items) > 1:
		return metal.Machine{}, metal.Errorf(metal.Conflict, "more than one machine has the %s %s: name it by its id", kind, value)
	}
	return found.Items[0], nil
}
