package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// copyImage is the floor of every installation: the image's bytes to the disk, and nothing else.
const copyImage = `set -o pipefail; zstd -dc "$0" | dd of="$1" bs=1M iflag=fullblock conv=sparse status=none && truncate -s 4G "$1"`

// install copies the image into the disk's file and starts the machine from it, to an SSH server that answers.
func (p *peer) install(ctx context.Context, image string) error {
	disk := filepath.Join(p.dir, "disk.raw")
	if out, err := exec.CommandContext(ctx, "bash", "-c", copyImage, image, disk).CombinedOutput(); err != nil {
		return fmt.Errorf("copy the image: %w: %s", err, out)
	}
	var err error
	if p.machine, err = p.start("qemu-system-x86_64", p.qemuArgs(disk)...); err != nil {
		return err
	}
	return awaitSSH(ctx, p.dial, p.addr)
}

// qemuArgs make the lab's BIOS machine, but with a raw disk, from which it starts first.
func (p *peer) qemuArgs(disk string) []string {
	accel := "tcg,thread=multi"
	if unix.Access("/dev/kvm", unix.R_OK|unix.W_OK) == nil {
		accel = "kvm"
	}
	return []string{
		"-machine", "q35,graphics=off", "-accel", accel, "-cpu", "max", "-smp", "1", "-m", "512",
		"-nodefaults", "-no-user-config", "-display", "none", "-serial", "file:" + filepath.Join(p.dir, "console.log"),
		"-netdev", "tap,id=net0,ifname=tap1,script=no,downscript=no",
		"-device", "virtio-net-pci,netdev=net0,bootindex=100,mac=" + string(p.node.MACs[0]),
		"-drive", "if=none,id=drive0,format=raw,cache=unsafe,discard=unmap,file=" + disk,
		"-device", "virtio-blk-pci,drive=drive0,bootindex=50",
	}
}

// uninstall switches the installed machine off and drops its disk.
func (p *peer) uninstall() error {
	if p.machine == nil {
		return nil
	}
	machine := p.machine
	p.machine = nil
	if err := end(machine); err != nil {
		return err
	}
	return os.Remove(filepath.Join(p.dir, "disk.raw"))
}

// dial connects from inside the peer's network.
func (p *peer) dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	err = p.lab.Inside(func() error {
		var d net.Dialer
		conn, err = d.DialContext(ctx, network, address)
		return err
	})
	return conn, err
}
