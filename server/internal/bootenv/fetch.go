package bootenv

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Flavour is a variant of Debian's kernel package.
type Flavour string

const (
	// Cloud is small and quick to start; it has no drivers for e1000 NICs, SATA disks or BMCs.
	Cloud Flavour = "cloud"
	// Generic has all drivers.
	Generic Flavour = "generic"
)

// metaPackage returns the package that depends on the flavour's latest kernel.
func metaPackage(arch metal.Arch, flavour Flavour) (string, error) {
	if arch != metal.AMD64 && arch != metal.ARM64 {
		return "", metal.Errorf(metal.Invalid, "there is no kernel for architecture %q: it is amd64 or arm64", arch)
	}
	switch flavour {
	case Cloud:
		return "linux-image-cloud-" + string(arch), nil
	case Generic:
		return "linux-image-" + string(arch), nil
	}
	return "", metal.Errorf(metal.Invalid, "there is no kernel flavour %q: it is cloud or generic", flavour)
}

// FetchKernel gets Debian's latest kernel package of a flavour into dir, by apt from the sources that this host is
// set up with, and returns the path of the package. The architecture need not be the host's: apt works with lists
// and a state of its own below dir/apt, and the host's are not touched. A package that is there already is not
// fetched again.
func FetchKernel(ctx context.Context, arch metal.Arch, flavour Flavour, dir string) (string, error) {
	meta, err := metaPackage(arch, flavour)
	if err != nil {
		return "", err
	}
	a, err := newApt(ctx, dir, arch)
	if err != nil {
		return "", err
	}
	said, err := a.run(ctx, "apt-cache", "depends", "--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks", "--no-replaces", meta)
	if err != nil {
		return "", err
	}
	pkg := imagePackage(said)
	if pkg == "" {
		return "", metal.Errorf(metal.NotFound, "package %s does not lead to a kernel image package: the apt sources of this host have no Debian kernel", meta)
	}
	return a.download(ctx, pkg)
}

// FetchPackages gets packages into dir as FetchKernel does, without what they depend on, and returns their paths in the
// order of the names.
func FetchPackages(ctx context.Context, arch metal.Arch, dir string, names ...string) ([]string, error) {
	a, err := newApt(ctx, dir, arch)
	if err != nil {
		return nil, err
	}
	files := make([]string, len(names))
	for i, name := range names {
		if files[i], err = a.download(ctx, name); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// apt runs apt's tools with a state of their own.
type apt struct {
	dir  string
	arch metal.Arch
}

// fresh is how old the lists of packages may be: one build fetches several kinds of them.
const fresh = 10 * time.Minute

// newApt returns one that works in dir, with lists that are no older than fresh.
func newApt(ctx context.Context, dir string, arch metal.Arch) (apt, error) {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return apt{}, metal.Errorf(metal.Invalid, "fetching packages needs apt-get, which this host does not have; a Debian kernel package that was downloaded elsewhere can be named instead: %w", err)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return apt{}, fmt.Errorf("find the folder for packages: %w", err)
	}
	a := apt{dir: dir, arch: arch}
	if err := a.prepare(); err != nil {
		return apt{}, err
	}
	updated := filepath.Join(a.state(), "updated-"+string(arch))
	if info, err := os.Stat(updated); err == nil && time.Since(info.ModTime()).Abs() < fresh {
		return a, nil
	}
	if _, err := a.run(ctx, "apt-get", "-q", "update"); err != nil {
		return apt{}, err
	}
	if err := os.WriteFile(updated, []byte(time.Now().UTC().Format(time.RFC3339)+"\n"), 0o644); err != nil {
		return apt{}, fmt.Errorf("note that apt's lists are fresh: %w", err)
	}
	return a, nil
}

func (a apt) state() string { return filepath.Join(a.dir, "apt") }

func (a apt) prepare() error {
	for _, d := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(a.state(), d), 0o755); err != nil {
			return fmt.Errorf("make a folder for apt: %w", err)
		}
	}
	// Nothing is installed as far as this apt knows.
	if err := os.WriteFile(filepath.Join(a.state(), "status"), nil, 0o644); err != nil {
		return fmt.Errorf("make a state for apt: %w", err)
	}
	return nil
}

// download fetches a package into a.dir, and returns its path.
func (a apt) download(ctx context.Context, pkg string) (string, error) {
	// apt names the file PACKAGE_VERSION_ARCH.deb, and leaves one that is whole alone.
	if _, err := a.run(ctx, "apt-get", "-q", "download", pkg); err != nil {
		return "", err
	}
	said, err := a.run(ctx, "apt-cache", "show", "--no-all-versions", pkg)
	if err != nil {
		return "", err
	}
	name := filepath.Join(a.dir, debName(pkg, said, a.arch))
	if _, err := os.Stat(name); err != nil {
		return "", fmt.Errorf("find the fetched package %s: %w", pkg, err)
	}
	return name, nil
}

// run runs one of apt's tools in a.dir and returns what it said. An error carries the tool's own words.
func (a apt) run(ctx context.Context, tool string, args ...string) (string, error) {
	options := []string{
		"-o", "Dir::State=" + a.state(),
		"-o", "Dir::State::lists=" + filepath.Join(a.state(), "lists"),
		"-o", "Dir::State::status=" + filepath.Join(a.state(), "status"),
		"-o", "Dir::Cache=" + filepath.Join(a.state(), "cache"),
		"-o", "APT::Architecture=" + string(a.arch),
		"-o", "APT::Architectures::=" + string(a.arch),
		"-o", "Acquire::Languages=none",
		"-o", "APT::Sandbox::User=", // else apt gives the download away to a user who may not write here
	}
	cmd := exec.CommandContext(ctx, tool, append(options, args...)...)
	cmd.Dir = a.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		e := metal.Errorf(metal.Invalid, "%s %s, to get packages for %s, went wrong: see what it said; a Debian kernel package that was downloaded elsewhere can be named instead: %w", tool, strings.Join(args, " "), a.arch, err)
		e.Detail = strings.TrimSpace(complaints.String())
		return "", e
	}
	return out.String(), nil
}

// imagePackage reads what "apt-cache depends" says of a meta package and returns the kernel it depends on.
func imagePackage(said string) string {
	for line := range strings.Lines(said) {
		pkg, ok := strings.CutPrefix(strings.TrimSpace(line), "Depends: ")
		if ok && strings.HasPrefix(pkg, "linux-image-") {
			pkg, _, _ = strings.Cut(pkg, ":") // of an architecture
			return pkg
		}
	}
	return ""
}

// debName returns the file name that "apt-get download" gives a package, from what "apt-cache show" says of it. A
// colon in a version, as before an epoch, is written %3a.
func debName(pkg, said string, arch metal.Arch) string {
	for line := range strings.Lines(said) {
		if version, ok := strings.CutPrefix(line, "Version: "); ok {
			return fmt.Sprintf("%s_%s_%s.deb", pkg, strings.ReplaceAll(strings.TrimSpace(version), ":", "%3a"), arch)
		}
	}
	return ""
}
