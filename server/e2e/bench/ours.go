package main

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/lab"
	"github.com/metalform/terraform-provider-metal/server/internal/lab/rack"
)

// ours is a rack of one machine with metald in it.
type ours struct {
	*rack.Rack
	node lab.Machine
}

const name = "bench" // of the machine, the claim and the image

func (o ours) ended(ctx context.Context, id string) error {
	op, err := o.Client.WaitOperation(ctx, id, nil)
	if err != nil {
		return err
	}
	return client.OperationError(op)
}

func (o ours) importImage(ctx context.Context, source string) error {
	image, err := o.Client.PutImage(ctx, api.PutImageRequest{
		ByName: api.ByName{Name: name}, Body: metal.ImageSpec{Source: source, Reports: true},
	})
	if err != nil {
		return err
	}
	return o.ended(ctx, image.OperationID)
}

// declare declares the machine, which is off.
func (o ours) declare(ctx context.Context) (metal.Machine, error) {
	password := o.node.BMC.Password.Reveal()
	return o.Client.CreateMachine(ctx, api.CreateMachineRequest{Body: api.MachineBody{Password: &password, MachineSpec: metal.MachineSpec{
		Name: name, MACs: o.node.MACs, BMC: &metal.BMC{Type: o.node.BMC.Type, Address: o.node.BMC.Address, Username: o.node.BMC.Username},
	}}})
}

// commission takes the machine from off to ready.
func (o ours) commission(ctx context.Context, id string) error {
	op, err := o.Client.CommissionMachine(ctx, api.CommandRequest{ByID: api.ByID{ID: id}})
	if err != nil {
		return err
	}
	return o.ended(ctx, op.ID)
}

// deploy takes the ready machine to an SSH server that answers.
func (o ours) deploy(ctx context.Context) error {
	claim, err := o.Client.PutAllocation(ctx, api.PutAllocationRequest{
		ByName: api.ByName{Name: name}, Body: metal.AllocationSpec{Release: metal.ReleasePolicy{Erase: metal.EraseNone}},
	})
	if err != nil {
		return err
	}
	d, err := o.Client.CreateDeployment(ctx, api.CreateDeploymentRequest{Body: api.CreateDeploymentBody{
		MachineID: claim.MachineID, DeploymentBody: api.DeploymentBody{DeploymentSpec: metal.DeploymentSpec{Image: name}},
	}})
	if err != nil {
		return err
	}
	if len(d.Addresses) == 0 {
		return fmt.Errorf("deployment %s has no address", d.ID)
	}
	addr, err := netip.ParseAddr(d.Addresses[0])
	if err != nil {
		return err
	}
	return awaitSSH(ctx, o.Dial, addr)
}

// forget gives the machine back, which switches it off, and deletes it.
func (o ours) forget(ctx context.Context, id string) error {
	claim, err := o.Client.GetMachine(ctx, api.GetMachineRequest{ByID: api.ByID{ID: id}})
	if err != nil {
		return err
	}
	if err := o.ended(ctx, claim.OperationID); err != nil { // the deployment's: the system's call comes after its SSH server
		return err
	}
	op, err := o.Client.DeleteAllocation(ctx, api.DeleteAllocationRequest{ByID: api.ByID{ID: claim.AllocationID}})
	if err != nil {
		return err
	}
	if err := o.ended(ctx, op.ID); err != nil {
		return err
	}
	return o.Client.DeleteMachine(ctx, api.DeleteMachineRequest{ByID: api.ByID{ID: id}})
}
