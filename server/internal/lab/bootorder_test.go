package lab

import (
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestFirst(t *testing.T) {
	for _, c := range []struct {
		name string
		plan bootPlan
		want metal.BootDevice
	}{
		{"without an override the network comes first", bootPlan{}, metal.BootNetwork},
		{"an override for the disk puts the disk first", bootPlan{device: metal.BootDisk}, metal.BootDisk},
		{"an override for the network says what is so anyway", bootPlan{device: metal.BootNetwork, once: true}, metal.BootNetwork},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.plan.first(); got != c.want {
				t.Errorf("got %s; want %s", got, c.want)
			}
		})
	}
}

func TestBooted(t *testing.T) {
	for _, c := range []struct {
		name string
		plan bootPlan
		want bootPlan
	}{
		{"a one-time override is used up", bootPlan{device: metal.BootDisk, once: true}, bootPlan{}},
		{"a lasting override stays", bootPlan{device: metal.BootDisk}, bootPlan{device: metal.BootDisk}},
		{"a lasting override counts resets of the next process anew", bootPlan{device: metal.BootDisk, since: 3}, bootPlan{device: metal.BootDisk}},
		{"nothing stays nothing", bootPlan{}, bootPlan{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.plan.booted(); got != c.want {
				t.Errorf("got %+v; want %+v", got, c.want)
			}
		})
	}
}

func TestAfterResets(t *testing.T) {
	once := bootPlan{device: metal.BootDisk, once: true, since: 2}
	lasting := bootPlan{device: metal.BootDisk, since: 2}
	for _, c := range []struct {
		name   string
		plan   bootPlan
		resets int
		want   metal.BootDevice
	}{
		{"a reset from before the override does not use it", once, 2, metal.BootDisk},
		{"the first reset after it does", once, 3, ""},
		{"so do two at once", once, 4, ""},
		{"a lasting override outlives resets", lasting, 9, metal.BootDisk},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.plan.afterResets(c.resets).device; got != c.want {
				t.Errorf("got %q; want %q", got, c.want)
			}
		})
	}
}

func TestTheNICIsNeverAtTheIndexOfADisk(t *testing.T) {
	for _, first := range []metal.BootDevice{metal.BootNetwork, metal.BootDisk} {
		nic := nicIndex(first)
		for d := range 8 {
			disk := diskBase + d
			if nic == disk || (nic < disk) != (first == metal.BootNetwork) {
				t.Errorf("first %s: NIC at %d, disk %d at %d; want the NIC on the other side", first, nic, d, disk)
			}
		}
	}
}
