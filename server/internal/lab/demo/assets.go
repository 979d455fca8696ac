package demo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/lab/osimage"
)

// Assets are what a virtual rack needs beside programs.
type Assets struct {
	Env            string // directory of RAM environments
	ImageA, ImageB string // two images that say A and B in /etc/os-release
}

// Build makes the assets, or takes them out of the cache. Both images have the system called kind: tiny or debian.
func Build(ctx context.Context, cache, programs, kind string, log *slog.Logger) (a Assets, err error) {
	if cache, err = filepath.Abs(cache); err != nil {
		return a, err
	}
	build := osimage.BuildTiny
	switch kind {
	case "tiny":
	case "debian":
		build = osimage.BuildDebian
	default:
		return a, metal.Errorf(metal.Invalid, "there is no image %q: tiny or debian", kind)
	}
	if a.Env, err = buildEnv(ctx, cache, programs, metal.AMD64); err != nil {
		return a, err
	}
	a.ImageA, a.ImageB = filepath.Join(cache, kind+"-A.raw.zst"), filepath.Join(cache, kind+"-B.raw.zst")
	for version, out := range map[string]string{"A": a.ImageA, "B": a.ImageB} {
		if err := build(ctx, osimage.Options{Out: out, CacheDir: filepath.Join(cache, "images"), Version: version, Log: log}); err != nil {
			return a, fmt.Errorf("build image %s: %w", version, err)
		}
	}
	return a, nil
}

// BuildArm64 makes the assets for arm64 machines, or takes them out of the cache: the RAM environment, and the tiny system
// as ImageA.
func BuildArm64(ctx context.Context, cache, programs string) (a Assets, err error) {
	if cache, err = filepath.Abs(cache); err != nil {
		return a, err
	}
	if a.Env, err = buildEnv(ctx, cache, programs, metal.ARM64); err != nil {
		return a, err
	}
	a.ImageA = filepath.Join(cache, "tiny-arm64.raw.zst")
	return a, osimage.BuildTiny(ctx, osimage.Options{Out: a.ImageA, CacheDir: filepath.Join(cache, "images"), Arch: metal.ARM64})
}

// buildEnv has metald build the RAM environment, in a directory that is named for the agent in it and for more flags.
func buildEnv(ctx context.Context, cache, programs string, arch metal.Arch, flags ...string) (string, error) {
	agent := filepath.Join(programs, "metal-agent")
	if arch == metal.ARM64 {
		agent += "-arm64"
	}
	file, err := os.Open(agent)
	if err != nil {
		return "", fmt.Errorf("find metal-agent: %w", err)
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", fmt.Errorf("read metal-agent: %w", err)
	}
	dir := filepath.Join(cache, "bootenv-"+hex.EncodeToString(sum.Sum(nil))[:16]+strings.Join(flags, ""))
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	fresh := dir + ".new"
	args := append([]string{"bootenv", "build", "-arch", string(arch), "-kernel", "cloud", "-agent", agent, "-out", fresh}, flags...)
	cmd := exec.CommandContext(ctx, filepath.Join(programs, "metald"), args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the RAM environment: %w: %s", err, out)
	}
	return dir, os.Rename(fresh, dir)
}
