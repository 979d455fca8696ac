package daemon

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strconv"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/boot"
	"github.com/metalform/terraform-provider-metal/server/internal/bootfile"
	"github.com/metalform/terraform-provider-metal/server/internal/fleet"
	"github.com/metalform/terraform-provider-metal/server/internal/profile"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// openBootFiles opens the store of boot files, and removes those that no profile names any more. Nothing is served
// yet: none is being fetched.
func openBootFiles(ctx context.Context, db *store.DB, dir string, allowed []string) (*bootfile.Store, error) {
	files, err := bootfile.Open(dir, allowed)
	if err != nil {
		return nil, err
	}
	var keep map[string]bool
	if err := db.Read(ctx, func(tx *store.Tx) (err error) {
		keep, err = tx.BootFiles()
		return err
	}); err != nil {
		return nil, err
	}
	return files, files.Prune(keep)
}

// installers lets the boot server install by boot profiles.
type installers struct {
	fleet *fleet.Fleet
	files *bootfile.Store
}

// Installer begins an installation or goes on with it.
func (s installers) Installer(ctx context.Context, mac metal.MAC, who boot.Asker) (*boot.Installer, error) {
	i, err := s.fleet.BootInstaller(ctx, mac, who.From)
	if err != nil || i == nil {
		return nil, err
	}
	out := &boot.Installer{Profile: i.Profile, Over: i.State != metal.Installing, ISO: i.Spec.ISO != nil}
	if out.Over {
		return out, nil
	}
	out.Path = boot.InstallPath(mac, i.Token)
	for n, f := range i.Spec.Initrds {
		file := boot.Initrd{Name: f.Name}
		if f.Name == "" { // only loaders that are no Linux kernel want names of their own
			file = boot.Initrd{Name: fmt.Sprintf("initrd%d", n), Linux: true}
		}
		out.Initrds = append(out.Initrds, file)
	}
	for _, a := range i.Spec.Answers {
		if a.Load {
			out.Loaded = append(out.Loaded, a.Name)
		}
	}
	i.Facts.URLs(who.Base, out.Path)
	out.CommandLine, err = profile.CommandLine(i.Spec, i.Facts)
	return out, err
}

// BootFile opens a file of an installation's profile.
func (s installers) BootFile(ctx context.Context, mac metal.MAC, token, name string) (*os.File, error) {
	i, err := s.fleet.Installing(ctx, mac, token, netip.Addr{})
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(name)
	switch {
	case name == "kernel" && i.Spec.Kernel != nil:
		return s.files.Open(i.Spec.Kernel.SHA256)
	case name == "iso" && i.Spec.ISO != nil:
		return s.files.Open(i.Spec.ISO.SHA256)
	case err == nil && n >= 0 && n < len(i.Spec.Initrds):
		return s.files.Open(i.Spec.Initrds[n].SHA256)
	}
	return nil, metal.Errorf(metal.NotFound, "boot profile %s has no boot file %.80q", i.Profile, name)
}

// Answer renders an answer file.
func (s installers) Answer(ctx context.Context, mac metal.MAC, token, name string, who boot.Asker) (string, error) {
	i, err := s.fleet.Installing(ctx, mac, token, who.From)
	if err != nil {
		return "", err
	}
	i.Facts.URLs(who.Base, boot.InstallPath(mac, i.Token))
	return profile.Answer(i.Spec, name, i.Facts)
}

// Report takes what an installer says of itself.
func (s installers) Report(ctx context.Context, mac metal.MAC, token string, state metal.InstallationState, line string) error {
	return s.fleet.ReportInstallation(ctx, mac, token, state, line)
}
