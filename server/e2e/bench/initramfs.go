package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"strings"

	"github.com/u-root/u-root/pkg/cpio"
)

// bareInit is the program that the peer's machine runs.
const bareInit = "github.com/metalform/terraform-provider-metal/server/e2e/bench/bareinit"

// networkModules are what the machine's NIC needs, in the order in which they can be loaded.
func networkModules() []string {
	return []string{
		"virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "failover", "net_failover", "virtio_net",
	}
}

// bareInitramfs writes an initramfs of the bare init and those of our RAM environment's modules that it needs.
func bareInitramfs(ctx context.Context, ours, out string) error {
	program := out + ".init"
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, bareInit)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the bare init: %w: %s", err, said)
	}
	content, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	records := []cpio.Record{cpio.CharDev("dev/console", 0o600, 5, 1), cpio.StaticFile("init", string(content), 0o755)}
	for _, dir := range []string{"modules", "sys", "proc", "dev"} {
		records = append([]cpio.Record{cpio.Directory(dir, 0o755)}, records...)
	}
	found, err := modulesOf(ours)
	if err != nil {
		return err
	}
	for i, name := range networkModules() {
		if module, ok := found[name]; ok { // others are built into the kernel
			records = append(records, cpio.StaticFile(fmt.Sprintf("modules/%02d-%s.ko", i, name), module, 0o644))
		}
	}
	file, err := os.Create(out)
	if err != nil {
		return err
	}
	w := cpio.Newc.Writer(file)
	return errors.Join(cpio.WriteRecords(w, records), cpio.WriteTrailer(w), file.Close())
}

// modulesOf reads the kernel modules out of an initramfs, by their names.
func modulesOf(initramfs string) (map[string]string, error) {
	file, err := os.Open(initramfs)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	found := map[string]string{}
	r := cpio.Newc.Reader(file)
	for {
		record, err := r.ReadRecord()
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", initramfs, err)
		}
		name, isModule := strings.CutSuffix(path.Base(record.Name), ".ko")
		if !isModule {
			continue
		}
		content, err := io.ReadAll(io.NewSectionReader(record, 0, int64(record.FileSize)))
		if err != nil {
			return nil, fmt.Errorf("read %s of %s: %w", record.Name, initramfs, err)
		}
		found[strings.ReplaceAll(name, "-", "_")] = string(content)
	}
}
