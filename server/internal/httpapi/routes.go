package httpapi

import "github.com/metalform/terraform-provider-metal/internal/api"

// register adds every endpoint of internal/api.
func (s *server) register() {
	f := s.fleet
	handle(s, api.ListMachines, f.ListMachines)
	handle(s, api.CreateMachine, f.CreateMachine)
	handle(s, api.GetMachine, f.GetMachine)
	handle(s, api.UpdateMachine, f.UpdateMachine)
	handle(s, api.DeleteMachine, f.DeleteMachine)
	handle(s, api.GetInventory, f.GetInventory)
	handle(s, api.CommissionMachine, f.CommissionMachine)
	handle(s, api.AbortMachine, f.AbortMachine)
	handle(s, api.PowerMachine, f.PowerMachine)
	handle(s, api.LockMachine, f.LockMachine)
	handle(s, api.ReleaseMachine, f.ReleaseMachine)
	handle(s, api.MarkMachine, f.MarkMachine)

	handle(s, api.ListAllocations, f.ListAllocations)
	handle(s, api.GetAllocation, f.GetAllocation)
	handle(s, api.PutAllocation, f.PutAllocation)
	handle(s, api.DeleteAllocation, f.DeleteAllocation)
	handle(s, api.PreviewAllocation, f.PreviewAllocation)

	handle(s, api.ListDeployments, f.ListDeployments)
	handle(s, api.GetDeployment, f.GetDeployment)
	handle(s, api.CreateDeployment, f.CreateDeployment)
	handle(s, api.UpdateDeployment, f.UpdateDeployment)
	handle(s, api.PlanDeployment, f.PlanDeployment)
	handle(s, api.DeleteDeployment, f.DeleteDeployment)

	handle(s, api.ListPools, f.ListPools)
	handle(s, api.GetPool, f.GetPool)
	handle(s, api.PutPool, f.PutPool)
	handle(s, api.DeletePool, f.DeletePool)

	handle(s, api.ListSubnets, f.ListSubnets)
	handle(s, api.GetSubnet, f.GetSubnet)
	handle(s, api.PutSubnet, f.PutSubnet)
	handle(s, api.DeleteSubnet, f.DeleteSubnet)
	handle(s, api.ListLeases, f.ListLeases)

	handle(s, api.ListImages, f.ListImages)
	handle(s, api.GetImage, f.GetImage)
	handle(s, api.PutImage, f.PutImage)
	s.handleUpload(api.UploadImage, f.UploadImage)
	handle(s, api.DeleteImage, f.DeleteImage)

	handle(s, api.ListSSHKeys, f.ListSSHKeys)
	handle(s, api.GetSSHKey, f.GetSSHKey)
	handle(s, api.PutSSHKey, f.PutSSHKey)
	handle(s, api.DeleteSSHKey, f.DeleteSSHKey)

	handle(s, api.ListOperations, f.ListOperations)
	handle(s, api.GetOperation, f.GetOperation)
	handle(s, api.GetOperationLog, f.GetOperationLog)
	handle(s, api.ListEvents, f.ListEvents, s.eventStream)

	handle(s, api.GetStatus, f.GetStatus)
	handle(s, api.ListTokens, f.ListTokens)
	handle(s, api.CreateToken, f.CreateToken)
	handle(s, api.DeleteToken, f.DeleteToken)
}
