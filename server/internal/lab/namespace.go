package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// netnsDir is where ip-netns(8) keeps named namespaces.
const netnsDir = "/run/netns"

// A namespace is a named network namespace and the one thread that lives in it. Everything that must be born inside,
// sockets and processes, is made on that thread. The kernel kills a child with PDEATHSIG when the *thread* that made
// it ends (prctl(2)), so it must outlive them all, which no other thread of a Go program is sure to.
type namespace struct {
	name  string
	calls chan func()
	quit  chan struct{} // closed to end the thread
	gone  chan struct{} // closed when it has ended
}

// newNamespace makes the namespace called name, which must not exist.
func newNamespace(name string) (*namespace, error) {
	if err := shareNetnsDir(); err != nil {
		return nil, fmt.Errorf("make network namespace %s: %w", name, err)
	}
	ns := &namespace{name: name, calls: make(chan func()), quit: make(chan struct{}), gone: make(chan struct{})}
	made := make(chan error)
	go func() {
		defer close(ns.gone)
		// Never unlocked: the runtime ends the thread with the goroutine instead of using it elsewhere.
		runtime.LockOSThread()
		handle, err := netns.NewNamed(name)
		if err == nil {
			_ = handle.Close() // the thread and the name keep it
		}
		made <- err
		if err != nil {
			return
		}
		for {
			select {
			case call := <-ns.calls:
				call()
			case <-ns.quit:
				return
			}
		}
	}()
	if err := <-made; err != nil {
		<-ns.gone
		return nil, fmt.Errorf("make network namespace %s: %w", name, err)
	}
	return ns, nil
}

// shareNetnsDir makes netnsDir a shared mount, exactly as "ip netns" does before its first namespace. Left to it, it
// would mount the directory over names that are there already, and those could never be removed.
func shareNetnsDir() error {
	if err := os.MkdirAll(netnsDir, 0o755); err != nil {
		return err
	}
	lock, err := os.Open(netnsDir)
	if err != nil {
		return err
	}
	defer lock.Close() // and unlock; "ip netns" locks the same way
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", netnsDir, err)
	}
	err = unix.Mount("", netnsDir, "none", unix.MS_SHARED|unix.MS_REC, "")
	if !errors.Is(err, unix.EINVAL) { // it is no mount point yet
		return err
	}
	if err := unix.Mount(netnsDir, netnsDir, "none", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mount %s: %w", netnsDir, err)
	}
	return unix.Mount("", netnsDir, "none", unix.MS_SHARED|unix.MS_REC, "")
}

// do runs f on the namespace's thread and returns its error. f must be short: everybody else waits.
func (ns *namespace) do(f func() error) error {
	done := make(chan error)
	select {
	case ns.calls <- func() { done <- f() }:
		return <-done
	case <-ns.gone:
		return fmt.Errorf("enter network namespace %s: %w", ns.name, net.ErrClosed)
	}
}

// close ends the thread, with everything that dies with it, and removes the name.
func (ns *namespace) close() error {
	close(ns.quit)
	<-ns.gone
	return deleteNamespace(ns.name)
}

// deleteNamespace removes the name. The namespace itself ends with the last process in it.
func deleteNamespace(name string) error {
	path := filepath.Join(netnsDir, name)
	// EINVAL: the file is no mount point. A process killed between making it and mounting left it.
	err := unix.Unmount(path, unix.MNT_DETACH)
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove network namespace %s: %w", name, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove network namespace %s: %w", name, err)
	}
	return nil
}

// enter moves the calling thread, which the caller has locked, into the namespace called name.
func enter(name string) error {
	handle, err := netns.GetFromPath(filepath.Join(netnsDir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return metal.Errorf(metal.NotFound, "no network namespace %s: the lab is not running, start it with metal-lab up", name)
	}
	if err != nil {
		return fmt.Errorf("open network namespace %s: %w", name, err)
	}
	defer handle.Close()
	if err := netns.Set(handle); err != nil {
		return fmt.Errorf("enter network namespace %s: %w", name, err)
	}
	return nil
}

// inNamespace runs f on a thread of its own in the namespace called name, and ends the thread.
func inNamespace(name string, f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := enter(name)
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}
