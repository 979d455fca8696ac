// Package bootenv builds the RAM environment that machines boot over the network: a distribution's kernel, the
// modules that machines need, and metal-agent as /init.
package bootenv

import (
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Names of the files that Build leaves.
const (
	KernelFile    = "kernel"
	InitramfsFile = "initramfs"
	ManifestFile  = "manifest.json"
)

// Options say what to build.
type Options struct {
	Arch metal.Arch
	// KernelDeb is a Debian kernel package, or KernelRoot a folder with boot/vmlinuz-RELEASE and
	// lib/modules/RELEASE, as such a package holds them. One of the two.
	KernelDeb, KernelRoot string
	// AgentPath is metal-agent, linked statically, for Arch.
	AgentPath string
	// OutDir gets the three files. It is made when it is not there.
	OutDir string
	// Modules is the set to take in; the zero value means Virtual.
	Modules ModuleSet
	// Compress packs the initramfs with zstd: a third of the size over the wire, for some time to unpack. Under an
	// emulated processor unpacking costs more (2 s) than the wire saves.
	Compress bool
}

// Manifest tells what a RAM environment is made of.
type Manifest struct {
	Arch            metal.Arch `json:"arch"`
	Kernel          string     `json:"kernel"` // release, as uname -r
	KernelSHA256    string     `json:"kernel_sha256"`
	InitramfsSHA256 string     `json:"initramfs_sha256"`
	InitramfsBytes  int64      `json:"initramfs_bytes"`
	AgentSHA256     string     `json:"agent_sha256"`
	Modules         []string   `json:"modules"` // names, sorted by path
}

// Build writes kernel, initramfs and manifest.json into o.OutDir. The same input gives the same bytes. Errors with
// code Invalid say what is wrong with the input.
func Build(ctx context.Context, o Options) (Manifest, error) {
	if o.Arch != metal.AMD64 && o.Arch != metal.ARM64 {
		return Manifest{}, metal.Errorf(metal.Invalid, "there is no RAM environment for architecture %q: it is amd64 or arm64", o.Arch)
	}
	if (o.KernelDeb == "") == (o.KernelRoot == "") {
		return Manifest{}, metal.Errorf(metal.Invalid, "name either a kernel package or a folder with a kernel, to build a RAM environment from")
	}
	if o.Modules.Name == "" {
		o.Modules = Virtual()
	}
	root := o.KernelRoot
	if o.KernelDeb != "" {
		dir, err := os.MkdirTemp("", "bootenv-")
		if err != nil {
			return Manifest{}, fmt.Errorf("make a folder to unpack the kernel into: %w", err)
		}
		defer os.RemoveAll(dir)
		if err := unpackDeb(ctx, o.KernelDeb, dir); err != nil {
			return Manifest{}, err
		}
		root = dir
	}
	agent, err := readAgent(o.AgentPath, o.Arch)
	if err != nil {
		return Manifest{}, err
	}
	release, kernel, err := readKernel(os.DirFS(root))
	if err != nil {
		return Manifest{}, err
	}
	modules, err := os.OpenRoot(filepath.Join(root, "lib/modules", release))
	if err != nil {
		return Manifest{}, metal.Errorf(metal.Invalid, "the kernel %s came without its modules: %w", release, err)
	}
	defer modules.Close()
	t, err := openTree(modules.FS())
	if err != nil {
		return Manifest{}, err
	}
	chosen, err := t.choose(o.Modules)
	if err != nil {
		return Manifest{}, err
	}
	m := Manifest{Arch: o.Arch, Kernel: release, AgentSHA256: digest(agent), KernelSHA256: digest(kernel)}
	for _, k := range chosen {
		m.Modules = append(m.Modules, k.name)
	}
	if err := write(ctx, o, &m, kernel, contents(release, agent, chosen)); err != nil {
		return Manifest{}, err
	}
	return m, nil
}

// readKernel finds the one kernel in a tree and returns its release and its image.
func readKernel(fsys fs.FS) (release string, image []byte, err error) {
	names, err := fs.Glob(fsys, "boot/vmlinu?-*")
	if err != nil {
		return "", nil, fmt.Errorf("look for the kernel: %w", err)
	}
	if len(names) != 1 {
		return "", nil, metal.Errorf(metal.Invalid, "expected one kernel as boot/vmlinuz-RELEASE, found %d: name a package as linux-image-6.1.0-56-cloud-amd64, not the meta package that depends on it", len(names))
	}
	image, err = fs.ReadFile(fsys, names[0])
	if err != nil {
		return "", nil, fmt.Errorf("read the kernel: %w", err)
	}
	_, release, _ = strings.Cut(path.Base(names[0]), "-")
	return release, image, nil
}

// readAgent reads metal-agent and checks that the kernel can start it where there is nothing else: it must be
// static and for the architecture.
func readAgent(name string, arch metal.Arch) ([]byte, error) {
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read metal-agent: %w", err)
	}
	f, err := elf.NewFile(bytes.NewReader(raw))
	if err != nil {
		return nil, metal.Errorf(metal.Invalid, "%s is not a Linux program: %w", filepath.Base(name), err)
	}
	machine := map[metal.Arch]elf.Machine{metal.AMD64: elf.EM_X86_64, metal.ARM64: elf.EM_AARCH64}[arch]
	if f.Machine != machine {
		return nil, metal.Errorf(metal.Invalid, "%s is for %v, not for %s: build it with GOARCH=%s", filepath.Base(name), f.Machine, arch, arch)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return nil, metal.Errorf(metal.Invalid, "%s is linked dynamically: build it with CGO_ENABLED=0", filepath.Base(name))
		}
	}
	return raw, nil
}
