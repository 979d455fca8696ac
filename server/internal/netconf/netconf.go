// Package netconf decides what a declaration of a machine's network means on the NICs that the machine has. It is pure.
package netconf

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// BootName is the name of the NIC the machine boots from, where the declaration gives it no other.
const BootName = "boot0"

// Machine is what is known of the machine that a declaration is for.
type Machine struct {
	NICs []metal.NIC             // as inventoried; none where the machine was never looked at
	Boot metal.MAC               // of the NIC that has the machine's own address
	Own  map[string]netip.Prefix // the machine's address on each subnet, by the subnet's name
}

// An element is one link of a declaration: where it is written, and the links that it is made of.
type element struct {
	path  string
	kind  string
	link  *metal.NetworkLink
	lower []string
	field string // of the lower links, below path
}

// Resolve completes a declaration: every interface has its MAC and a name, the boot NIC is among them, and exactly one
// element is primary. The declaration that is passed in stays as it is. What cannot be is metal.Invalid, with the path
// of the element.
func Resolve(spec metal.NetworkSpec, m Machine) (metal.NetworkSpec, error) {
	out, err := withNICs(spec, m)
	if err != nil {
		return metal.NetworkSpec{}, err
	}
	for i := range out.Bonds {
		if err := checkBond(fmt.Sprintf("network.bonds[%d]", i), &out.Bonds[i]); err != nil {
			return metal.NetworkSpec{}, err
		}
	}
	for i := range out.VLANs {
		if id := out.VLANs[i].ID; id < 1 || id > 4094 {
			return metal.NetworkSpec{}, metal.Errorf(metal.Invalid, "network.vlans[%d].id is %d; it has to be 1 to 4094", i, id)
		}
	}
	for i := range out.Bridges {
		if err := checkBridge(fmt.Sprintf("network.bridges[%d]", i), &out.Bridges[i]); err != nil {
			return metal.NetworkSpec{}, err
		}
	}
	all := elements(&out)
	routes := map[string]string{}
	for _, e := range all {
		if err := checkLink(e.path, e.link, routes); err != nil {
			return metal.NetworkSpec{}, err
		}
	}
	ports, err := checkGraph(all)
	if err != nil {
		return metal.NetworkSpec{}, err
	}
	if err := addOwn(all, m.Own); err != nil {
		return metal.NetworkSpec{}, err
	}
	return out, choosePrimary(&out, all, ports, m.Boot)
}

// addOwn gives elements the machine's addresses on the subnets that they name. One that it has not yet is left out.
func addOwn(all []element, own map[string]netip.Prefix) error {
	taken := map[string]string{}
	for _, e := range all {
		for i, name := range e.link.Subnets {
			path := fmt.Sprintf("%s.subnets[%d]", e.path, i)
			if other, ok := taken[name]; ok {
				return metal.Errorf(metal.Invalid, "%s is %s, as is %s; the machine has one address on a subnet", path, name, other)
			}
			taken[name] = path
			if p, ok := own[name]; ok && !slices.Contains(e.link.Addresses, p.String()) {
				e.link.Addresses = append(slices.Clip(e.link.Addresses), p.String())
			}
		}
	}
	return nil
}

// withNICs copies a declaration, with its interfaces found among the machine's NICs.
func withNICs(spec metal.NetworkSpec, m Machine) (metal.NetworkSpec, error) {
	out := spec
	out.Interfaces = make([]metal.NetworkInterface, 0, len(spec.Interfaces)+1)
	taken := map[metal.MAC]string{}
	for i, nic := range spec.Interfaces {
		path := fmt.Sprintf("network.interfaces[%d]", i)
		found, err := find(path, nic, m)
		if err != nil {
			return out, err
		}
		if other, ok := taken[found.MAC]; ok {
			return out, metal.Errorf(metal.Invalid, "%s is the NIC %s, as is %s", path, found.MAC, other)
		}
		taken[found.MAC] = path
		nic.MAC, nic.NIC = found.MAC, ""
		if nic.Name == "" {
			nic.Name = found.Name
			if found.MAC == m.Boot {
				nic.Name = BootName
			}
		}
		out.Interfaces = append(out.Interfaces, nic)
	}
	if _, ok := taken[m.Boot]; !ok {
		out.Interfaces = append(out.Interfaces, metal.NetworkInterface{NetworkLink: metal.NetworkLink{Name: BootName}, MAC: m.Boot})
	}
	out.Bonds = append([]metal.NetworkBond(nil), spec.Bonds...)
	out.VLANs = append([]metal.NetworkVLAN(nil), spec.VLANs...)
	out.Bridges = append([]metal.NetworkBridge(nil), spec.Bridges...)
	return out, nil
}

func find(path string, nic metal.NetworkInterface, m Machine) (metal.NIC, error) {
	if (nic.MAC == "") == (nic.NIC == "") {
		return metal.NIC{}, metal.Errorf(metal.Invalid, "%s needs either mac or nic, to say which NIC it is", path)
	}
	mac := nic.MAC
	for _, n := range m.NICs {
		if mac != "" && n.MAC == mac || mac == "" && n.Name == nic.NIC {
			return n, nil
		}
	}
	switch {
	case mac != "" && mac == m.Boot:
		return metal.NIC{MAC: mac}, nil
	case mac != "":
		return metal.NIC{}, metal.Errorf(metal.Invalid, "%s: the machine has no NIC with the MAC address %s", path, mac)
	default:
		return metal.NIC{}, metal.Errorf(metal.Invalid, "%s: the machine has no NIC called %q; metal_machine_inventory lists those it has", path, nic.NIC)
	}
}

// elements lists all links of a declaration; they point into it.
func elements(s *metal.NetworkSpec) []element {
	var all []element
	for i := range s.Interfaces {
		all = append(all, element{path: fmt.Sprintf("network.interfaces[%d]", i), kind: "interface", link: &s.Interfaces[i].NetworkLink})
	}
	for i := range s.Bonds {
		b := &s.Bonds[i]
		all = append(all, element{fmt.Sprintf("network.bonds[%d]", i), "bond", &b.NetworkLink, b.Interfaces, "interfaces"})
	}
	for i := range s.VLANs {
		v := &s.VLANs[i]
		all = append(all, element{fmt.Sprintf("network.vlans[%d]", i), "vlan", &v.NetworkLink, []string{v.Link}, "link"})
	}
	for i := range s.Bridges {
		b := &s.Bridges[i]
		all = append(all, element{fmt.Sprintf("network.bridges[%d]", i), "bridge", &b.NetworkLink, b.Interfaces, "interfaces"})
	}
	return all
}

// choosePrimary makes the boot NIC primary where no element is said to be.
func choosePrimary(s *metal.NetworkSpec, all []element, ports map[string]string, boot metal.MAC) error {
	first := ""
	for _, e := range all {
		switch {
		case !e.link.Primary:
		case first != "":
			return metal.Errorf(metal.Invalid, "%s is primary, as is %s; the machine has one address of its own", e.path, first)
		default:
			first = e.path
		}
	}
	if first != "" {
		return nil
	}
	for i := range s.Interfaces {
		if n := &s.Interfaces[i]; n.MAC == boot {
			if port, ok := ports[n.Name]; ok {
				return metal.Errorf(metal.Invalid, "network: the NIC that the machine boots from is %s, so it cannot have the machine's own address; set primary at the element that gets it", port)
			}
			n.Primary = true
		}
	}
	return nil
}
