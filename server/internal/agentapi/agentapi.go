// Package agentapi is the wire between metald and metal-agent: the types of both ends, the server's handler and
// the agent's client. All calls go from the machine to the server, JSON over HTTP, below /agent/v1/.
//
//	POST hello     Hello -> Session        the token of the kernel command line, once per boot
//	GET  next      ?wait=55s -> Step       long poll; 204 when there is nothing yet; the same step again until its result came
//	POST progress  Progress -> ProgressReply
//	POST result    Result -> 204           safe to repeat
//	GET  images/D  the stored zstd stream of the image with digest D; Range requests are honoured
//	GET  images/D.chunks  the table of its chunks, as package chunk has it
//
// Every call but hello carries "Authorization: Bearer SESSION". An answer of 401 means: say hello again with the
// same boot id. An answer of 410 means: the server has no use for this boot any more; power off. Errors are
// {"code", "message"}.
package agentapi

import (
	"encoding/json"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Paths of the calls.
const (
	PathHello    = "/agent/v1/hello"
	PathNext     = "/agent/v1/next"
	PathProgress = "/agent/v1/progress"
	PathResult   = "/agent/v1/result"
	PathImages   = "/agent/v1/images/"
	// PathTools is a folder of the boot server, with one of these an architecture: ARCH/tools.tar.zst.
	PathTools = "/boot/env/"
)

// Names of the parameters on the RAM environment's kernel command line. None may end in "initrd": the EFI stub of
// the kernel takes that for its own.
const (
	ParamServer = "metal.server" // base URL, as in http://172.31.0.1:7080
	ParamToken  = "metal.token"  // boot token
	ParamMAC    = "metal.mac"    // MAC of the NIC that the machine booted from
)

// Hello is the first thing an agent says.
type Hello struct {
	Token    string         `json:"token"`
	BootID   string         `json:"boot_id"`  // random, made once by the agent: a repeated hello is the same boot
	BootMAC  metal.MAC      `json:"boot_mac"` // NIC it booted from
	MACs     []metal.MAC    `json:"macs"`
	SMBIOS   metal.SMBIOS   `json:"smbios"`
	Arch     metal.Arch     `json:"arch"`
	BootMode metal.BootMode `json:"boot_mode"`
	Version  string         `json:"version"` // of the agent
}

// Session is the server's answer.
type Session struct {
	Token     string `json:"token"`
	MachineID string `json:"machine_id"`
	Name      string `json:"name"`
	UnixTime  int64  `json:"unix_time"` // the server's clock in seconds; the agent sets its own by it
}

// StepKind names what the agent can do.
type StepKind string

const (
	StepInventory StepKind = "inventory" // Result.Output is a metal.Inventory
	StepErase     StepKind = "erase"     // Step.Erase; Result.Output is []metal.DiskWiped
	StepWrite     StepKind = "write"     // Step.Write; Result.Output is Written
	StepInstall   StepKind = "install"   // Step.Install; Result.Output is Written
	StepReboot    StepKind = "reboot"    // Step.Reboot; the result is posted before the act
	StepPowerOff  StepKind = "power_off" // the result is posted before the act
)

// Step is one thing to do. Doing it twice is harmless.
type Step struct {
	ID      string   `json:"id"`
	Kind    StepKind `json:"kind"`
	Erase   *Erase   `json:"erase,omitempty"`
	Write   *Write   `json:"write,omitempty"`
	Install *Install `json:"install,omitempty"`
	Reboot  *Reboot  `json:"reboot,omitempty"`
}

// Erase asks to wipe every disk that is neither removable nor read-only.
type Erase struct {
	Mode metal.Erase `json:"mode"`
}

// Write asks to stream an image to a disk, repair and grow its partition table, and add the seed volume.
type Write struct {
	Digest      string `json:"digest"`       // SHA-256 of the raw content, hex: verified while writing
	RawBytes    int64  `json:"raw_bytes"`    // size of the raw content
	StoredBytes int64  `json:"stored_bytes"` // size of the stream
	Disk        string `json:"disk"`         // name, serial or WWN; empty: the smallest that fits
	// Seed is the NoCloud seed: file name to content. It goes to a FAT volume labelled CIDATA in a partition of
	// its own at the end of the disk.
	Seed map[string]string `json:"seed"`
}

// Written is what StepWrite leaves.
type Written struct {
	Disk        metal.Disk `json:"disk"`
	WriteMillis int64      `json:"write_millis"` // time spent streaming
	BytesZero   int64      `json:"bytes_zero"`   // bytes that were skipped or discarded instead of written
}

// Reboot asks to leave the RAM environment.
type Reboot struct {
	// Kexec starts the installed system's kernel without going through the firmware.
	Kexec bool `json:"kexec"`
	// Loaded starts what StepInstall left loaded in memory, and goes before Kexec.
	Loaded bool `json:"loaded,omitempty"`
	// Disk is what StepWrite reported, for kexec.
	Disk string `json:"disk,omitempty"`
	// KernelParameters are added to the installed system's own on kexec.
	KernelParameters string `json:"kernel_parameters,omitempty"`
}

// Progress tells how far a step is, and passes log lines on. The agent sends one at least every 15 s while it works
// and at most twice a second.
type Progress struct {
	StepID   string   `json:"step_id"`
	Fraction float64  `json:"fraction"` // 0 to 1
	Log      []string `json:"log,omitempty"`
}

// ProgressReply may call the step off.
type ProgressReply struct {
	Cancel bool `json:"cancel"`
}

// Result ends a step.
type Result struct {
	StepID  string          `json:"step_id"`
	Failure *metal.Failure  `json:"failure,omitempty"` // nil: it went well
	Output  json.RawMessage `json:"output,omitempty"`
	Log     []string        `json:"log,omitempty"`
}
