package layout

import (
	"slices"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// of says which kinds of devices each kind can be made of, and how its field is called.
func of(k kind) (kinds []kind, field string) {
	switch k {
	case aPartition:
		return []kind{aDisk}, "disk"
	case anArray:
		return []kind{aDisk, aPartition}, "devices"
	case aGroup:
		return []kind{aDisk, aPartition, anArray, anEncrypt}, "devices"
	case aVolume:
		return []kind{aGroup}, "volume_group"
	case anEncrypt:
		return []kind{aDisk, aPartition, anArray, aVolume}, "device"
	default:
		return nil, ""
	}
}

// members is the fewest active devices of an array; 0 for a level that there is not.
func members(level int) int {
	switch level {
	case 0, 1:
		return 2
	case 5, 10:
		return 3
	case 6:
		return 4
	default:
		return 0
	}
}

// connect resolves every reference, and sees that each device is used once and in a way that makes sense.
func (g *graph) connect() error {
	for _, d := range g.devices {
		if err := g.connectDevice(d); err != nil {
			return err
		}
	}
	for _, d := range g.devices {
		if err := sound(d); err != nil {
			return err
		}
	}
	for _, f := range g.fs {
		d, err := g.take(f.at, f.Device)
		if err != nil {
			return err
		}
		d.fs = f
	}
	for _, s := range g.swaps {
		d, err := g.take(s.at, s.device)
		if err != nil {
			return err
		}
		d.swap = s.at
	}
	for _, d := range g.devices {
		if d.encrypt != nil && d.encrypt.Random && d.swap == "" {
			return refuse(d.at+".random", "a new key at each start loses the content: it is for swap only")
		}
	}
	return nil
}

func (g *graph) connectDevice(d *device) error {
	kinds, field := of(d.kind)
	if d.kind != aDisk && len(d.from) == 0 {
		return refuse(d.at+"."+field, "there is none; name at least one")
	}
	for _, name := range d.from {
		below := g.byName[name]
		switch {
		case below == nil:
			return refuse(d.at+"."+field, "there is no device %q; declare it, or correct the name", name)
		case !slices.Contains(kinds, below.kind):
			return refuse(d.at+"."+field, "%s is a %s, and a %s is made of %s", name, below.kind, d.kind, oneOf(kinds))
		case slices.Contains(d.below, below):
			return refuse(d.at+"."+field, "%s is in it twice", name)
		}
		shared := d.kind == aPartition || d.kind == aVolume
		if below.user != "" && (!shared || below.user != string(d.kind)) {
			return refuse(d.at+"."+field, "%s is used by %s already", name, user(below))
		}
		if below.partition != nil && below.partition.Use != "" {
			return refuse(d.at+"."+field, "%s is for the firmware (%s), and for nothing else", name, below.partition.Use)
		}
		below.user = d.at
		if shared {
			below.user = string(d.kind)
		}
		d.below, below.above = append(d.below, below), append(below.above, d)
	}
	return nil
}

// user says in words what takes a device.
func user(d *device) string {
	switch d.user {
	case string(aPartition):
		return "its partitions"
	case string(aVolume):
		return "its logical volumes"
	default:
		return d.user
	}
}

func oneOf(kinds []kind) string {
	var list []string
	for _, k := range kinds {
		list = append(list, string(k)+"s")
	}
	return strings.Join(list, ", ")
}

// take gives a device to a file system or swap.
func (g *graph) take(at, name string) (*device, error) {
	d := g.byName[name]
	switch {
	case d == nil:
		return nil, refuse(at+".device", "there is no device %q; declare it, or correct the name", name)
	case d.kind == aGroup:
		return nil, refuse(at+".device", "%s is a volume group; make a logical volume in it", name)
	case d.user != "":
		return nil, refuse(at+".device", "%s is used by %s already", name, user(d))
	}
	d.user = at
	return d, nil
}

// sound checks what a device says of itself.
func sound(d *device) error {
	switch d.kind {
	case aPartition:
		if !slices.Contains([]string{"", "esp", "bios_boot"}, d.partition.Use) {
			return refuse(d.at+".use", "%q is neither esp nor bios_boot", d.partition.Use)
		}
	case anArray:
		return soundArray(d)
	case anEncrypt:
		return soundEncryption(d.at, d.encrypt)
	}
	return nil
}

func soundArray(d *device) error {
	least := members(d.array.Level)
	if least == 0 {
		return refuse(d.at+".level", "there is no RAID level %d; it is one of 0, 1, 5, 6 and 10", d.array.Level)
	}
	if n := len(d.array.Devices); n < least {
		return refuse(d.at+".devices", "RAID %d needs at least %d devices, and has %d", d.array.Level, least, n)
	}
	if d.array.Level == 0 && len(d.array.Spares) > 0 {
		return refuse(d.at+".spares", "RAID 0 has nothing that a spare could replace")
	}
	if d.array.Chunk != "" && d.array.Level == 1 {
		return refuse(d.at+".chunk", "RAID 1 has no chunks")
	}
	on := map[*device]string{}
	for _, m := range d.below {
		disk := m
		if m.kind == aPartition {
			disk = m.below0()
		}
		if other := on[disk]; other != "" && disk != nil {
			return refuse(d.at+".devices", "%s and %s are on the same disk, %s: losing it loses both", other, m.name, disk.name)
		}
		on[disk] = m.name
	}
	return nil
}

// below0 is the one device that this one is cut out of; nil when the reference did not resolve.
func (d *device) below0() *device {
	if len(d.below) == 0 {
		return nil
	}
	return d.below[0]
}

func soundEncryption(at string, e *metal.StorageEncryption) error {
	if e.Random && (e.TPM2 || e.KeyID != "") {
		return refuse(at+".random", "a new key at each start is neither given nor kept in a TPM")
	}
	if !e.Random && !e.TPM2 && e.KeyID == "" {
		return refuse(at, "nothing opens it; set tpm2, or give a key")
	}
	if len(e.PCRs) > 0 && !e.TPM2 {
		return refuse(at+".pcrs", "these are registers of the TPM; set tpm2 as well")
	}
	for i, p := range e.PCRs {
		if p < 0 || p > 23 || slices.Contains(e.PCRs[:i], p) {
			return refuse(at+".pcrs", "%d is not one of the registers 0 to 23, or is there twice", p)
		}
	}
	return nil
}

// sort puts the devices in the order in which they can be made, keeping the declared order where there is a choice.
func (g *graph) sort() error {
	var sorted []*device
	state := map[*device]int{} // 1: its ground is being looked at, 2: done
	var visit func(d *device) error
	visit = func(d *device) error {
		switch state[d] {
		case 1:
			return refuse(d.at, "it is made of itself, by way of %s", strings.Join(d.from, ", "))
		case 2:
			return nil
		}
		state[d] = 1
		for _, b := range d.below {
			if err := visit(b); err != nil {
				return err
			}
		}
		state[d] = 2
		sorted = append(sorted, d)
		return nil
	}
	for _, k := range []kind{aDisk, aPartition, anArray, anEncrypt, aGroup, aVolume} {
		for _, d := range g.devices {
			if d.kind != k {
				continue
			}
			if err := visit(d); err != nil {
				return err
			}
		}
	}
	g.devices = sorted
	return nil
}
