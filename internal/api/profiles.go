package api

import "github.com/metalform/terraform-provider-metal/internal/metal"

// BootProfileBody is what is written of a boot profile.
type BootProfileBody struct {
	metal.BootProfileSpec
	// Secrets may be absent in an update: the stored ones stay.
	Secrets *map[string]string `json:"secrets,omitempty" writeOnly:"true" doc:"What templates reach as .Secret; kept sealed and never read back. Absent in an update: the stored ones stay"`
}

// PutBootProfileRequest makes a boot profile, or its next version. The server fetches the files first, and renders
// every template with sample facts; a fault in one is refused with file and line.
type PutBootProfileRequest struct {
	ByName
	Precondition
	Wait string `query:"wait" doc:"How long the server may fetch files before it gives up (Go duration, at most 30m). Default: 30s"`
	Body BootProfileBody
}

// CheckBootProfileRequest asks for the refusals of PutBootProfile, but for those of its files, and changes nothing.
type CheckBootProfileRequest struct {
	ByName
	Body BootProfileBody
}

// GetBootProfileRequest reads a boot profile as it is now, or as it was.
type GetBootProfileRequest struct {
	ByName
	Version int64 `query:"version" minimum:"0" doc:"As it was at this version; the last 20 are kept. Default: as it is now"`
}

// ByMAC names the installation of the machine with a MAC address.
type ByMAC struct {
	MAC string `path:"mac" maxLength:"17" doc:"MAC address that the machine boots from"`
}

const (
	bootProfiles  = "boot-profiles"
	installations = "installations"
)

// Endpoints of boot profiles, and of what they install.
var (
	ListBootProfiles  = Endpoint[ListByNamesRequest, List[metal.BootProfile]]{"ListBootProfiles", "GET", "/v1/boot-profiles", 200, "List boot profiles", bootProfiles}
	GetBootProfile    = Endpoint[GetBootProfileRequest, metal.BootProfile]{"GetBootProfile", "GET", "/v1/boot-profiles/{name}", 200, "Read a boot profile, without its secrets", bootProfiles}
	PutBootProfile    = Endpoint[PutBootProfileRequest, metal.BootProfile]{"PutBootProfile", "PUT", "/v1/boot-profiles/{name}", 200, "Make a boot profile or its next version", bootProfiles}
	CheckBootProfile  = Endpoint[CheckBootProfileRequest, None]{"CheckBootProfile", "POST", "/v1/boot-profiles/{name}/check", 204, "Check a boot profile without making it", bootProfiles}
	DeleteBootProfile = Endpoint[DeleteByNameRequest, None]{"DeleteBootProfile", "DELETE", "/v1/boot-profiles/{name}", 204, "Delete a boot profile by which nothing installs now", bootProfiles}

	ListInstallations  = Endpoint[ListByNamesRequest, List[metal.Installation]]{"ListInstallations", "GET", "/v1/installations", 200, "List what boot profiles install; names are MAC addresses", installations}
	DeleteInstallation = Endpoint[ByMAC, None]{"DeleteInstallation", "DELETE", "/v1/installations/{mac}", 204, "Forget an installation: the machine may install again", installations}
)
