// Package link knows which network interfaces of this host are served, and follows them while they come and go: no
// restart is needed for a new VLAN sub-interface, a changed address or a card that was replaced.
//
// A Watcher reads interfaces and addresses by rtnetlink (rtnetlink(7)) and keeps a snapshot that is read without a
// lock. Each runs one service on every interface of the snapshot that can be served.
package link

import (
	"bytes"
	"net"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// A Link is one network interface of the host, as it was at one moment.
type Link struct {
	// Index is the kernel's number of the interface. An interface that is deleted and made anew gets another one.
	Index int
	Name  string
	// Hardware is nil where the interface has none. It must not be modified.
	Hardware net.HardwareAddr
	// VLAN is the 802.1Q identifier, 1 to 4094, of a VLAN sub-interface, and 0 for any other interface.
	VLAN int
	// Up says that the administrator wants the interface to work. It stays true without a carrier, so that a switch that
	// restarts takes no service down.
	Up bool
	// Addrs are the addresses that can be used now, each with the length of its subnet's prefix, sorted. IPv6 addresses
	// that have not passed duplicate address detection (RFC 4862, section 5.4) are not among them. It must not be
	// modified.
	Addrs []netip.Prefix
}

// Equal says whether nothing about the interface differs.
func (l Link) Equal(other Link) bool { return l.sameDevice(other) && l.sameService(other) }

// sameDevice says whether sockets that were opened on other are still good on l.
func (l Link) sameDevice(other Link) bool {
	return l.Index == other.Index && l.Name == other.Name && l.VLAN == other.VLAN && bytes.Equal(l.Hardware, other.Hardware)
}

func (l Link) sameService(other Link) bool {
	return l.Up == other.Up && slices.Equal(l.Addrs, other.Addrs)
}

// served says whether services can run on the interface.
func (l Link) served() bool { return l.Up && len(l.Addrs) > 0 }

// selection is the parsed form of the patterns of New.
type selection struct{ take, leave []string }

// parseSelection refuses patterns that can match nothing.
func parseSelection(patterns []string) (selection, error) {
	var s selection
	for _, pattern := range patterns {
		bare, not := strings.CutPrefix(pattern, "!")
		if _, err := path.Match(bare, ""); err != nil || bare == "" || strings.Contains(bare, "/") {
			return selection{}, metal.Errorf(metal.Invalid,
				`%q is not a pattern for names of interfaces: write a name ("eth1"), a glob ("eth2.*") or a glob to leave out ("!docker*")`, pattern)
		}
		if not {
			s.leave = append(s.leave, bare)
		} else {
			s.take = append(s.take, bare)
		}
	}
	return s, nil
}

// has says whether the interface is selected. The loopback interface is so by its plain name only: whoever writes "*"
// means the network.
func (s selection) has(name string, loopback bool) bool {
	matches := func(pattern string) bool {
		ok, err := path.Match(pattern, name)
		return ok && err == nil && (!loopback || pattern == name)
	}
	return slices.ContainsFunc(s.take, matches) && !slices.ContainsFunc(s.leave, matches)
}
