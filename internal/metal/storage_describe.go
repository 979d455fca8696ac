package metal

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Describe says in lines for a person what the plan makes of the disks, and what it keeps.
func (p StoragePlan) Describe() []string {
	var lines []string
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for _, d := range p.Disks {
		what := "overwritten"
		if p.Image == nil && !slices.ContainsFunc(p.Actions, func(a StorageAction) bool { return a.Kind == ActionWipe && a.Name == d.Name }) {
			what = "kept in part"
		}
		say("%s is %s: %s", d.Name, d.describe(), what)
	}
	for _, a := range p.Actions {
		if text := a.describe(p.Mounts); text != "" {
			say("%s%s", text, kept(a.Preserve))
		}
		for _, part := range a.Partitions {
			say("%s partition %d %s: %s%s", a.Name, part.Number, part.Name, inWords(part.Bytes), kept(part.Preserve))
		}
	}
	switch {
	case len(p.Boot.Disks) > 0:
		say("boot loader for BIOS on %s", strings.Join(p.Boot.Disks, ", "))
	case len(p.Boot.ESPs) > 0:
		say("boot loader for UEFI in %s", strings.Join(p.Boot.ESPs, ", "))
	}
	return lines
}

func kept(is bool) string {
	if is {
		return ", kept as it is"
	}
	return ""
}

func (d PlannedDisk) describe() string {
	text := fmt.Sprintf("/dev/%s (%s", d.Kernel, inWords(d.Bytes))
	if d.Model != "" {
		text += ", " + d.Model
	}
	if d.Serial != "" {
		text += ", serial " + d.Serial
	}
	return text + ")"
}

// describe is empty for what needs no line of its own.
func (a StorageAction) describe(mounts []PlannedMount) string {
	on := strings.Join(a.Devices, ", ")
	switch a.Kind {
	case ActionRAID:
		text := fmt.Sprintf("array %s: RAID %d of %s, %s", a.Name, a.RAID.Level, on, inWords(a.Bytes))
		if len(a.RAID.Spares) > 0 {
			text += ", spare " + strings.Join(a.RAID.Spares, ", ")
		}
		return text
	case ActionVolumeGroup:
		return fmt.Sprintf("volume group %s: of %s, %s", a.Name, on, inWords(a.Bytes))
	case ActionLogicalVolume:
		return fmt.Sprintf("logical volume %s: %s of %s", a.Name, inWords(a.Bytes), on)
	case ActionEncrypt:
		return fmt.Sprintf("encrypted volume %s: on %s, opened by %s", a.Name, on, a.Encryption.opener())
	case ActionFilesystem:
		text := fmt.Sprintf("%s on %s", a.Filesystem.Type, on)
		var paths []string
		for _, m := range mounts {
			if m.Device == a.Name {
				paths = append(paths, m.Path)
			}
		}
		if len(paths) > 0 {
			text += ", mounted on " + strings.Join(paths, ", ")
		}
		return text
	case ActionSwap:
		return "swap on " + on
	default:
		return ""
	}
}

func (e *PlannedEncryption) opener() string {
	switch {
	case e.Random:
		return "a new key at each start"
	case e.TPM2:
		if len(e.PCRs) == 0 {
			return "the TPM"
		}
		var list []string
		for _, r := range e.PCRs {
			list = append(list, strconv.Itoa(r))
		}
		return "the TPM (PCR " + strings.Join(list, ", ") + ")"
	default:
		return "its key, asked for on the console"
	}
}

// inWords writes bytes for a person, rounded down to two digits behind the point.
func inWords(n int64) string {
	names, unit, i := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}, int64(1), 0
	for ; n/unit >= 1024 && i < len(names)-1; i++ {
		unit *= 1024
	}
	text := strconv.FormatFloat(float64(n/unit)+float64(n%unit*100/unit)/100, 'f', -1, 64)
	return text + " " + names[i]
}
