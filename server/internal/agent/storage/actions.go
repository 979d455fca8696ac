package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// lvmConfig keeps LVM from waiting for udev, which does not run in the RAM environment, and from guessing.
const lvmConfig = `activation{udev_sync=0 udev_rules=0 verify_udev_operations=0} devices{obtain_device_list_from_udev=0 external_device_info_source="none" use_devicesfile=0} backup{backup=0 archive=0}`

// tool runs a program of the tools.
func (v *Volumes) tool(ctx context.Context, input []byte, name string, args ...string) (string, error) {
	return v.Programs.Run(ctx, v.Tools, input, name, args...)
}

func (v *Volumes) lvm(ctx context.Context, command string, args ...string) error {
	_, err := v.tool(ctx, nil, "lvm", append([]string{command, "--config", lvmConfig, "--yes"}, args...)...)
	return err
}

// paths returns those of several devices.
func (v *Volumes) paths(names []string) []string {
	all := make([]string, len(names))
	for i, n := range names {
		all[i] = v.devices[n]
	}
	return all
}

// bare takes leftovers of an earlier system off devices that begin to exist: they come to lie where others were.
func (v *Volumes) bare(ctx context.Context, devices ...string) error {
	for _, d := range devices {
		if err := v.Kernel.Await(ctx, d); err != nil {
			return err
		}
		if _, err := v.tool(ctx, nil, "wipefs", "--all", "--force", d); err != nil {
			return fmt.Errorf("clear %s: %w", d, err)
		}
	}
	return nil
}

func (v *Volumes) partition(ctx context.Context, a metal.StorageAction) error {
	if err := v.Kernel.Partition(ctx, v.devices[a.Name], a.Partitions); err != nil {
		return err
	}
	for _, p := range a.Partitions {
		if p.Preserve {
			continue
		}
		if err := v.bare(ctx, v.devices[p.Name]); err != nil {
			return err
		}
	}
	return nil
}

func (v *Volumes) array(ctx context.Context, a metal.StorageAction) error {
	device, r := v.devices[a.Name], a.RAID
	members := append(v.paths(a.Devices), v.paths(r.Spares)...)
	if a.Preserve {
		if _, err := v.tool(ctx, nil, "mdadm", append([]string{"--assemble", device, "--uuid=" + a.UUID, "--run"}, members...)...); err != nil {
			return fmt.Errorf("put array %s together again: %w", device, err)
		}
		return v.Kernel.Await(ctx, device)
	}
	if err := v.bare(ctx, members...); err != nil {
		return err
	}
	kib := func(bytes int64) string { return strconv.FormatInt(bytes>>10, 10) + "K" }
	args := []string{
		"--create", device, "--run", "--force", "--quiet", "--homehost=any", "--metadata=1.2", "--level=" + strconv.Itoa(r.Level),
		"--uuid=" + a.UUID, "--raid-devices=" + strconv.Itoa(len(a.Devices)),
	}
	if len(r.Spares) > 0 {
		args = append(args, "--spare-devices="+strconv.Itoa(len(r.Spares)))
	}
	if r.Chunk > 0 {
		args = append(args, "--chunk="+kib(r.Chunk))
	}
	if r.DataOffset > 0 {
		args = append(args, "--data-offset="+kib(r.DataOffset))
	}
	if r.Level != 0 {
		// mdadm takes no size for level 0. With a bitmap only what was being written is compared again after a crash.
		args = append(args, "--bitmap=internal")
		if r.MemberBytes > 0 {
			args = append(args, "--size="+kib(r.MemberBytes))
		}
	}
	if _, err := v.tool(ctx, nil, "mdadm", append(args, members...)...); err != nil {
		return fmt.Errorf("make array %s: %w", device, err)
	}
	return v.Kernel.Await(ctx, device)
}

func (v *Volumes) group(ctx context.Context, a metal.StorageAction) error {
	if a.Preserve {
		if err := v.lvm(ctx, "vgchange", "--activate", "y", a.Name); err != nil {
			return fmt.Errorf("take volume group %s in use again: %w", a.Name, err)
		}
		return nil
	}
	members := v.paths(a.Devices)
	if err := v.bare(ctx, members...); err != nil {
		return err
	}
	if err := v.lvm(ctx, "vgcreate", append([]string{"--force", "--physicalextentsize", "4m", a.Name}, members...)...); err != nil {
		return fmt.Errorf("make volume group %s: %w", a.Name, err)
	}
	return nil
}

func (v *Volumes) volume(ctx context.Context, a metal.StorageAction) error {
	if len(a.Devices) != 1 {
		return metal.Errorf(metal.Invalid, "the plan does not say in which one volume group")
	}
	group, device := a.Devices[0], v.devices[a.Name]
	if !a.Preserve {
		// In a volume group that is preserved, an earlier volume of this name is in the way.
		if v.preserved(group) {
			if err := v.dropVolume(ctx, group, a.Name); err != nil {
				return err
			}
		}
		err := v.lvm(ctx, "lvcreate", "--wipesignatures", "y", "--name", a.Name, "--size", strconv.FormatInt(a.Bytes, 10)+"b", group)
		if err != nil {
			return fmt.Errorf("make logical volume %s: %w", device, err)
		}
	}
	return v.Kernel.Await(ctx, device)
}

// preserved says whether the plan keeps a device of an earlier deployment.
func (v *Volumes) preserved(name string) bool {
	for _, a := range v.Plan.Actions {
		if a.Name == name && a.Kind == metal.ActionVolumeGroup {
			return a.Preserve
		}
	}
	return false
}

func (v *Volumes) dropVolume(ctx context.Context, group, name string) error {
	said, err := v.tool(ctx, nil, "lvm", "lvs", "--config", lvmConfig, "--noheadings", "--options", "lv_name", group)
	if err != nil {
		return fmt.Errorf("list the volumes of %s: %w", group, err)
	}
	for line := range strings.Lines(said) {
		if strings.TrimSpace(line) != name {
			continue
		}
		if err := v.lvm(ctx, "lvremove", "--force", group+"/"+name); err != nil {
			return fmt.Errorf("remove the earlier volume %s of %s: %w", name, group, err)
		}
	}
	return nil
}

// encrypt makes and opens a LUKS2 volume. Passphrases go through standard input: a command line is for all to see.
func (v *Volumes) encrypt(ctx context.Context, a metal.StorageAction) error {
	c := a.Encryption
	if c.Random {
		return nil
	}
	if len(a.Devices) != 1 {
		return metal.Errorf(metal.Invalid, "the plan does not say on which one device")
	}
	device, key := v.devices[a.Devices[0]], []byte(v.Keys[c.Key])
	if !a.Preserve {
		if err := v.bare(ctx, device); err != nil {
			return err
		}
		args := []string{"luksFormat", "--batch-mode", "--type", "luks2", "--uuid", a.UUID, "--key-file", "-", device}
		if _, err := v.tool(ctx, key, "cryptsetup", args...); err != nil {
			return fmt.Errorf("encrypt %s: %w", device, err)
		}
		if c.TPM2 {
			if err := v.seal(ctx, device, *c, key); err != nil {
				return err
			}
		}
	}
	if _, err := v.tool(ctx, key, "cryptsetup", "open", "--type", "luks2", "--allow-discards", "--key-file", "-", device, a.Name); err != nil {
		return fmt.Errorf("open the encrypted volume on %s: %w", device, err)
	}
	return v.Kernel.Await(ctx, v.devices[a.Name])
}

// unlockKey is the file among the tools that has a volume's key while it is sealed.
const unlockKey = "unlock-key"

// seal adds a key that only this machine's TPM gives out.
func (v *Volumes) seal(ctx context.Context, device string, c metal.PlannedEncryption, key []byte) error {
	registers := make([]string, len(c.PCRs))
	for i, n := range c.PCRs {
		registers[i] = strconv.Itoa(n)
	}
	// It reads keys from nothing but a file in which it can seek: one in memory, as all of the tools are.
	name := filepath.Join(v.Tools, unlockKey)
	if err := os.WriteFile(name, key, 0o600); err != nil {
		return fmt.Errorf("keep the key of %s for a moment: %w", device, err)
	}
	_, err := v.tool(ctx, nil, "systemd-cryptenroll", "--unlock-key-file=/"+unlockKey, "--tpm2-device=auto", "--tpm2-pcrs="+strings.Join(registers, "+"), device)
	if err = errors.Join(err, os.Remove(name)); err != nil {
		return fmt.Errorf("seal the key of %s to the TPM: %w", device, err)
	}
	return nil
}
