package disk

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Choose returns the disk to write an image of rawBytes to. want is a kernel name, with or without /dev/, a serial
// number or a WWN; empty means the smallest disk that fits and is neither removable nor read-only, and of equal ones
// the first by name. The error says which disks there are.
func Choose(disks []metal.Disk, want string, rawBytes int64) (metal.Disk, error) {
	if want != "" {
		return named(disks, want, rawBytes)
	}
	var fits []metal.Disk
	for _, d := range disks {
		if !d.Removable && !d.ReadOnly && d.Bytes >= rawBytes {
			fits = append(fits, d)
		}
	}
	if len(fits) == 0 {
		return metal.Disk{}, metal.Errorf(metal.Invalid,
			"no disk holds the image of %s that is neither removable nor read-only; the machine has %s", size(rawBytes), describe(disks))
	}
	return slices.MinFunc(fits, func(a, b metal.Disk) int {
		return cmp.Or(cmp.Compare(a.Bytes, b.Bytes), strings.Compare(a.Name, b.Name))
	}), nil
}

func named(disks []metal.Disk, want string, rawBytes int64) (metal.Disk, error) {
	var found []metal.Disk
	for _, d := range disks {
		if d.Name == strings.TrimPrefix(want, "/dev/") || d.Serial == want || d.WWN != "" && wwnKey(d.WWN) == wwnKey(want) {
			found = append(found, d)
		}
	}
	switch {
	case len(found) == 0:
		return metal.Disk{}, metal.Errorf(metal.NotFound, "no disk has the name, serial or WWN %q; the machine has %s", want, describe(disks))
	case len(found) > 1:
		return metal.Disk{}, metal.Errorf(metal.Invalid, "%q is not one disk but several: %s; give a name", want, describe(found))
	case found[0].ReadOnly:
		return metal.Disk{}, metal.Errorf(metal.Invalid, "disk %s is read-only; the machine has %s", found[0].Name, describe(disks))
	case found[0].Bytes < rawBytes:
		return metal.Disk{}, metal.Errorf(metal.Invalid, "the image needs %s, disk %s has %s; the machine has %s",
			size(rawBytes), found[0].Name, size(found[0].Bytes), describe(disks))
	}
	return found[0], nil
}

// wwnKey makes the ways to write a WWN equal: 0x5000..., naa.5000..., 5000....
func wwnKey(s string) string {
	s = strings.ToLower(s)
	for _, prefix := range []string{"naa.", "eui.", "uuid.", "0x"} {
		s = strings.TrimPrefix(s, prefix)
	}
	return s
}

func describe(disks []metal.Disk) string {
	if len(disks) == 0 {
		return "no disks"
	}
	var all []string
	for _, d := range disks {
		facts := []string{d.Name, size(d.Bytes)}
		if d.Serial != "" {
			facts = append(facts, "serial "+d.Serial)
		}
		if d.Removable {
			facts = append(facts, "removable")
		}
		if d.ReadOnly {
			facts = append(facts, "read-only")
		}
		all = append(all, strings.Join(facts, " "))
	}
	return strings.Join(all, "; ")
}

// size writes bytes for people, with the exact number beside it so that two close sizes can be told apart.
func size(n int64) string {
	for i, unit := range []string{"TiB", "GiB", "MiB"} {
		if shift := 40 - 10*i; n >= 1<<shift {
			return fmt.Sprintf("%.1f %s (%d bytes)", float64(n)/float64(int64(1)<<shift), unit, n)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}
