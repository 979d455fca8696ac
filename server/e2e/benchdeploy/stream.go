package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/testnet"
)

const (
	// headBytes of the disk may differ from the image: the agent fits the partition table to the disk.
	headBytes = mebibyte
	// agentLimit is how much memory the agent may use, in MiB.
	agentLimit = 256
)

// stream compares the way of an image to a disk. Both read the same stored file from metald, and end when all is on the
// disk. dd writes past the page cache, as the agent does: with it, its last flush takes longer.
func (b *bench) stream(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	device, detach, err := loop(ctx, filepath.Join(b.dir, "target"), b.imageBytes)
	if err != nil {
		return err
	}
	most := 0.0
	ours := func() (float64, error) {
		if err := b.dirty(ctx, device); err != nil {
			return 0, err
		}
		out, err := b.net.Client.Run(ctx, testnet.Program{Path: self, Args: []string{
			agentCommand, "-server", b.bootURL(), "-device", device, "-digest", b.image.Digest,
			"-raw", fmt.Sprint(b.image.RawBytes), "-stored", fmt.Sprint(b.image.StoredBytes),
		}})
		if err != nil {
			return 0, err
		}
		var seconds, kib float64
		if _, err := fmt.Sscanf(string(out), "wrote %f %f", &seconds, &kib); err != nil {
			return 0, fmt.Errorf("write an image: %s", out)
		}
		most = max(most, kib/1024)
		return seconds, b.same(ctx, device)
	}
	peer := func() (float64, error) {
		if err := b.dirty(ctx, device); err != nil {
			return 0, err
		}
		auth, err := b.login(ctx)
		if err != nil {
			return 0, err
		}
		script := fmt.Sprintf("curl -fsS %s %s | zstd -dc | dd of=%s bs=4M iflag=fullblock oflag=direct conv=fsync status=none", auth, b.imageURL(), device)
		took, err := b.shell(ctx, script)
		if err != nil {
			return 0, err
		}
		return took.Seconds(), b.same(ctx, device)
	}
	if err = b.compare("stream-2g", "s", ours, peer); err == nil {
		b.ratio("agent-memory", most, agentLimit, "MiB")
	}
	return errors.Join(err, detach())
}

// loop makes a block device of a file.
func loop(ctx context.Context, path string, bytes int64) (device string, detach func() error, err error) {
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, bytes)); err != nil {
		return "", nil, err
	}
	out, err := exec.CommandContext(ctx, "losetup", "--find", "--show", path).CombinedOutput()
	if err != nil {
		return "", nil, fmt.Errorf("make a loop device: %w: %s", err, out)
	}
	device = strings.TrimSpace(string(out))
	return device, func() error { return command(context.WithoutCancel(ctx), "losetup", "-d", device) }, nil
}

// dirty fills the disk with what an earlier owner left, so that the file below it has all its blocks.
func (b *bench) dirty(ctx context.Context, device string) error {
	return command(ctx, "bash", "-c", fmt.Sprintf(`yes "an earlier owner" | dd of=%s bs=4M count=%d iflag=fullblock oflag=direct conv=fsync status=none; test $? = 0`,
		device, b.imageBytes/(4*mebibyte)))
}

// same makes sure that the disk holds the image.
func (b *bench) same(ctx context.Context, device string) error {
	return command(ctx, "cmp", fmt.Sprintf("--ignore-initial=%d", headBytes), fmt.Sprintf("--bytes=%d", b.imageBytes-headBytes), device, b.raw())
}
