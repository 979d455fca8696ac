package boot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Paths on the boot server.
const (
	PathScript = "/boot/script/"
	PathFiles  = "/boot/files/"
	PathEnv    = "/boot/env/"
)

const (
	fileKernel    = "kernel"
	fileInitramfs = "initramfs"
	fileTools     = "tools.tar.zst" // programs that agents fetch to install a root archive
)

// Known is what the handler needs of the server's facts.
type Known interface {
	// BootFacts returns what is stored about the machine with this NIC.
	BootFacts(ctx context.Context, mac metal.MAC) (Facts, error)
	// BootToken makes the token for the agent of one boot.
	BootToken(mac metal.MAC) string
	// Looping tells people that a known machine, which is to boot its own disk, asked the network for something to
	// boot this many times within 10 minutes.
	Looping(ctx context.Context, mac metal.MAC, times int) error
}

// Files are the boot files, each looked for in several directories.
type Files struct {
	// Loaders are directories with iPXE's binaries and localboot.efi.
	Loaders []string
	// Env is the directory of RAM environments, one directory an architecture.
	Env string
}

// OpenTFTP opens a file that TFTP serves; metal.NotFound for every other name.
func (f Files) OpenTFTP(name string) (*os.File, error) {
	if file, ok, err := f.signedTFTP(name); ok {
		return file, err
	}
	if !slices.Contains(plainLoaders(), name) {
		return nil, metal.Errorf(metal.NotFound, "there is no boot file %q", name)
	}
	return f.loader(name)
}

// loader opens a boot file, before that a signed one, which packages have under another name. Those for arm64 are with
// its RAM environment: few servers are arm64 machines that have such packages.
func (f Files) loader(name string, signed ...string) (*os.File, error) {
	dirs := append(slices.Clone(f.Loaders), filepath.Join(f.Env, string(metal.ARM64)))
	for _, dir := range dirs {
		for _, n := range append(signed, name) {
			file, err := os.Open(filepath.Join(dir, n))
			if !errors.Is(err, fs.ErrNotExist) {
				return file, err
			}
		}
	}
	switch {
	case name == fileShimArm64 || name == fileGRUBArm64:
		return nil, metal.Errorf(metal.NotFound, "boot file %s is in none of %v: run metald bootenv build -arch arm64", name, dirs)
	case len(signed) > 0:
		return nil, metal.Errorf(metal.NotFound, "boot file %s is in none of %v: install the packages shim-signed and grub-efi-amd64-signed", name, f.Loaders)
	}
	return nil, metal.Errorf(metal.NotFound, "boot file %s is in none of %v: install the package ipxe, and run metald bootenv build", name, f.Loaders)
}

func (f Files) env(arch metal.Arch, name string) (*os.File, error) {
	if arch != metal.AMD64 && arch != metal.ARM64 || name != fileKernel && name != fileInitramfs && name != fileTools {
		return nil, metal.Errorf(metal.NotFound, "there is no boot file %s/%s", arch, name)
	}
	file, err := os.Open(filepath.Join(f.Env, string(arch), name))
	if errors.Is(err, fs.ErrNotExist) && name == fileTools {
		return nil, metal.Errorf(metal.NotFound, "there are no tools to install root archives on %s: run metald bootenv build -arch %s -tools", arch, arch)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, metal.Errorf(metal.NotFound, "there is no RAM environment for %s: run metald bootenv build -arch %s", arch, arch)
	}
	return file, err
}

// Missing lists what a machine would ask for in vain; with secure, also what one with Secure Boot would. An arm64 machine
// counts where there is a directory for its RAM environment.
func (f Files) Missing(secure bool) []error {
	var faults []error
	check := func(file *os.File, err error) {
		if err != nil {
			faults = append(faults, err)
			return
		}
		file.Close()
	}
	for _, name := range []string{fileBIOS, fileUEFI, fileLocal} {
		check(f.loader(name))
	}
	if secure {
		check(f.loader(fileShim, debianShim))
		check(f.loader(fileGRUB, debianGRUB))
	}
	archs := []metal.Arch{metal.AMD64}
	if _, err := os.Stat(filepath.Join(f.Env, string(metal.ARM64))); err == nil {
		// Who began to serve such machines wants all of it.
		archs = append(archs, metal.ARM64)
		check(f.loader(fileGRUBArm64, debianGRUBArm64))
		if secure {
			check(f.loader(fileShimArm64, debianShimArm64))
		}
	}
	for _, arch := range archs {
		for _, name := range []string{fileKernel, fileInitramfs} {
			check(f.env(arch, name))
		}
	}
	return faults
}

// Handler serves scripts and files to machines.
type Handler struct {
	mux   *http.ServeMux
	known Known
	// installers may be nil: then there are no boot profiles.
	installers Installers
	files      Files
	base       func(*http.Request) string
	log        *slog.Logger
	loops      *loops
}

// NewHandler makes a handler. base returns the URL under which the machine that sent a request reaches it.
func NewHandler(known Known, installers Installers, files Files, base func(*http.Request) string, log *slog.Logger) *Handler {
	h := &Handler{mux: http.NewServeMux(), known: known, installers: installers, files: files, base: base, log: log, loops: newLoops()}
	h.mux.HandleFunc("GET "+PathScript+"{mac}", h.script) // GET patterns answer HEAD too, which UEFI HTTP boot sends first
	h.mux.HandleFunc("GET "+PathFiles+"{name}", func(w http.ResponseWriter, r *http.Request) {
		h.serve(w, r, func() (*os.File, error) { return h.loaderByHTTP(r.PathValue("name")) })
	})
	h.mux.HandleFunc("GET "+PathEnv+"{arch}/{name}", func(w http.ResponseWriter, r *http.Request) {
		h.serve(w, r, func() (*os.File, error) { return h.files.env(metal.Arch(r.PathValue("arch")), r.PathValue("name")) })
	})
	if installers != nil {
		h.routeInstallers()
	}
	return h
}

// ServeHTTP answers a machine.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

func (h *Handler) loaderByHTTP(name string) (*os.File, error) {
	if name != fileLocal && !slices.Contains(plainLoaders(), name) {
		return nil, metal.Errorf(metal.NotFound, "there is no boot file %q", name)
	}
	return h.files.loader(name)
}

func (h *Handler) script(w http.ResponseWriter, r *http.Request) {
	mac, err := metal.ParseMAC(r.PathValue("mac"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	facts, err := h.known.BootFacts(r.Context(), mac)
	if err == nil && h.installers != nil && !facts.WantsAgent && r.Method == http.MethodGet {
		facts.Installer, err = h.installers.Installer(r.Context(), mac, h.asker(r))
	}
	if err != nil { // iPXE tries again; "nothing to boot" would send the machine somewhere
		h.log.Error("decide what a machine boots", "mac", mac, "error", err)
		http.Error(w, "the facts about this machine cannot be read now", http.StatusServiceUnavailable)
		return
	}
	mode := metal.UEFI
	if r.URL.Query().Get("platform") == "pcbios" {
		mode = metal.BIOS
	}
	plan, token := PlanFor(facts), ""
	switch {
	case r.Method != http.MethodGet:
	case plan.Installer != nil:
	case plan.RAM:
		token = h.known.BootToken(mac)
	default:
		h.watch(r.Context(), mac)
	}
	h.log.Info("boot", "mac", mac, "mode", mode, "from", r.RemoteAddr, "plan", plan.Why)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	fmt.Fprint(w, plan.Script(h.base(r), mac, mode, token))
}

// watch tells people of a machine that does not get on from its disk: it would ask again and again in silence.
func (h *Handler) watch(ctx context.Context, mac metal.MAC) {
	times, looping := h.loops.asked(mac, time.Now())
	if !looping {
		return
	}
	h.log.Warn("a machine that should boot its own disk comes back to the network", "mac", mac, "times", times, "within", loopWindow)
	if err := h.known.Looping(ctx, mac, times); err != nil {
		h.log.Error("tell that a machine boots in a loop", "mac", mac, "error", err)
	}
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request, open func() (*os.File, error)) {
	file, err := open()
	if metal.CodeOf(err) == metal.NotFound {
		h.log.Warn("a machine asked for a boot file that is not there", "from", r.RemoteAddr, "path", r.URL.Path, "error", err)
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	if err != nil {
		h.log.Error("open a boot file", "path", r.URL.Path, "error", err)
		http.Error(w, "the boot file cannot be read now", http.StatusServiceUnavailable)
		return
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		http.Error(w, "the boot file cannot be read now", http.StatusServiceUnavailable)
		return
	}
	h.log.Debug("boot file", "method", r.Method, "path", r.URL.Path, "from", r.RemoteAddr)
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", info.ModTime(), file)
}
