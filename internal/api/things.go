package api

import (
	"io"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// ListByNamesRequest lists, or reads the given names in one call.
type ListByNamesRequest struct {
	Page
	Names []string `query:"names" doc:"Only these, separated by commas; unknown ones are left out"`
}

// PoolBody is what is written of a pool.
type PoolBody struct {
	Description string `json:"description,omitempty" maxLength:"1024"`
}

// PutPoolRequest makes or changes a pool.
type PutPoolRequest struct {
	ByName
	Precondition
	Body PoolBody
}

// PutSubnetRequest makes or changes a subnet. Its cidr, fabric and VLAN do not change while addresses are in use.
type PutSubnetRequest struct {
	ByName
	Precondition
	Body metal.SubnetSpec
}

// PutImageRequest makes an image and starts its import, or returns the one that has the same spec. An image whose
// source, sha256 or format differ is imported again under the same name; deployments stay pinned to the old content.
type PutImageRequest struct {
	ByName
	Precondition
	Body metal.ImageSpec
}

// GetImageRequest reads one image.
type GetImageRequest struct {
	ByName
	Wait string `query:"wait" doc:"Answer when the import ended, or after this time (Go duration, at most 60s)"`
}

// UploadImageRequest sends the content of an image that has no source. Raw body; the client's Upload streams it.
type UploadImageRequest struct {
	ByName
	Body io.Reader `json:"-"`
}

// SSHKeyBody is what is written of an SSH key.
type SSHKeyBody struct {
	PublicKey string `json:"public_key" doc:"One line as in authorized_keys" maxLength:"16384"`
}

// PutSSHKeyRequest makes or changes a key.
type PutSSHKeyRequest struct {
	ByName
	Precondition
	Body SSHKeyBody
}

// DeleteByNameRequest deletes a thing that nothing uses; in use it is a conflict that names the user.
type DeleteByNameRequest struct {
	ByName
	Precondition
}

// ListLeasesRequest lists leases and assignments of one subnet, or of all.
type ListLeasesRequest struct {
	Page
	Subnet string `query:"subnet"`
}

const (
	pools   = "pools"
	subnets = "subnets"
	images  = "images"
	sshKeys = "ssh-keys"
)

// Endpoints of named things.
var (
	ListPools  = Endpoint[ListByNamesRequest, List[metal.Pool]]{"ListPools", "GET", "/v1/pools", 200, "List pools", pools}
	GetPool    = Endpoint[ByName, metal.Pool]{"GetPool", "GET", "/v1/pools/{name}", 200, "Read a pool", pools}
	PutPool    = Endpoint[PutPoolRequest, metal.Pool]{"PutPool", "PUT", "/v1/pools/{name}", 200, "Make or change a pool", pools}
	DeletePool = Endpoint[DeleteByNameRequest, None]{"DeletePool", "DELETE", "/v1/pools/{name}", 204, "Delete an empty pool", pools}

	ListSubnets  = Endpoint[ListByNamesRequest, List[metal.Subnet]]{"ListSubnets", "GET", "/v1/subnets", 200, "List subnets", subnets}
	GetSubnet    = Endpoint[ByName, metal.Subnet]{"GetSubnet", "GET", "/v1/subnets/{name}", 200, "Read a subnet", subnets}
	PutSubnet    = Endpoint[PutSubnetRequest, metal.Subnet]{"PutSubnet", "PUT", "/v1/subnets/{name}", 200, "Make or change a subnet", subnets}
	DeleteSubnet = Endpoint[DeleteByNameRequest, None]{"DeleteSubnet", "DELETE", "/v1/subnets/{name}", 204, "Delete a subnet without machines", subnets}
	ListLeases   = Endpoint[ListLeasesRequest, List[metal.Lease]]{"ListLeases", "GET", "/v1/leases", 200, "List the leases of clients that nobody declared", subnets}

	ListImages  = Endpoint[ListByNamesRequest, List[metal.Image]]{"ListImages", "GET", "/v1/images", 200, "List images", images}
	GetImage    = Endpoint[GetImageRequest, metal.Image]{"GetImage", "GET", "/v1/images/{name}", 200, "Read an image", images}
	PutImage    = Endpoint[PutImageRequest, metal.Image]{"PutImage", "PUT", "/v1/images/{name}", 202, "Make an image and import its content", images}
	UploadImage = Endpoint[UploadImageRequest, metal.Image]{"UploadImage", "PUT", "/v1/images/{name}/content", 202, "Send the content of an image that has no source", images}
	DeleteImage = Endpoint[DeleteByNameRequest, None]{"DeleteImage", "DELETE", "/v1/images/{name}", 204, "Delete an image that no deployment names", images}

	ListSSHKeys  = Endpoint[ListByNamesRequest, List[metal.SSHKey]]{"ListSSHKeys", "GET", "/v1/ssh-keys", 200, "List SSH keys", sshKeys}
	GetSSHKey    = Endpoint[ByName, metal.SSHKey]{"GetSSHKey", "GET", "/v1/ssh-keys/{name}", 200, "Read an SSH key", sshKeys}
	PutSSHKey    = Endpoint[PutSSHKeyRequest, metal.SSHKey]{"PutSSHKey", "PUT", "/v1/ssh-keys/{name}", 200, "Make or change an SSH key", sshKeys}
	DeleteSSHKey = Endpoint[DeleteByNameRequest, None]{"DeleteSSHKey", "DELETE", "/v1/ssh-keys/{name}", 204, "Delete an SSH key", sshKeys}
)
