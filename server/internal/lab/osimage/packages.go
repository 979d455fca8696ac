package osimage

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// kernelPackage depends on the real one: small, and with NVMe and ext4 built in.
const kernelPackage = "linux-image-cloud-amd64"

// fetch downloads packages once into the cache, and returns the files' paths in order.
func fetch(ctx context.Context, cacheDir string, packages ...string) ([]string, error) {
	dir := filepath.Join(cacheDir, "packages")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	var files []string
	for _, p := range packages {
		// Asked from elsewhere: apt-get names no file that is in the working directory already.
		uri, err := output(ctx, "/", "apt-get", "download", "--print-uris", p)
		if err != nil {
			return nil, err
		}
		// 'URI' FILE SIZE HASH
		fields := strings.Fields(uri)
		if len(fields) < 3 {
			return nil, fmt.Errorf("find package %s: apt-get names no file for it; run apt-get update", p)
		}
		file := filepath.Join(dir, fields[1])
		info, err := os.Stat(file)
		if err != nil || fmt.Sprint(info.Size()) != fields[2] {
			if _, err := output(ctx, dir, "apt-get", "download", "-q", p); err != nil {
				return nil, err
			}
		}
		files = append(files, file)
	}
	return files, nil
}

// hostKernel lays the host's own kind of kernel out below dir and returns its release.
func hostKernel(ctx context.Context, t target, cacheDir, dir string) (string, error) {
	depends, err := output(ctx, "", "apt-cache", "depends", kernelPackage)
	if err != nil {
		return "", err
	}
	name := realPackage(depends)
	if name == "" {
		return "", fmt.Errorf("find the package behind %s: apt-cache names none; run apt-get update", kernelPackage)
	}
	if err := t.unpack(ctx, cacheDir, dir, name); err != nil {
		return "", err
	}
	release := strings.TrimPrefix(name, "linux-image-")
	_, err = output(ctx, "", "depmod", "-b", dir, release)
	return release, err
}

// realPackage picks the kernel from the output of apt-cache depends.
func realPackage(depends string) string {
	for line := range strings.Lines(depends) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "Depends: "); ok && strings.HasPrefix(name, "linux-image-") {
			return name
		}
	}
	return ""
}

// modules returns the files of kernel modules below a kernel's root, each after those it needs.
func modules(ctx context.Context, root, release string, names ...string) ([]string, error) {
	var files []string
	seen := map[string]bool{}
	for _, n := range names {
		out, err := output(ctx, "", "modprobe", "-d", root, "-S", release, "--show-depends", n)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(out) {
			f := strings.Fields(line)
			if len(f) >= 2 && f[0] == "insmod" && !seen[f[1]] {
				seen[f[1]] = true
				files = append(files, f[1])
			}
		}
	}
	return files, nil
}
