package ipam

import (
	"net/netip"
	"slices"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Unfit says why nobody may have an address of a subnet as his own: metal.Invalid for what is no host's address there,
// metal.Conflict for one that is a server's; nil when somebody may. Own are addresses of the server itself.
func Unfit(s metal.SubnetSpec, own []netip.Addr, a netip.Addr) error {
	first, last, _ := Usable(s)
	switch {
	case a.Zone() != "" || !s.CIDR.Contains(a):
		return metal.Errorf(metal.Invalid, "%s is not in %s: choose one from %s to %s", a, s.CIDR, first, last)
	case a.Less(first) || last.Less(a):
		return metal.Errorf(metal.Invalid, "%s is no host's address in %s: choose one from %s to %s", a, s.CIDR, first, last)
	case a == s.Gateway:
		return metal.Errorf(metal.Conflict, "%s is the gateway: choose another address", a)
	case slices.Contains(own, a):
		return metal.Errorf(metal.Conflict, "%s is metald's own: choose another address", a)
	case slices.Contains(s.DNS, a):
		return metal.Errorf(metal.Conflict, "%s is a name server that the subnet names: choose another address", a)
	case slices.Contains(s.NTP, a):
		return metal.Errorf(metal.Conflict, "%s is a time server that the subnet names: choose another address", a)
	}
	return nil
}
