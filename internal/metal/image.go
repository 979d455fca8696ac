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

// ImageSpec is what a person declares of an image.
type ImageSpec struct {
	// Source is an http(s) URL, or an absolute path on the server below a directory its config allows; empty when
	// the content is uploaded.
	Source string `json:"source,omitempty" doc:"http(s) URL, or a path on the server that its configuration allows; empty: uploaded"`
	// SHA256 is of the file at Source, as its publisher states it.
	SHA256 string `json:"sha256,omitempty" doc:"SHA-256 of the source file, in hex" pattern:"^[0-9a-f]{64}$"`
	Format string `json:"format,omitempty" doc:"Disk format inside any compression; auto looks" enum:"auto,raw,qcow2" default:"auto"`
	Arch   Arch   `json:"arch,omitempty" enum:"amd64,arm64" default:"amd64"`
	OS     string `json:"os,omitempty" doc:"Operating system, as in debian"`
	// Boot lists the firmware kinds it boots on; empty means both.
	Boot []BootMode `json:"boot,omitempty" doc:"Firmware kinds it boots on; empty: both"`
	// Reports says whether the system inside calls back once it is up, as cloud-init's phone_home does.
	Reports bool `json:"reports,omitempty" doc:"The system inside runs cloud-init (or the like) and calls back when it is up"`
}
