package lab

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// qemuImg is the program that makes disks.
const qemuImg = "qemu-img"

// makeFiles makes the directory of a machine with what QEMU and people need in it.
func makeFiles(ctx context.Context, c Config, h host, dir string, m Machine) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(m.BMC.PasswordFile, []byte(m.BMC.Password.Reveal()), 0o600); err != nil {
		return err
	}
	// Empty at first, so that it can be followed before the machine ever ran.
	if err := os.WriteFile(m.Console, nil, 0o600); err != nil {
		return err
	}
	if c.Firmware == metal.UEFI {
		if err := copyFile(filepath.Join(dir, nvramName), h.ovmf.vars); err != nil {
			return err
		}
	}
	if c.TPM {
		if err := os.Mkdir(filepath.Join(dir, tpmName), 0o700); err != nil {
			return err
		}
	}
	for _, disk := range m.Disks {
		if err := makeDisk(ctx, disk, c.DiskBytes); err != nil {
			return err
		}
	}
	return nil
}

// makeDisk makes an empty qcow2 file; it takes no room until it is written to.
func makeDisk(ctx context.Context, path string, size int64) error {
	cmd := exec.CommandContext(ctx, qemuImg, "create", "-q", "-f", "qcow2", path, fmt.Sprint(size))
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("make disk %s: %w: %s", path, err, bytes.TrimSpace(said.Bytes()))
	}
	return nil
}

// copyFile copies from to a new file that only the owner can read and write.
func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return fmt.Errorf("copy %s: %w", from, err)
	}
	return out.Close()
}
