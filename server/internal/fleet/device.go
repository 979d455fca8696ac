package fleet

import (
	"context"
	"reflect"
	"slices"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
	"github.com/metalform/terraform-provider-metal/server/internal/zone"
)

// ListDevices lists devices.
func (f *Fleet) ListDevices(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.Device], error) {
	return list(ctx, f, in, func(tx *store.Tx) ([]metal.Device, error) { return tx.Devices(in.After, limitOf(in.Page), in.Names) },
		func(d metal.Device) string { return d.Name })
}

// GetDevice reads a device.
func (f *Fleet) GetDevice(ctx context.Context, in api.ByName) (metal.Device, error) {
	return get(ctx, f, func(tx *store.Tx) (*metal.Device, error) { return tx.Device(in.Name) })
}

// PutDevice makes or changes a device.
func (f *Fleet) PutDevice(ctx context.Context, in api.PutDeviceRequest) (out metal.Device, err error) {
	spec := in.Body
	if err := completeDevice(in.Name, &spec); err != nil {
		return out, err
	}
	plan := func(tx *store.Tx) (wants []want, err error) {
		d, err := tx.Device(in.Name)
		if d, err = orNew(d, err, metal.Device{}); err != nil {
			return nil, err
		}
		// An address that is asked for is what the device has already, often by hand: that it answers is no conflict.
		for i, kept := range keep(d, spec) {
			if iface := spec.Interfaces[i]; kept == nil && iface.Subnet != "" && !iface.Addr.IsValid() {
				wants = append(wants, want{subnet: iface.Subnet})
			}
		}
		return wants, nil
	}
	err = f.allocate(ctx, plan, func(tx *store.Tx, p *picks) error {
		d, err := tx.Device(in.Name)
		if d, err = orNew(d, err, metal.Device{Name: in.Name, Addresses: []metal.Assignment{}}); err != nil {
			return err
		}
		if err := precondition(in.Precondition, "device "+in.Name, d.Revision); err != nil {
			return err
		}
		if d.Revision == 0 || !reflect.DeepEqual(d.Spec, spec) {
			if err := f.putDevice(tx, d, spec, p); err != nil {
				return err
			}
		}
		out = *d
		return nil
	})
	return out, err
}

func completeDevice(name string, spec *metal.DeviceSpec) error {
	if !hostLabel.MatchString(name) {
		return metal.Errorf(metal.Invalid, "%q cannot be a device's name, which is its host name: use one label of letters, digits and hyphens", name)
	}
	spec.Domain = strings.ToLower(strings.TrimSuffix(spec.Domain, "."))
	if spec.Domain != "" {
		if err := zone.CheckName(spec.Domain); err != nil {
			return err
		}
	}
	seen := map[metal.MAC]bool{}
	for _, i := range spec.Interfaces {
		switch {
		case i.MAC == "" && i.Subnet == "":
			return metal.Errorf(metal.Invalid, "an interface of device %s has neither a MAC address nor a subnet: give one", name)
		case i.Subnet == "" && i.Addr.IsValid():
			return metal.Errorf(metal.Invalid, "address %s of device %s is in no subnet: name the subnet", i.Addr, name)
		case i.MAC != "" && seen[i.MAC]:
			return metal.Errorf(metal.Invalid, "device %s has MAC address %s twice", name, i.MAC)
		}
		seen[i.MAC] = true
	}
	slices.Sort(spec.Tags)
	spec.Tags = slices.Compact(spec.Tags)
	return nil
}

// keep says which address each interface of a spec has already: that of the interface with its MAC address, or at its
// place where it has none, in the same subnet and not another one than is asked for; nil for none.
func keep(d *metal.Device, spec metal.DeviceSpec) []*metal.Assignment {
	type had struct {
		iface metal.DeviceInterface
		addr  *metal.Assignment
	}
	var before []had
	next := 0
	for _, i := range d.Spec.Interfaces {
		h := had{iface: i}
		if i.Subnet != "" {
			h.addr = &d.Addresses[next]
			next++
		}
		before = append(before, h)
	}
	kept := make([]*metal.Assignment, len(spec.Interfaces))
	for n, i := range spec.Interfaces {
		at := slices.IndexFunc(before, func(h had) bool { return i.MAC != "" && h.iface.MAC == i.MAC })
		if i.MAC == "" && n < len(before) && before[n].iface.MAC == "" {
			at = n
		}
		if at < 0 || before[at].addr == nil || i.Subnet != before[at].iface.Subnet {
			continue
		}
		if a := before[at].addr; !i.Addr.IsValid() || i.Addr == a.Addr {
			kept[n] = a
		}
	}
	return kept
}

// putDevice stores a device and gives its interfaces their addresses.
func (f *Fleet) putDevice(tx *store.Tx, d *metal.Device, spec metal.DeviceSpec, p *picks) error {
	if err := f.checkNICs(tx, d.Name, spec); err != nil {
		return err
	}
	kept := keep(d, spec)
	for i := range d.Addresses {
		if a := &d.Addresses[i]; !slices.Contains(kept, a) {
			if err := tx.Unassign(a.Subnet, a.Addr); err != nil {
				return err
			}
		}
	}
	addresses, fresh := []metal.Assignment{}, []metal.Assignment{}
	for n, i := range spec.Interfaces {
		switch {
		case kept[n] != nil:
			addresses = append(addresses, *kept[n])
		case i.Subnet != "":
			a, err := f.deviceAddr(tx, d, i, p)
			if err != nil {
				return err
			}
			addresses, fresh = append(addresses, a), append(fresh, a)
		}
	}
	d.Spec, d.Addresses = spec, addresses
	if err := f.nameDevice(tx, d); err != nil {
		return err
	}
	if d.FQDN != "" {
		if err := f.unnamed(tx, d.FQDN, holder{kind: aDevice, id: d.Name}); err != nil {
			return err
		}
	}
	if err := tx.PutDevice(d); err != nil {
		return err
	}
	for _, a := range fresh {
		if err := tx.Assign(a); err != nil {
			return err
		}
	}
	return nil
}

// deviceAddr chooses the address of an interface: the one that is asked for, or the next free one.
func (f *Fleet) deviceAddr(tx *store.Tx, d *metal.Device, i metal.DeviceInterface, p *picks) (metal.Assignment, error) {
	a := metal.Assignment{Subnet: i.Subnet, Addr: i.Addr, Device: d.Name, MAC: i.MAC}
	s, err := subnetOf(tx, "device "+d.Name, i.Subnet)
	if err != nil {
		return a, err
	}
	if i.Addr.IsValid() {
		return a, f.grant(tx, s, i.Addr, i.MAC, "", func(metal.Assignment) bool { return false })
	}
	a.Addr, err = p.take(tx, s)
	return a, err
}

// checkNICs refuses MAC addresses of machines, of other devices, and those that an address is reserved for.
func (f *Fleet) checkNICs(tx *store.Tx, device string, spec metal.DeviceSpec) error {
	for _, i := range spec.Interfaces {
		if i.MAC == "" {
			continue
		}
		m, err := tx.MachineByMAC(i.MAC)
		if err == nil {
			return metal.Errorf(metal.Conflict, "MAC address %s belongs to machine %s (%s)", i.MAC, m.Spec.Name, m.ID)
		}
		if metal.CodeOf(err) != metal.NotFound {
			return err
		}
		other, err := tx.DeviceByMAC(i.MAC)
		if err != nil {
			return err
		}
		if other != nil && other.Name != device {
			return metal.Errorf(metal.Conflict, "MAC address %s belongs to device %s", i.MAC, other.Name)
		}
		if r := f.ledger.reservation(i.Subnet, string(i.MAC)); r != "" {
			return metal.Errorf(metal.Conflict, "reservation %s keeps an address of subnet %s for MAC address %s: delete it, or leave the subnet of this interface away", r, i.Subnet, i.MAC)
		}
	}
	return nil
}

// DeleteDevice forgets a device.
func (f *Fleet) DeleteDevice(ctx context.Context, in api.DeleteByNameRequest) (api.None, error) {
	return api.None{}, f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		d, err := tx.Device(in.Name)
		if err != nil {
			return err
		}
		if err := precondition(in.Precondition, "device "+in.Name, d.Revision); err != nil {
			return err
		}
		return tx.DeleteDevice(in.Name)
	})
}
