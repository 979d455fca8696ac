package client

import (
	"context"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// ListMachines lists machines.
func (c *Client) ListMachines(ctx context.Context, in api.ListMachinesRequest) (api.List[metal.Machine], error) {
	return call(ctx, c, api.ListMachines, in)
}

// CreateMachine declares a machine, or adopts one that enlisted itself.
func (c *Client) CreateMachine(ctx context.Context, in api.CreateMachineRequest) (metal.Machine, error) {
	return callAgain(ctx, c, api.CreateMachine, in)
}

// GetMachine reads a machine.
func (c *Client) GetMachine(ctx context.Context, in api.GetMachineRequest) (metal.Machine, error) {
	return call(ctx, c, api.GetMachine, in)
}

// UpdateMachine replaces a machine's declaration.
func (c *Client) UpdateMachine(ctx context.Context, in api.UpdateMachineRequest) (metal.Machine, error) {
	return call(ctx, c, api.UpdateMachine, in)
}

// DeleteMachine forgets a machine.
func (c *Client) DeleteMachine(ctx context.Context, in api.DeleteMachineRequest) error {
	_, err := call(ctx, c, api.DeleteMachine, in)
	return err
}

// GetInventory reads a machine's hardware inventory.
func (c *Client) GetInventory(ctx context.Context, in api.ByID) (metal.Inventory, error) {
	return call(ctx, c, api.GetInventory, in)
}

// CommissionMachine inspects a machine and makes it ready.
func (c *Client) CommissionMachine(ctx context.Context, in api.CommandRequest) (metal.Operation, error) {
	return call(ctx, c, api.CommissionMachine, in)
}

// AbortMachine stops the operation that works on a machine.
func (c *Client) AbortMachine(ctx context.Context, in api.ByID) (metal.Machine, error) {
	return call(ctx, c, api.AbortMachine, in)
}

// PowerMachine switches a machine on or off.
func (c *Client) PowerMachine(ctx context.Context, in api.PowerRequest) (metal.Operation, error) {
	return call(ctx, c, api.PowerMachine, in)
}

// LockMachine locks or unlocks a machine.
func (c *Client) LockMachine(ctx context.Context, in api.LockRequest) (metal.Machine, error) {
	return call(ctx, c, api.LockMachine, in)
}

// MarkMachine marks a machine broken, fixed or retired.
func (c *Client) MarkMachine(ctx context.Context, in api.MarkRequest) (metal.Machine, error) {
	return call(ctx, c, api.MarkMachine, in)
}

// ReleaseMachine wipes a machine and gives it back to its pool.
func (c *Client) ReleaseMachine(ctx context.Context, in api.ReleaseRequest) (metal.Operation, error) {
	return call(ctx, c, api.ReleaseMachine, in)
}
