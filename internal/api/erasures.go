package api

import "github.com/metalform/terraform-provider-metal/internal/metal"

// ListEraseCertificatesRequest lists the certificates of one machine, or of all, oldest first.
type ListEraseCertificatesRequest struct {
	Page
	Machine string `query:"machine" doc:"Id of a machine, which may be gone, or name of one that is there"`
}

const erasures = "erase-certificates"

// Endpoints of erase certificates. Nobody makes one by hand, and nobody deletes one.
var (
	ListEraseCertificates = Endpoint[ListEraseCertificatesRequest, List[metal.EraseCertificate]]{"ListEraseCertificates", "GET", "/v1/erase-certificates", 200, "List the signed records of wipes", erasures}
	GetEraseCertificate   = Endpoint[ByID, metal.EraseCertificate]{"GetEraseCertificate", "GET", "/v1/erase-certificates/{id}", 200, "Read the signed record of a wipe", erasures}
	GetEraseKey           = Endpoint[None, metal.JWK]{"GetEraseKey", "GET", "/v1/erase-key", 200, "Read the public key that erase certificates are signed with", erasures}
)
