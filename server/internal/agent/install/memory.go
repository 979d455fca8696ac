package install

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/u-root/u-root/pkg/cpio"
	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/server/internal/agent/bootloader"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/disk"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/rootfs"
)

// What an initramfs holds that InMemory makes: the system in a folder, what is lost in the format of an initramfs, and
// the program that goes over to the system. It lies in a folder because programs that change their root, as those of
// containers do, cannot where the root is that of the initramfs itself (pivot_root(2)).
const (
	SystemDir    = "sysroot"
	attributes   = "metal-xattrs.json"
	StartProgram = "metal-start"
)

// InMemory makes a system of a root archive that runs from memory. It loads the system's own kernel, with the whole
// system as its initramfs, to be started by kexec later; no disk is touched. self is the path of the program that
// EnterSystem is part of, and cmdline is the command line of the running kernel, whose consoles the system gets too.
func InMemory(ctx context.Context, o Options, self, cmdline string) (err error) {
	leave, err := enter(ctx, o)
	defer func() { err = errors.Join(err, leave()) }()
	if err != nil {
		return err
	}
	o.Progress(afterTools)
	dir := filepath.Join(o.Dir, target)
	for _, name := range []string{"dev", "proc", "sys", "run"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			return fmt.Errorf("make /%s in the system: %w", name, err)
		}
	}
	if err := unpack(ctx, o); err != nil {
		return err
	}
	o.Progress(afterUnpack)
	if err := configure(o, dir); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("open the system: %w", err)
	}
	defer root.Close()
	boot, err := fs.Sub(root.FS(), "boot")
	if err != nil {
		return fmt.Errorf("look into /boot: %w", err)
	}
	kernel, err := bootloader.NewestKernel(boot)
	if err != nil {
		return err
	}
	program, err := os.ReadFile(self)
	if err != nil {
		return fmt.Errorf("read the program that starts the system: %w", err)
	}
	parameters := append(consoles(cmdline), "rdinit=/"+StartProgram, o.Install.KernelParameters)
	o.Log.Info("loading the system as the initramfs of its own kernel", "kernel", kernel)
	err = disk.LoadSystem(boot, kernel, strings.TrimSpace(strings.Join(parameters, " ")), func(w io.Writer) error {
		return writeSystem(ctx, w, dir, program)
	})
	if err != nil {
		return fmt.Errorf("load the system into memory: %w", err)
	}
	return nil
}

// consoles are those words of a kernel command line that say where the console is.
func consoles(cmdline string) []string {
	return slices.DeleteFunc(strings.Fields(cmdline), func(w string) bool { return !strings.HasPrefix(w, "console=") })
}

// writeSystem writes an initramfs with the system in dir, whose files it removes on the way: in memory there is no room
// for both.
func writeSystem(ctx context.Context, w io.Writer, dir string, program []byte) error {
	out := cpio.Newc.Writer(w)
	head := []cpio.Record{
		cpio.Directory("dev", 0o755), cpio.CharDev("dev/console", 0o600, 5, 1), cpio.StaticFile(StartProgram, string(program), 0o755),
	}
	if err := cpio.WriteRecords(out, head); err != nil {
		return err
	}
	kept := map[string]map[string][]byte{}
	recorder := cpio.NewRecorder()
	err := filepath.WalkDir(dir, func(at string, e fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, at)
		if err != nil {
			return err
		}
		attrs, err := rootfs.Attributes(at)
		if err != nil {
			return err
		}
		if len(attrs) > 0 {
			kept[name] = attrs
		}
		record, err := recorder.GetRecord(at)
		if err != nil {
			return err
		}
		record.Name = filepath.Join(SystemDir, name)
		if err := out.WriteRecord(record); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if e.Type().IsRegular() && record.NLink == 1 { // a file with more names is told by all of them
			return os.Remove(at)
		}
		return nil
	})
	if err != nil {
		return err
	}
	raw, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	return errors.Join(out.WriteRecord(cpio.StaticFile(attributes, string(raw), 0o600)), cpio.WriteTrailer(out))
}

// EnterSystem is what the first process does in an initramfs of InMemory's: it makes the system's folder the root, and
// becomes the system's own first process. It returns only when that did not work.
func EnterSystem(environment []string) error {
	if err := restoreAttributes("/"+attributes, "/"+SystemDir); err != nil {
		// A program that lost a capability is better than no system.
		fmt.Fprintln(os.Stderr, "metal-start:", err)
	}
	err := errors.Join(os.Remove("/"+attributes), os.Remove("/"+StartProgram)) // their memory is of use to others
	if err != nil {
		fmt.Fprintln(os.Stderr, "metal-start:", err)
	}
	if err := unix.Mount("/"+SystemDir, "/"+SystemDir, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount the system: %w", err)
	}
	if err := unix.Chdir("/" + SystemDir); err != nil {
		return fmt.Errorf("go into the system: %w", err)
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("make the system the root: %w", err)
	}
	if err := errors.Join(unix.Chroot("."), unix.Chdir("/")); err != nil {
		return fmt.Errorf("go over to the system: %w", err)
	}
	var all []error
	for _, first := range []string{"/sbin/init", "/usr/lib/systemd/systemd", "/etc/init", "/bin/init"} {
		all = append(all, fmt.Errorf("start %s: %w", first, unix.Exec(first, []string{first}, environment)))
	}
	return errors.Join(all...)
}

// restoreAttributes gives the files below dir the extended attributes that the initramfs could not hold.
func restoreAttributes(list, dir string) error {
	raw, err := os.ReadFile(list)
	if err != nil {
		return fmt.Errorf("read the list of extended attributes: %w", err)
	}
	var kept map[string]map[string][]byte
	if err := json.NewDecoder(bytes.NewReader(raw)).Decode(&kept); err != nil {
		return fmt.Errorf("read the list of extended attributes: %w", err)
	}
	var all []error
	for name, attrs := range kept {
		for attr, value := range attrs {
			if err := unix.Lsetxattr(filepath.Join(dir, name), attr, value, 0); err != nil {
				all = append(all, fmt.Errorf("set %s of %s: %w", attr, name, err))
			}
		}
	}
	return errors.Join(all...)
}
