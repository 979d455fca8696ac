package module

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Loader loads modules for the devices under /sys. Its methods may be called from several goroutines.
type Loader struct {
	dir    string // of the index and the modules
	sys    string
	index  *Index
	insert func(path string) error

	mu    sync.Mutex
	tried map[string]error // by path
}

// NewLoader reads the index in dir, /lib/modules/RELEASE, for the devices below sys, /sys.
func NewLoader(dir, sys string) (*Loader, error) {
	dep, err := os.Open(filepath.Join(dir, "modules.dep"))
	if err != nil {
		return nil, fmt.Errorf("open the list of modules: %w", err)
	}
	defer dep.Close()
	aliases, err := os.Open(filepath.Join(dir, "modules.alias"))
	if err != nil {
		return nil, fmt.Errorf("open the list of modules: %w", err)
	}
	defer aliases.Close()
	index, err := ReadIndex(dep, aliases)
	if err != nil {
		return nil, err
	}
	return &Loader{dir: dir, sys: sys, index: index, insert: insertModule, tried: map[string]error{}}, nil
}

// ForNetwork loads what network interfaces need and leaves the rest for later: a machine is to be on the network
// before its disks are there.
func (l *Loader) ForNetwork() error { return l.settle(isNetwork) }

// ForAll loads what any device needs.
func (l *Loader) ForAll() error { return l.settle(func(string) bool { return true }) }

// isNetwork says whether a modalias is of a network controller: PCI class 02, or a virtio device of type 1
// (VIRTIO 1.2, 5.1).
func isNetwork(modalias string) bool {
	if strings.HasPrefix(modalias, "pci:") {
		_, class, _ := strings.Cut(modalias, "bc")
		return strings.HasPrefix(class, "02")
	}
	return strings.HasPrefix(modalias, "virtio:d00000001")
}

// settle loads modules for devices until no new device asks for another one: a bus driver brings devices with it.
// Loading a module returns when its devices were probed (the kernel waits for asynchronous probes), so that two
// looks without anything new are the end.
func (l *Loader) settle(wanted func(modalias string) bool) error {
	var errs []error
	seen := map[string]bool{}
	for loaded := true; loaded; {
		loaded = false
		aliases, err := Devices(l.sys)
		if err != nil {
			return err
		}
		for _, modalias := range aliases {
			if seen[modalias] || !wanted(modalias) {
				continue
			}
			seen[modalias] = true
			for _, name := range l.index.For(modalias) {
				fresh, err := l.Load(name)
				loaded = loaded || fresh
				if err != nil {
					errs = append(errs, err)
				}
			}
		}
	}
	return errors.Join(errs...)
}

// Load loads a module and what it needs, and says whether anything was loaded that was not there before. Name may
// be an alias, as the kernel uses them when it asks for a module (fs-ext4, crypto-crc32c). A name that is not
// known is no error: it may be built in.
func (l *Loader) Load(name string) (fresh bool, err error) {
	names := []string{name}
	if !l.index.Has(name) {
		names = l.index.For(name)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range names {
		for _, path := range l.index.Paths(name) {
			err, done := l.tried[path]
			if !done {
				err = l.insert(filepath.Join(l.dir, path))
				l.tried[path] = err
				fresh = fresh || err == nil
			}
			if err != nil {
				return fresh, fmt.Errorf("load module %s: %w", NameOf(path), err)
			}
		}
	}
	return fresh, nil
}

// insertModule hands one file to the kernel. A module that is there already is fine, and so is one that finds no
// hardware of its own (ENODEV), as platform drivers like ipmi_si say it.
func insertModule(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	err = unix.FinitModule(int(f.Fd()), "", 0)
	if errors.Is(err, unix.EEXIST) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

// Devices returns the modaliases of all devices on all buses below sys, sorted, each once.
func Devices(sys string) ([]string, error) {
	buses, err := os.ReadDir(filepath.Join(sys, "bus"))
	if err != nil {
		return nil, fmt.Errorf("list buses: %w", err)
	}
	var aliases []string
	for _, bus := range buses {
		dir := filepath.Join(sys, "bus", bus.Name(), "devices")
		devices, err := os.ReadDir(dir)
		if err != nil {
			continue // a bus without devices
		}
		for _, device := range devices {
			raw, err := os.ReadFile(filepath.Join(dir, device.Name(), "modalias"))
			if modalias := strings.TrimSpace(string(raw)); err == nil && modalias != "" {
				aliases = append(aliases, modalias)
			}
		}
	}
	slices.Sort(aliases)
	return slices.Compact(aliases), nil
}
