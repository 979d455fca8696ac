package lab

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// swtpm is the program that plays a machine's TPM 2.0.
const swtpm = "swtpm"

// tpmFD is the descriptor on which QEMU finds the control channel of the TPM: the one behind its monitor's.
const tpmFD = monitorFD + 1

// tpmArgs give a machine the TPM that is at the other end of tpmFD.
func tpmArgs(arch metal.Arch) []string {
	device := "tpm-tis"
	if arch == metal.ARM64 {
		device = "tpm-tis-device"
	}
	return []string{
		"-chardev", fmt.Sprintf("socket,id=tpm,fd=%d", tpmFD),
		"-tpmdev", "emulator,id=tpm0,chardev=tpm",
		"-device", device + ",tpmdev=tpm0",
	}
}

// A tpm is one running swtpm. What it was told lasts in its directory, as in a chip.
type tpm struct {
	cmd *exec.Cmd
	// channel is QEMU's end of the control channel.
	channel *os.File
}

// startTPM starts the TPM of the machine in dir, within the namespace, so that it dies with the lab.
func startTPM(ns *namespace, dir string) (*tpm, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make a channel to the TPM: %w", err)
	}
	channel, theirs := os.NewFile(uintptr(fds[0]), "channel to the TPM"), os.NewFile(uintptr(fds[1]), "channel of the TPM")
	defer theirs.Close()
	// The first of ExtraFiles is descriptor 3. Names are relative, for swtpm takes a comma in a path for its end.
	cmd := exec.Command(swtpm, "socket", "--tpm2", "--tpmstate", "dir="+tpmName, "--ctrl", "type=unixio,clientfd=3",
		"--log", "level=1,file="+tpmLogName, "--terminate")
	cmd.Dir = dir
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := ns.do(cmd.Start); err != nil {
		channel.Close()
		return nil, metal.Errorf(metal.Internal, "start %s: %w", swtpm, err)
	}
	return &tpm{cmd: cmd, channel: channel}, nil
}

// close ends the TPM and waits for it, once its machine is off: then nothing is being written.
func (t *tpm) close() {
	t.channel.Close()
	_ = t.cmd.Process.Kill() // an error means that it has ended already
	_ = t.cmd.Wait()         // how it ended does not matter
}
