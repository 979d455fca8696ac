package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// What a lab keeps in its directory.
const (
	stateName   = "lab.json"
	logName     = "lab.log"
	stateDraft  = "lab.json.new"
	socketName  = "control.sock"
	machinesDir = "machines"
)

// Files of one machine, relative to its own directory, which QEMU runs in.
const (
	consoleName  = "console.log"
	qemuLogName  = "qemu.log"
	nvramName    = "nvram.fd"
	passwordName = "bmc-password"
	tpmName      = "tpm"
	tpmLogName   = "tpm.log"
)

func statePath(dir string) string  { return filepath.Join(dir, stateName) }
func socketPath(dir string) string { return filepath.Join(dir, socketName) }

// DefaultDir is where the lab called name keeps its files unless told otherwise.
func DefaultDir(name string) string { return filepath.Join("/var/lib/metal-lab", name) }

// LogPath returns the file that a lab in the background writes its log to.
func LogPath(dir string) string { return filepath.Join(dir, logName) }

func machineDir(dir, name string) string { return filepath.Join(dir, machinesDir, name) }
func consolePath(dir string) string      { return filepath.Join(dir, consoleName) }
func passwordPath(dir string) string     { return filepath.Join(dir, passwordName) }
func diskName(i int) string              { return fmt.Sprintf("disk%d.qcow2", i) }
func diskPath(dir string, i int) string  { return filepath.Join(dir, diskName(i)) }

// labFiles is what a lab's owner removes. The log stays for whoever wants to know how it ended, until Down.
// The state file goes last: as long as it is there, an interrupted removal can be repeated.
func labFiles() []string { return []string{machinesDir, socketName, stateDraft, stateName} }

// removeFiles deletes the files called names from dir, and dir itself when nothing else is in it.
func removeFiles(dir string, names []string) error {
	var errs []error
	for _, name := range names {
		errs = append(errs, os.RemoveAll(filepath.Join(dir, name)))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("remove lab files: %w", err)
	}
	err := os.Remove(dir)
	if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTEMPTY) {
		return nil
	}
	return fmt.Errorf("remove lab directory: %w", err)
}
