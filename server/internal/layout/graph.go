package layout

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// kind is what sort of device an element makes.
type kind string

const (
	aDisk      kind = "disk"
	aPartition kind = "partition"
	anArray    kind = "array"
	aGroup     kind = "volume group"
	aVolume    kind = "logical volume"
	anEncrypt  kind = "encrypted volume"
)

// A device is one element of a layout. Exactly one of the pointers is set, by kind.
type device struct {
	name, at string
	kind     kind
	from     []string // names of what it is made of
	below    []*device
	above    []*device
	user     string // what takes it as a whole; empty while it is free
	preserve bool
	wanted   bool // preserve was declared for it, and not concluded
	bytes    int64
	start    int64 // of a partition
	number   int   // of a partition
	member   int64 // bytes of data on each device of an array
	chunk    int64 // of an array; 0 for level 1

	disk      *metal.Disk
	partition *metal.StoragePartition
	array     *metal.StorageRAID
	volume    *metal.StorageLogicalVolume
	encrypt   *metal.StorageEncryption
	key       string
	fs        *filesystem
	swap      string // where the swap space on it is declared; empty for none
}

// filesystem is a declared one, with what the plan adds.
type filesystem struct {
	metal.StorageFilesystem
	at string
}

// graph is a layout: devices in the order they were declared, and after sort in the order they are made.
type graph struct {
	request Request
	devices []*device
	byName  map[string]*device
	fs      []*filesystem
	swaps   []swap
	esps    []*device // in the order of their disks
	bios    []*device // disks with a bios_boot partition that the machine starts from
}

type swap struct{ at, device string }

// source is a set of elements, and how messages call them: the declaration, or what its layout stands for.
type source struct {
	spec   metal.StorageSpec
	prefix string
}

// Names end up in partition labels (36 characters), md, LVM and the device mapper: what all of them take.
var nameText = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)

// add puts elements into the graph.
func (g *graph) add(from source, taken []metal.Disk, free *picker) error {
	s, first := from.spec, len(g.devices)
	at := func(list string, i int, name string) string {
		if from.prefix == "storage." {
			return fmt.Sprintf("storage.%s[%d] (%s)", list, i, name)
		}
		return fmt.Sprintf("%s%s %s", from.prefix, strings.TrimSuffix(list, "s"), name)
	}
	if from.prefix != "storage." {
		for i := range taken {
			g.devices = append(g.devices, &device{name: diskName(i), at: "storage.disk", kind: aDisk, disk: &taken[i], bytes: taken[i].Bytes})
		}
	}
	for i, d := range s.Disks {
		if from.prefix != "storage." {
			break
		}
		where := at("disks", i, d.Name)
		if d.Rule.Count > 1 {
			return refuse(where+".rule.count", "a disk of disks is one disk, not %d; write one entry for each", d.Rule.Count)
		}
		found, err := free.pick(where+".rule", d.Rule, "", 1)
		if err != nil {
			return err
		}
		g.devices = append(g.devices, &device{name: d.Name, at: where, kind: aDisk, disk: &found[0], bytes: found[0].Bytes})
	}
	for i := range s.Partitions {
		p := &s.Partitions[i]
		g.devices = append(g.devices, &device{name: p.Name, at: at("partitions", i, p.Name), kind: aPartition, from: []string{p.Disk}, partition: p, wanted: p.Preserve})
	}
	for i := range s.RAIDs {
		a := &s.RAIDs[i]
		g.devices = append(g.devices, &device{name: a.Name, at: at("raids", i, a.Name), kind: anArray, from: append(a.Devices[:len(a.Devices):len(a.Devices)], a.Spares...), array: a})
	}
	for i, v := range s.VolumeGroups {
		g.devices = append(g.devices, &device{name: v.Name, at: at("volume_groups", i, v.Name), kind: aGroup, from: v.Devices})
	}
	for i := range s.LogicalVolumes {
		v := &s.LogicalVolumes[i]
		g.devices = append(g.devices, &device{name: v.Name, at: at("logical_volumes", i, v.Name), kind: aVolume, from: []string{v.VolumeGroup}, volume: v, wanted: v.Preserve})
	}
	for i := range s.Encrypted {
		e := &s.Encrypted[i]
		key := e.Name
		if from.prefix != "storage." {
			key = layoutKey
		}
		g.devices = append(g.devices, &device{name: e.Name, at: at("encrypted", i, e.Name), kind: anEncrypt, from: []string{e.Device}, encrypt: &e.StorageEncryption, key: key})
	}
	for i, f := range s.Filesystems {
		g.fs = append(g.fs, &filesystem{f, at("filesystems", i, f.Device)})
	}
	for i, w := range s.Swaps {
		g.swaps = append(g.swaps, swap{at("swaps", i, w.Device), w.Device})
	}
	return g.name(g.devices[first:])
}

// name enters devices by their names.
func (g *graph) name(added []*device) error {
	for _, d := range added {
		if !nameText.MatchString(d.name) {
			return refuse(d.at+".name", "%q is not a name: a small letter, then up to 31 small letters, digits, - and _", d.name)
		}
		if d.name == "all" || d.name == "control" || d.kind == aGroup && strings.HasPrefix(d.name, "md") {
			return refuse(d.at+".name", "the kernel uses the name %s itself; take another", d.name)
		}
		if other := g.byName[d.name]; other != nil {
			return refuse(d.at+".name", "%s has the name %s already", other.at, d.name)
		}
		g.byName[d.name] = d
	}
	return nil
}
