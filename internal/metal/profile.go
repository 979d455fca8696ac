package metal

import "time"

// A BootProfile starts an installer of another publisher on a machine and answers its questions: a kernel with initial
// file systems, or an ISO image, a command line, and answer files. The command line and the answer files are templates.
type BootProfile struct {
	Name string          `json:"name"`
	Spec BootProfileSpec `json:"spec"`
	// Version rises with every change of the spec or of a secret. An installation keeps the version that it began with.
	Version int64 `json:"version" doc:"Rises with every change; an installation keeps the version that it began with"`
	// Secrets are the names of what templates reach as .Secret; their values are never told.
	Secrets   []string  `json:"secrets,omitempty" doc:"Names of the secret variables"`
	CreatedAt time.Time `json:"created_at"`
	ChangedAt time.Time `json:"changed_at" doc:"When this version was made"`
	Revision  int64     `json:"revision"`
}

// BootProfileSpec is what a person declares of a boot profile: either a kernel or an ISO image.
type BootProfileSpec struct {
	Description string `json:"description,omitempty" maxLength:"1024"`
	// Kernel is what iPXE starts: a Linux kernel, wimboot, or the boot loader of ESXi.
	Kernel *BootFile `json:"kernel,omitempty" doc:"What iPXE starts: a Linux kernel, wimboot, or the boot loader of ESXi"`
	// Initrds are loaded beside the kernel, in this order.
	Initrds []BootFile `json:"initrds,omitempty" doc:"Loaded beside the kernel, in this order" maxItems:"16"`
	// ISO is booted as it is, as a disk that iPXE makes of it; some systems cannot go on from there.
	ISO *BootFile `json:"iso,omitempty" doc:"An image that iPXE boots as a disk, instead of a kernel"`
	// CommandLine is a template; it must give at most MaxCommandLine bytes in one line, and can hold no secret.
	CommandLine string       `json:"command_line,omitempty" doc:"Template of the kernel command line; it cannot hold secrets" maxLength:"4096"`
	Answers     []AnswerFile `json:"answers,omitempty" doc:"Templates of the files that the installer fetches" maxItems:"16"`
	// Variables are what templates reach as .Var.
	Variables map[string]string `json:"variables,omitempty" doc:"What templates reach as .Var"`
	SSHKeys   []string          `json:"ssh_keys,omitempty" doc:"Names of stored keys, or public keys: what templates reach as .SSHKeys" maxItems:"64"`
	// Unknown says that machines which nobody declared install by this profile. One profile can.
	Unknown bool `json:"unknown,omitempty" doc:"Machines that nobody declared install by this profile"`
	// Tags are of declared machines that are new or ready: one that has any of them installs by this profile.
	Tags []string `json:"tags,omitempty" doc:"Declared machines that are new or ready, and have one of these tags, install by this profile" maxItems:"64"`
}

// MaxCommandLine is how many bytes a kernel command line may have: the x86 kernel's COMMAND_LINE_SIZE without its end.
const MaxCommandLine = 2047

// A BootFile is a file that the server fetches when the profile is made, and keeps.
type BootFile struct {
	// Source is an http(s) URL, or an absolute path on the server below a directory that its configuration allows.
	Source string `json:"source" doc:"http(s) URL, or a path on the server that its configuration allows" maxLength:"2048"`
	SHA256 string `json:"sha256" doc:"SHA-256 of the file, in hex" pattern:"^[0-9a-f]{64}$"`
	// Name is what the loader calls the file; empty means initrd and its number. wimboot wants names of its own.
	Name string `json:"name,omitempty" doc:"What the loader calls the file; wimboot wants names of its own. Default: initrd and its number" pattern:"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"`
}

// An AnswerFile is a template of what an installer would ask a person for.
type AnswerFile struct {
	Name string `json:"name" doc:"Name of the file, the last part of its URL" pattern:"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"`
	// Content is a template of at most 256 KiB.
	Content string `json:"content" doc:"Template of the file" maxLength:"262144"`
	// Load says that the loader fetches the file too, beside the kernel: how wimboot gets unattend.xml.
	Load bool `json:"load,omitempty" doc:"The loader fetches the file too, beside the initrds: how wimboot gets unattend.xml"`
}

// An Installation is what a boot profile does to the machine with one MAC address: from the first time that it is
// told to boot the installer until somebody forgets the installation.
type Installation struct {
	MAC     MAC               `json:"mac"`
	Profile string            `json:"profile"`
	Version int64             `json:"version" doc:"Version of the profile that it began with"`
	State   InstallationState `json:"state"`
	Boots   int               `json:"boots" doc:"How often the machine was told to boot the installer"`
	// Log are the last lines that the installer reported, oldest first.
	Log     []string  `json:"log,omitempty" doc:"The last lines that the installer reported"`
	BegunAt time.Time `json:"begun_at"`
	SeenAt  time.Time `json:"seen_at" doc:"When the machine was last heard of"`
}

// InstallationState is how far an installation is.
type InstallationState string

const (
	Installing InstallationState = "installing" // the machine boots the installer whenever it asks
	Installed  InstallationState = "installed"  // the installer called home: the machine boots its own disk
	// InstallFailed: the installer said so, or never called home in MaxInstallBoots boots. It boots its own disk.
	InstallFailed InstallationState = "failed"
)

const (
	// MaxInstallBoots is how often a machine is told to boot an installer that never calls home.
	MaxInstallBoots = 10
	// MaxInstallLog is how many lines of an installer are kept, each of MaxInstallLine bytes at most.
	MaxInstallLog  = 100
	MaxInstallLine = 300
)

// Note adds a line that the installer reported at now; what is too long or too old goes.
func (i *Installation) Note(now time.Time, line string) {
	if len(line) > MaxInstallLine {
		line = line[:MaxInstallLine]
	}
	i.SeenAt = now
	i.Log = append(i.Log, line)
	i.Log = i.Log[max(0, len(i.Log)-MaxInstallLog):]
}

// Boot counts a boot at now. It says whether the machine boots the installer: one that was told so too often has
// failed.
func (i *Installation) Boot(now time.Time) bool {
	if i.State != Installing {
		return false
	}
	if i.Boots >= MaxInstallBoots {
		i.State = InstallFailed
		i.Note(now, "the installer was booted too often without a call home")
		return false
	}
	i.Boots++
	i.SeenAt = now
	return true
}
