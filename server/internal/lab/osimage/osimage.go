// Package osimage builds the disk images that the virtual rack installs: a tiny system for every test run, and a
// real Debian with cloud-init. Both boot by BIOS and UEFI (also with Secure Boot) and take their seed from a volume
// labelled CIDATA. It needs Debian's tools and root, but neither mounts nor loop devices. The tiny one is there for arm64
// too.
package osimage

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// generation is part of the cache key: it changes whenever the builder makes something else of the same packages.
const generation = "1"

// Options say what to build and where to.
type Options struct {
	Out      string // the image, as zstd
	CacheDir string // packages, and earlier builds by what went into them
	// Version is what VERSION in /etc/os-release says, so that two images can be told apart; empty means "A".
	Version string
	// Arch is metal.AMD64, which empty means too, or metal.ARM64, which BuildTiny alone knows.
	Arch metal.Arch
	Log  *slog.Logger // may be nil
}

func (o Options) version() string {
	if o.Version == "" {
		return "A"
	}
	return o.Version
}

func (o Options) log() *slog.Logger {
	if o.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Log
}

// recipe is how one kind of image is made.
type recipe struct {
	name      string
	megabytes int      // of the raw image
	cmdline   string   // of the kernel
	packages  []string // whose versions decide whether a cached build is still good
	inputs    []string // further text that decides
	// tree makes the root file system below dir, with /boot/vmlinuz-RELEASE and /boot/initrd.img-RELEASE.
	tree func(ctx context.Context, o Options, dir string) error
}

// BuildTiny makes an image of 96 MiB that is up in seconds: Debian's cloud kernel, busybox, dropbear, and an init
// that understands the seed's host name, SSH keys, network config and phone_home. It prints TINY-READY on the console.
// The user is debian, with SSH keys only.
func BuildTiny(ctx context.Context, o Options) error {
	inputs, err := tinyInputs()
	if err != nil {
		return err
	}
	name, t := "tiny", targetOf(o.Arch)
	if t.foreign() {
		name += "-" + string(t.arch)
	}
	return build(ctx, o, recipe{
		name: name, megabytes: 96, cmdline: "quiet console=tty0 console=" + t.console + " net.ifnames=0",
		packages: append([]string{kernelPackage, "busybox-static"}, tinyPackages()...), inputs: inputs, tree: tinyTree,
	})
}

// BuildDebian makes an image of 1400 MiB with Debian 12, systemd, cloud-init with all its stages, and OpenSSH. The
// user is debian. Packages come from the host's own sources.
func BuildDebian(ctx context.Context, o Options) error {
	return build(ctx, o, recipe{
		name: "debian", megabytes: 1400, cmdline: "root=LABEL=root ro quiet console=tty0 console=ttyS0 net.ifnames=0 fsck.mode=skip",
		packages: append([]string{kernelPackage}, debianPackages()...), inputs: debianInputs(), tree: debianTree,
	})
}

// build makes the image, or takes an earlier one that came from the same inputs.
func build(ctx context.Context, o Options, r recipe) error {
	if o.Out == "" || o.CacheDir == "" {
		return fmt.Errorf("build %s image: Out and CacheDir must be given", r.name)
	}
	if err := os.MkdirAll(o.CacheDir, 0o755); err != nil {
		return fmt.Errorf("build %s image: %w", r.name, err)
	}
	key, err := cacheKey(ctx, o, r)
	if err != nil {
		return fmt.Errorf("build %s image: %w", r.name, err)
	}
	cached := filepath.Join(o.CacheDir, r.name+"-"+key+".img.zst")
	if _, err := os.Stat(cached); err == nil {
		o.log().Info("image taken from the cache", "image", r.name, "file", cached)
		return place(cached, o.Out)
	}
	if err := produce(ctx, o, r, cached); err != nil {
		return fmt.Errorf("build %s image: %w", r.name, err)
	}
	return place(cached, o.Out)
}
