package httpapi

import (
	"context"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Fleet is what the API calls: one method per endpoint of internal/api, with the endpoint's ID as its name. Errors
// that a caller may be told are *metal.Error; of any other, the caller learns no more than that the server failed.
//
// UploadImage reads its body while the client sends it. List methods with wait set are long polls: they end with ctx.
type Fleet interface {
	ListMachines(ctx context.Context, in api.ListMachinesRequest) (api.List[metal.Machine], error)
	CreateMachine(ctx context.Context, in api.CreateMachineRequest) (metal.Machine, error)
	GetMachine(ctx context.Context, in api.GetMachineRequest) (metal.Machine, error)
	UpdateMachine(ctx context.Context, in api.UpdateMachineRequest) (metal.Machine, error)
	DeleteMachine(ctx context.Context, in api.DeleteMachineRequest) (api.None, error)
	GetInventory(ctx context.Context, in api.ByID) (metal.Inventory, error)
	CommissionMachine(ctx context.Context, in api.CommandRequest) (metal.Operation, error)
	AbortMachine(ctx context.Context, in api.ByID) (metal.Machine, error)
	PowerMachine(ctx context.Context, in api.PowerRequest) (metal.Operation, error)
	LockMachine(ctx context.Context, in api.LockRequest) (metal.Machine, error)
	ReleaseMachine(ctx context.Context, in api.ReleaseRequest) (metal.Operation, error)
	MarkMachine(ctx context.Context, in api.MarkRequest) (metal.Machine, error)

	ListAllocations(ctx context.Context, in api.ListByIDsRequest) (api.List[metal.Allocation], error)
	GetAllocation(ctx context.Context, in api.ByID) (metal.Allocation, error)
	PutAllocation(ctx context.Context, in api.PutAllocationRequest) (metal.Allocation, error)
	DeleteAllocation(ctx context.Context, in api.DeleteAllocationRequest) (metal.Operation, error)
	PreviewAllocation(ctx context.Context, in api.PreviewAllocationRequest) (api.AllocationPreview, error)

	ListDeployments(ctx context.Context, in api.ListByIDsRequest) (api.List[metal.Deployment], error)
	GetDeployment(ctx context.Context, in api.GetDeploymentRequest) (metal.Deployment, error)
	CreateDeployment(ctx context.Context, in api.CreateDeploymentRequest) (metal.Deployment, error)
	UpdateDeployment(ctx context.Context, in api.UpdateDeploymentRequest) (metal.Deployment, error)
	PlanDeployment(ctx context.Context, in api.PlanDeploymentRequest) (metal.Impact, error)
	PreviewDeployment(ctx context.Context, in api.PreviewDeploymentRequest) (metal.Impact, error)
	RevealRecoveryKeys(ctx context.Context, in api.ByID) (api.RecoveryKeys, error)
	DeleteDeployment(ctx context.Context, in api.ByID) (metal.Operation, error)

	ListPools(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.Pool], error)
	GetPool(ctx context.Context, in api.ByName) (metal.Pool, error)
	PutPool(ctx context.Context, in api.PutPoolRequest) (metal.Pool, error)
	DeletePool(ctx context.Context, in api.DeleteByNameRequest) (api.None, error)

	ListSubnets(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.Subnet], error)
	GetSubnet(ctx context.Context, in api.ByName) (metal.Subnet, error)
	PutSubnet(ctx context.Context, in api.PutSubnetRequest) (metal.Subnet, error)
	DeleteSubnet(ctx context.Context, in api.DeleteByNameRequest) (api.None, error)
	ListLeases(ctx context.Context, in api.ListLeasesRequest) (api.List[metal.Lease], error)

	ListEraseCertificates(ctx context.Context, in api.ListEraseCertificatesRequest) (api.List[metal.EraseCertificate], error)
	GetEraseCertificate(ctx context.Context, in api.ByID) (metal.EraseCertificate, error)
	GetEraseKey(ctx context.Context, in api.None) (metal.JWK, error)

	ListFabrics(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.Fabric], error)
	GetFabric(ctx context.Context, in api.ByName) (metal.Fabric, error)
	PutFabric(ctx context.Context, in api.PutFabricRequest) (metal.Fabric, error)
	DeleteFabric(ctx context.Context, in api.DeleteByNameRequest) (api.None, error)

	ListSpaces(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.Space], error)
	GetSpace(ctx context.Context, in api.ByName) (metal.Space, error)
	PutSpace(ctx context.Context, in api.PutSpaceRequest) (metal.Space, error)
	DeleteSpace(ctx context.Context, in api.DeleteByNameRequest) (api.None, error)

	ListVLANs(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.VLAN], error)
	GetVLAN(ctx context.Context, in api.ByName) (metal.VLAN, error)
	PutVLAN(ctx context.Context, in api.PutVLANRequest) (metal.VLAN, error)
	DeleteVLAN(ctx context.Context, in api.DeleteByNameRequest) (api.None, error)

	ListRanges(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.IPRange], error)
	GetRange(ctx context.Context, in api.ByName) (metal.IPRange, error)
	PutRange(ctx context.Context, in api.PutRangeRequest) (metal.IPRange, error)
	DeleteRange(ctx context.Context, in api.DeleteByNameRequest) (api.None, error)

	ListReservations(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.Reservation], error)
	GetReservation(ctx context.Context, in api.ByName) (metal.Reservation, error)
	PutReservation(ctx context.Context, in api.PutReservationRequest) (metal.Reservation, error)
	DeleteReservation(ctx context.Context, in api.DeleteByNameRequest) (api.None, error)

	ListStaticRoutes(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.StaticRoute], error)
	GetStaticRoute(ctx context.Context, in api.ByName) (metal.StaticRoute, error)
	PutStaticRoute(ctx context.Context, in api.PutStaticRouteRequest) (metal.StaticRoute, error)
	DeleteStaticRoute(ctx context.Context, in api.DeleteByNameRequest) (api.None, error)

	ListDevices(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.Device], error)
	GetDevice(ctx context.Context, in api.ByName) (metal.Device, error)
	PutDevice(ctx context.Context, in api.PutDeviceRequest) (metal.Device, error)
	DeleteDevice(ctx context.Context, in api.DeleteByNameRequest) (api.None, error)

	ListAddresses(ctx context.Context, in api.ListAddressesRequest) (api.List[metal.AddressUse], error)
	DeleteLease(ctx context.Context, in api.DeleteLeaseRequest) (api.None, error)
	ImportLeases(ctx context.Context, in api.ImportLeasesRequest) (api.ImportedLeases, error)

	ListZones(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.Zone], error)
	GetZone(ctx context.Context, in api.ByZone) (metal.Zone, error)
	PutZone(ctx context.Context, in api.PutZoneRequest) (metal.Zone, error)
	DeleteZone(ctx context.Context, in api.DeleteZoneRequest) (api.None, error)

	ListRecordSets(ctx context.Context, in api.ListRecordSetsRequest) (api.List[metal.RecordSet], error)
	GetRecordSet(ctx context.Context, in api.ByRecordSet) (metal.RecordSet, error)
	PutRecordSet(ctx context.Context, in api.PutRecordSetRequest) (metal.RecordSet, error)
	DeleteRecordSet(ctx context.Context, in api.DeleteRecordSetRequest) (api.None, error)

	ListDNSKeys(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.DNSKey], error)
	GetDNSKey(ctx context.Context, in api.ByName) (metal.DNSKey, error)
	PutDNSKey(ctx context.Context, in api.PutDNSKeyRequest) (metal.DNSKey, error)
	DeleteDNSKey(ctx context.Context, in api.DeleteByNameRequest) (api.None, error)

	ListImages(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.Image], error)
	GetImage(ctx context.Context, in api.GetImageRequest) (metal.Image, error)
	PutImage(ctx context.Context, in api.PutImageRequest) (metal.Image, error)
	UploadImage(ctx context.Context, in api.UploadImageRequest) (metal.Image, error)
	DeleteImage(ctx context.Context, in api.DeleteByNameRequest) (api.None, error)

	ListBootProfiles(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.BootProfile], error)
	GetBootProfile(ctx context.Context, in api.GetBootProfileRequest) (metal.BootProfile, error)
	PutBootProfile(ctx context.Context, in api.PutBootProfileRequest) (metal.BootProfile, error)
	CheckBootProfile(ctx context.Context, in api.CheckBootProfileRequest) (api.None, error)
	DeleteBootProfile(ctx context.Context, in api.DeleteByNameRequest) (api.None, error)

	ListInstallations(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.Installation], error)
	DeleteInstallation(ctx context.Context, in api.ByMAC) (api.None, error)

	ListSSHKeys(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.SSHKey], error)
	GetSSHKey(ctx context.Context, in api.ByName) (metal.SSHKey, error)
	PutSSHKey(ctx context.Context, in api.PutSSHKeyRequest) (metal.SSHKey, error)
	DeleteSSHKey(ctx context.Context, in api.DeleteByNameRequest) (api.None, error)

	ListOperations(ctx context.Context, in api.ListOperationsRequest) (api.List[metal.Operation], error)
	GetOperation(ctx context.Context, in api.GetOperationRequest) (metal.Operation, error)
	GetOperationLog(ctx context.Context, in api.GetLogRequest) (api.Log, error)
	ListEvents(ctx context.Context, in api.ListEventsRequest) (api.List[metal.Event], error)

	GetStatus(ctx context.Context, in api.None) (api.ServerStatus, error)
	ListTokens(ctx context.Context, in api.None) (api.List[api.Token], error)
	CreateToken(ctx context.Context, in api.CreateTokenRequest) (api.NewToken, error)
	DeleteToken(ctx context.Context, in api.ByName) (api.None, error)
}
