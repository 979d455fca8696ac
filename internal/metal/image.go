package metal

import "time"

// An Image is an operating system, ready to be streamed to a disk.
type Image struct {
	Name  string     `json:"name"`
	Spec  ImageSpec  `json:"spec"`
	State ImageState `json:"state"`
	// Digest is the SHA-256 of the raw disk content: what deployments are pinned to.
	Digest      string    `json:"digest,omitempty" doc:"SHA-256 of the raw disk content, in hex"`
	RawBytes    int64     `json:"raw_bytes,omitempty" doc:"Size on the disk"`
	StoredBytes int64     `json:"stored_bytes,omitempty" doc:"Size as stored and streamed"`
	OperationID string    `json:"operation_id,omitempty" doc:"The latest import"`
	Failure     *Failure  `json:"failure,omitempty"`
	CreatedAt   time.Time `json:"created_at"`
	Revision    int64     `json:"revision"`
}

// ImageState is how far an image is imported.
type ImageState string

const (
	ImageWaiting   ImageState = "waiting"   // declared without a source; content is to be uploaded
	ImageImporting ImageState = "importing" // an operation fetches, verifies and converts it
	ImageReady     ImageState = "ready"
	ImageFailed    ImageState = "failed"
)

// ImageKind is what an image's content is.
type ImageKind string

const (
	ImageDisk ImageKind = "disk" // a whole disk with its own layout; the empty kind means the same
	ImageRoot ImageKind = "root" // an archive of a root file system: storage of a deployment lays the disks out
)

// ImageSpec is what a person declares of an image.
type ImageSpec struct {
	// Source is an http(s) URL, or an absolute path on the server below a directory its config allows; empty when
	// the content is uploaded.
	Source string `json:"source,omitempty" doc:"http(s) URL, or a path on the server that its configuration allows; empty: uploaded"`
	// SHA256 is of the file at Source, as its publisher states it.
	SHA256 string `json:"sha256,omitempty" doc:"SHA-256 of the source file, in hex" pattern:"^[0-9a-f]{64}$"`
	// SHA512 is of the file at Source too; where both are stated, both must be true.
	SHA512 string `json:"sha512,omitempty" doc:"SHA-512 of the source file, in hex" pattern:"^[0-9a-f]{128}$"`
	// Mirrors are other http(s) URLs of the very file at Source, tried in their order when it cannot be had there. They
	// need a checksum, as nothing else says that they hold the same.
	Mirrors []string `json:"mirrors,omitempty" doc:"Other http(s) URLs of the same file, tried in order; they need sha256 or sha512" maxItems:"8"`
	Format  string   `json:"format,omitempty" doc:"Format inside any compression; auto looks. tar and squashfs are of kind root, the others of kind disk" enum:"auto,raw,qcow2,vmdk,vhd,vhdx,tar,squashfs" default:"auto"`
	// Kind is what the content is; empty means what Format says, and a whole disk where that is auto.
	Kind ImageKind `json:"kind,omitempty" doc:"disk: a whole disk; root: an archive of a root file system" enum:"disk,root"`
	Arch Arch      `json:"arch,omitempty" enum:"amd64,arm64" default:"amd64"`
	OS   string    `json:"os,omitempty" doc:"Operating system, as in debian"`
	// Version is of the operating system, in its publisher's words.
	Version string `json:"version,omitempty" doc:"Version of the operating system, as in 12"`
	// Boot lists the firmware kinds it boots on; empty means both.
	Boot []BootMode `json:"boot,omitempty" doc:"Firmware kinds it boots on; empty: both"`
	// Reports says whether the system inside calls back once it is up, as cloud-init's phone_home does.
	Reports bool `json:"reports,omitempty" doc:"The system inside runs cloud-init (or the like) and calls back when it is up"`
}
