package fleet

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/profile"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

const (
	fetchWait    = 30 * time.Second
	maxFetchWait = 30 * time.Minute
)

// BootFiles keeps the files that boot profiles name.
type BootFiles interface {
	// Fetch makes sure that a file is there and is the one that its checksum says; metal.Invalid.
	Fetch(ctx context.Context, f metal.BootFile) error
}

// ListBootProfiles lists boot profiles.
func (f *Fleet) ListBootProfiles(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.BootProfile], error) {
	return list(ctx, f, in, func(tx *store.Tx) ([]metal.BootProfile, error) {
		return tx.BootProfiles(in.After, limitOf(in.Page), in.Names)
	}, func(p metal.BootProfile) string { return p.Name })
}

// GetBootProfile reads a boot profile as it is, or as it was at a version.
func (f *Fleet) GetBootProfile(ctx context.Context, in api.GetBootProfileRequest) (metal.BootProfile, error) {
	return get(ctx, f, func(tx *store.Tx) (*metal.BootProfile, error) {
		if in.Version == 0 {
			return tx.BootProfile(in.Name)
		}
		p, _, err := tx.BootProfileVersion(in.Name, in.Version)
		return p, err
	})
}

// PutBootProfile makes a boot profile or its next version. Its files are fetched before anything is changed.
func (f *Fleet) PutBootProfile(ctx context.Context, in api.PutBootProfileRequest) (out metal.BootProfile, err error) {
	wait := fetchWait
	if in.Wait != "" {
		if wait, err = time.ParseDuration(in.Wait); err != nil || wait < 0 || wait > maxFetchWait {
			return out, metal.Errorf(metal.Invalid, "wait %q is no duration of at most %s", in.Wait, maxFetchWait)
		}
	}
	check := api.CheckBootProfileRequest{ByName: in.ByName, Body: in.Body}
	if _, err := f.CheckBootProfile(ctx, check); err != nil {
		return out, err
	}
	if err := f.fetchBootFiles(ctx, in.Body.BootProfileSpec, wait); err != nil {
		return out, err
	}
	err = f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		p, was, err := bootProfileNow(tx, in.Name)
		if err != nil {
			return err
		}
		if err := precondition(in.Precondition, "boot profile "+in.Name, p.Revision); err != nil {
			return err
		}
		secrets := was
		if in.Body.Secrets != nil {
			secrets = *in.Body.Secrets
		}
		if err := checkBootProfile(tx, in.Name, in.Body.BootProfileSpec, secrets); err != nil {
			return err
		}
		if p.Revision == 0 || !reflect.DeepEqual(p.Spec, in.Body.BootProfileSpec) || !maps.Equal(secrets, was) {
			p.Spec, p.Secrets = in.Body.BootProfileSpec, slices.Sorted(maps.Keys(secrets))
			if err := tx.PutBootProfile(p, secrets); err != nil {
				return err
			}
		}
		out = *p
		return nil
	})
	return out, err
}

// CheckBootProfile refuses what PutBootProfile would refuse, but for what is wrong with files.
func (f *Fleet) CheckBootProfile(ctx context.Context, in api.CheckBootProfileRequest) (api.None, error) {
	return api.None{}, f.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		_, secrets, err := bootProfileNow(tx, in.Name)
		if err != nil {
			return err
		}
		if in.Body.Secrets != nil {
			secrets = *in.Body.Secrets
		}
		return checkBootProfile(tx, in.Name, in.Body.BootProfileSpec, secrets)
	})
}

// bootProfileNow reads a profile and its secrets, or makes an empty one.
func bootProfileNow(tx *store.Tx, name string) (*metal.BootProfile, map[string]string, error) {
	p, err := tx.BootProfile(name)
	if p, err = orNew(p, err, metal.BootProfile{Name: name}); err != nil || p.Version == 0 {
		return p, nil, err
	}
	_, secrets, err := tx.BootProfileVersion(name, p.Version)
	return p, secrets, err
}

// checkBootProfile refuses a profile that cannot be booted, or that would meet machines that another one meets.
func checkBootProfile(tx *store.Tx, name string, spec metal.BootProfileSpec, secrets map[string]string) error {
	keys, err := Keys(tx, spec.SSHKeys)
	if err != nil {
		return err
	}
	if err := profile.Check(spec, secrets, keys); err != nil {
		return err
	}
	for _, file := range bootFilesOf(spec) {
		if err := checkSource("the source of a boot file", file.Source); err != nil {
			return err
		}
	}
	others, err := tx.BootProfiles("", 1<<30, nil)
	if err != nil {
		return err
	}
	for _, o := range others {
		if o.Name == name {
			continue
		}
		if o.Spec.Unknown && spec.Unknown {
			return metal.Errorf(metal.Conflict, "boot profile %s is for unknown machines already: only one can be", o.Name)
		}
		for _, tag := range spec.Tags {
			if slices.Contains(o.Spec.Tags, tag) {
				return metal.Errorf(metal.Conflict, "boot profile %s is for machines with the tag %q already", o.Name, tag)
			}
		}
	}
	return nil
}

// fetchBootFiles fetches the files of a profile, one after the other.
func (f *Fleet) fetchBootFiles(ctx context.Context, spec metal.BootProfileSpec, wait time.Duration) error {
	fetch, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for _, file := range bootFilesOf(spec) {
		err := f.cfg.BootFiles.Fetch(fetch, file)
		if fetch.Err() != nil && ctx.Err() == nil {
			return metal.Errorf(metal.Conflict, "the files of the boot profile could not be fetched within %s: nothing was changed; give the request a longer wait", wait)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bootFilesOf are all files that a profile names.
func bootFilesOf(spec metal.BootProfileSpec) []metal.BootFile {
	files := slices.Clone(spec.Initrds)
	for _, file := range []*metal.BootFile{spec.Kernel, spec.ISO} {
		if file != nil {
			files = append(files, *file)
		}
	}
	return files
}

// DeleteBootProfile deletes a boot profile by which nothing installs now.
func (f *Fleet) DeleteBootProfile(ctx context.Context, in api.DeleteByNameRequest) (api.None, error) {
	return api.None{}, f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		p, err := tx.BootProfile(in.Name)
		if err != nil {
			return err
		}
		if err := precondition(in.Precondition, "boot profile "+in.Name, p.Revision); err != nil {
			return err
		}
		n, err := tx.InstallationsBy(in.Name)
		if err != nil {
			return err
		}
		if n > 0 {
			return metal.Errorf(metal.Conflict, "cannot delete boot profile %s: %d machines install by it now; wait, or forget their installations", in.Name, n)
		}
		return tx.DeleteBootProfile(in.Name)
	})
}

// ListInstallations lists what boot profiles install.
func (f *Fleet) ListInstallations(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.Installation], error) {
	return list(ctx, f, in, func(tx *store.Tx) ([]metal.Installation, error) {
		return tx.Installations(in.After, limitOf(in.Page), in.Names)
	}, func(i metal.Installation) string { return string(i.MAC) })
}

// DeleteInstallation forgets an installation: the machine may install again.
func (f *Fleet) DeleteInstallation(ctx context.Context, in api.ByMAC) (api.None, error) {
	mac, err := metal.ParseMAC(in.MAC)
	if err != nil {
		return api.None{}, err
	}
	return api.None{}, f.cfg.DB.Update(ctx, func(tx *store.Tx) error { return tx.DeleteInstallation(mac) })
}
