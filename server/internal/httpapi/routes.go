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
	handle(s, api.PreviewDeployment, f.PreviewDeployment)
	handle(s, api.DeleteDeployment, f.DeleteDeployment)
	handle(s, api.RevealRecoveryKeys, f.RevealRecoveryKeys)

	handle(s, api.ListPools, f.ListPools)
	handle(s, api.GetPool, f.GetPool)
	handle(s, api.PutPool, f.PutPool)
	handle(s, api.DeletePool, f.DeletePool)

	handle(s, api.ListSubnets, f.ListSubnets)
	handle(s, api.GetSubnet, f.GetSubnet)
	handle(s, api.PutSubnet, f.PutSubnet)
	handle(s, api.DeleteSubnet, f.DeleteSubnet)
	handle(s, api.ListLeases, f.ListLeases)

	handle(s, api.ListEraseCertificates, f.ListEraseCertificates)
	handle(s, api.GetEraseCertificate, f.GetEraseCertificate)
	handle(s, api.GetEraseKey, f.GetEraseKey)

	handle(s, api.ListFabrics, f.ListFabrics)
	handle(s, api.GetFabric, f.GetFabric)
	handle(s, api.PutFabric, f.PutFabric)
	handle(s, api.DeleteFabric, f.DeleteFabric)

	handle(s, api.ListSpaces, f.ListSpaces)
	handle(s, api.GetSpace, f.GetSpace)
	handle(s, api.PutSpace, f.PutSpace)
	handle(s, api.DeleteSpace, f.DeleteSpace)

	handle(s, api.ListVLANs, f.ListVLANs)
	handle(s, api.GetVLAN, f.GetVLAN)
	handle(s, api.PutVLAN, f.PutVLAN)
	handle(s, api.DeleteVLAN, f.DeleteVLAN)

	handle(s, api.ListRanges, f.ListRanges)
	handle(s, api.GetRange, f.GetRange)
	handle(s, api.PutRange, f.PutRange)
	handle(s, api.DeleteRange, f.DeleteRange)

	handle(s, api.ListReservations, f.ListReservations)
	handle(s, api.GetReservation, f.GetReservation)
	handle(s, api.PutReservation, f.PutReservation)
	handle(s, api.DeleteReservation, f.DeleteReservation)

	handle(s, api.ListStaticRoutes, f.ListStaticRoutes)
	handle(s, api.GetStaticRoute, f.GetStaticRoute)
	handle(s, api.PutStaticRoute, f.PutStaticRoute)
	handle(s, api.DeleteStaticRoute, f.DeleteStaticRoute)

	handle(s, api.ListDevices, f.ListDevices)
	handle(s, api.GetDevice, f.GetDevice)
	handle(s, api.PutDevice, f.PutDevice)
	handle(s, api.DeleteDevice, f.DeleteDevice)

	handle(s, api.ListAddresses, f.ListAddresses)
	handle(s, api.DeleteLease, f.DeleteLease)
	handle(s, api.ImportLeases, f.ImportLeases)

	handle(s, api.ListZones, f.ListZones)
	handle(s, api.GetZone, f.GetZone)
	handle(s, api.PutZone, f.PutZone)
	handle(s, api.DeleteZone, f.DeleteZone)

	handle(s, api.ListRecordSets, f.ListRecordSets)
	handle(s, api.GetRecordSet, f.GetRecordSet)
	handle(s, api.PutRecordSet, f.PutRecordSet)
	handle(s, api.DeleteRecordSet, f.DeleteRecordSet)

	handle(s, api.ListDNSKeys, f.ListDNSKeys)
	handle(s, api.GetDNSKey, f.GetDNSKey)
	handle(s, api.PutDNSKey, f.PutDNSKey)
	handle(s, api.DeleteDNSKey, f.DeleteDNSKey)

	handle(s, api.ListImages, f.ListImages)
	handle(s, api.GetImage, f.GetImage)
	handle(s, api.PutImage, f.PutImage)
	s.handleUpload(api.UploadImage, f.UploadImage)
	handle(s, api.DeleteImage, f.DeleteImage)

	handle(s, api.ListBootProfiles, f.ListBootProfiles)
	handle(s, api.GetBootProfile, f.GetBootProfile)
	handle(s, api.PutBootProfile, f.PutBootProfile)
	handle(s, api.CheckBootProfile, f.CheckBootProfile)
	handle(s, api.DeleteBootProfile, f.DeleteBootProfile)

	handle(s, api.ListInstallations, f.ListInstallations)
	handle(s, api.DeleteInstallation, f.DeleteInstallation)

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
