package lab

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// claim takes a name or directory that only one process on the host can have: an abstract socket (unix(7)), which
// ends with its process however that dies, and leaves no file.
func claim(kind, name string) (net.Listener, error) {
	// Hashed, because a socket's address has room for 107 bytes only.
	held, err := net.Listen("unix", fmt.Sprintf("@metal-lab/%s/%x", kind, sha256.Sum256([]byte(name)))) // 82 bytes at most
	if errors.Is(err, unix.EADDRINUSE) {
		return nil, metal.Errorf(metal.Conflict, "a lab with the %s %s is running: stop it with metal-lab down, or choose another %s", kind, name, kind)
	}
	if err != nil {
		return nil, fmt.Errorf("claim %s %s: %w", kind, name, err)
	}
	return held, nil
}

// clearDir removes what a dead lab left in dir, and its namespace. The caller holds the claims on dir and on the name
// held, if that is not empty.
func clearDir(dir, held string) error {
	// Half a file tells nothing; the mark on the namespace's bridge will do.
	if old, err := Load(dir); err == nil {
		clearOld := clearOther
		if old.Name == held {
			clearOld = func(name string) error { return clearNamespace(name, true) }
		}
		if err := clearOld(old.Name); err != nil {
			return err
		}
	}
	return removeFiles(dir, labFiles())
}

// clearOther removes the namespace that a state file vouches for, unless a lab of another directory has its name now.
func clearOther(name string) error {
	claimed, err := claim("name", name)
	if metal.CodeOf(err) == metal.Conflict {
		return nil
	}
	if err != nil {
		return err
	}
	defer claimed.Close()
	return clearNamespace(name, true)
}

// clearNamespace removes a namespace that a dead lab left. The caller holds the claim on name, so no live lab has it.
// ours says that a state file vouches for it; otherwise the mark on its bridge must.
func clearNamespace(name string, ours bool) error {
	if _, err := os.Lstat(filepath.Join(netnsDir, name)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if !ours && !marked(name) {
		return metal.Errorf(metal.Conflict, "network namespace %s exists and is not a lab's: choose another name, or remove it with ip netns del %s", name, name)
	}
	return deleteNamespace(name)
}

// Down ends the lab in dir, alive or dead, and removes all it left. The error is NotFound when there is none.
func Down(ctx context.Context, dir string) error {
	state, err := Load(dir)
	if err != nil {
		return err
	}
	if state.Owner.PID == os.Getpid() {
		return metal.Errorf(metal.Conflict, "stop lab %s: it runs in this process, close it", state.Name)
	}
	if err := state.Owner.stop(ctx); err != nil {
		return err
	}
	held, err := claim("directory", filepath.Clean(dir))
	if err != nil {
		return err // somebody made a new one in between
	}
	defer held.Close()
	if err := clearOther(state.Name); err != nil {
		return err
	}
	return removeFiles(dir, append(labFiles(), logName))
}
