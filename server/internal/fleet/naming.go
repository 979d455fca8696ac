package fleet

import (
	"regexp"
	"slices"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// apex is the name of a zone itself within it.
const apex = "@"

// hostLabel is a host name that is one DNS label (RFC 1123, 2.1).
var hostLabel = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// domain returns the DNS domain of a subnet's hosts, without a trailing dot.
func (f *Fleet) domain(s metal.SubnetSpec) string {
	if s.Domain != "" {
		return strings.ToLower(strings.TrimSuffix(s.Domain, "."))
	}
	return f.cfg.Zone
}

// naming writes a machine's address and DNS name into its record.
func (f *Fleet) naming(tx *store.Tx, m *metal.Machine) error {
	list, err := Assigned(tx, m)
	if err != nil {
		return err
	}
	m.Address, m.FQDN = "", ""
	if len(list) == 0 {
		return nil
	}
	s, err := tx.Subnet(list[0].Subnet)
	if err != nil {
		return err
	}
	m.Address, m.FQDN = list[0].Addr.String(), m.Spec.Name+"."+f.domain(s.Spec)
	return nil
}

// nameDevice writes a device's DNS name into its record: of its own domain, else of its first subnet's.
func (f *Fleet) nameDevice(tx *store.Tx, d *metal.Device) error {
	d.FQDN = ""
	if len(d.Addresses) == 0 {
		return nil
	}
	domain := strings.ToLower(strings.TrimSuffix(d.Spec.Domain, "."))
	if domain == "" {
		s, err := tx.Subnet(d.Addresses[0].Subnet)
		if err != nil {
			return err
		}
		domain = f.domain(s.Spec)
	}
	d.FQDN = d.Name + "." + domain
	return nil
}

// fqdns returns the DNS names that a holder of a host name has.
func (f *Fleet) fqdns(tx *store.Tx, host string, h holder) ([]string, error) {
	var domains []string
	add := func(subnet string) error {
		s, err := tx.Subnet(subnet)
		if err == nil {
			domains = append(domains, f.domain(s.Spec))
		}
		return err
	}
	switch h.kind {
	case aMachine:
		list, err := tx.Assignments(h.id)
		if err != nil {
			return nil, err
		}
		for _, a := range list {
			if err := add(a.Subnet); err != nil {
				return nil, err
			}
		}
		if len(list) == 0 {
			domains = []string{f.cfg.Zone}
		}
	case aDevice:
		d, err := tx.Device(h.id)
		if err != nil || d.FQDN == "" {
			return nil, err
		}
		return []string{d.FQDN}, nil
	case aReservation:
		r, err := tx.Reservation(h.id)
		if err != nil {
			return nil, err
		}
		return []string{r.FQDN}, nil
	case aLease:
		l, err := tx.LeaseAt(h.id, h.addr)
		if err != nil || l == nil || l.State != metal.LeaseActive || !l.ExpiresAt.After(tx.Now) {
			return nil, err
		}
		if err := add(h.id); err != nil {
			return nil, err
		}
	}
	names := make([]string, len(domains))
	for i, d := range domains {
		names[i] = host + "." + d
	}
	return names, nil
}

// unnamed refuses a DNS name of a machine, device or reservation that another one of them has, or that an address or
// alias was declared for.
func (f *Fleet) unnamed(tx *store.Tx, fqdn string, self holder) error {
	host, _, _ := strings.Cut(fqdn, ".")
	for _, h := range f.ledger.holders(host) {
		if h == self || h.kind == aLease { // what a client calls itself takes no name from anybody
			continue
		}
		names, err := f.fqdns(tx, host, h)
		if metal.CodeOf(err) == metal.NotFound { // gone with this transaction
			continue
		}
		if err != nil {
			return err
		}
		if slices.Contains(names, fqdn) {
			return metal.Errorf(metal.Conflict, "the name %s belongs to %s: choose another name, or another domain", fqdn, f.holderName(tx, h))
		}
	}
	zone, name := f.ledger.zoneOf(fqdn)
	if zone == "" {
		return nil
	}
	sets, err := tx.RecordSetsAt(zone, name)
	if err != nil {
		return err
	}
	for _, r := range sets {
		if r.Type == "A" || r.Type == "AAAA" || r.Type == "CNAME" {
			return metal.Errorf(metal.Conflict, "the name %s has %s records of its own in zone %s: choose another name, or delete those first", fqdn, r.Type, zone)
		}
	}
	return nil
}

// holderName says in words who has a host name.
func (f *Fleet) holderName(tx *store.Tx, h holder) string {
	switch h.kind {
	case aMachine:
		return f.owner(tx, metal.Assignment{MachineID: h.id})
	case aLease:
		return "the lease of " + h.addr.String()
	default:
		return string(h.kind) + " " + h.id
	}
}

// unnamedMachine refuses the DNS names of a machine where another one has them.
func (f *Fleet) unnamedMachine(tx *store.Tx, m *metal.Machine) error {
	self := holder{kind: aMachine, id: m.ID}
	names, err := f.fqdns(tx, m.Spec.Name, self)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := f.unnamed(tx, name, self); err != nil {
			return err
		}
	}
	return nil
}

// renameAll brings the DNS names in the records of a subnet's machines, devices and reservations up to date, and
// refuses the change of its domain where one of them is another's.
func (f *Fleet) renameAll(tx *store.Tx, s *metal.Subnet) error {
	held, err := tx.AssignmentsIn(s.Name)
	if err != nil {
		return err
	}
	devices := map[string]bool{}
	for _, a := range held {
		switch {
		case a.MachineID != "":
			err = f.renameMachine(tx, a.MachineID)
		case a.Device != "" && !devices[a.Device]:
			devices[a.Device] = true
			err = f.renameDevice(tx, a.Device)
		}
		if err != nil {
			return err
		}
	}
	reservations, err := tx.ReservationsIn(s.Name)
	if err != nil {
		return err
	}
	for i := range reservations {
		r := &reservations[i]
		if r.Spec.Hostname == "" {
			continue
		}
		r.FQDN = r.Spec.Hostname + "." + f.domain(s.Spec)
		if err := f.unnamed(tx, r.FQDN, holder{kind: aReservation, id: r.Name}); err != nil {
			return err
		}
		if err := tx.PutReservation(r); err != nil {
			return err
		}
	}
	return nil
}

func (f *Fleet) renameMachine(tx *store.Tx, id string) error {
	m, err := tx.Machine(id)
	if err != nil {
		return err
	}
	was := m.FQDN
	if err := f.naming(tx, m); err != nil {
		return err
	}
	if err := f.unnamedMachine(tx, m); err != nil || m.FQDN == was {
		return err
	}
	return tx.SaveMachine(m)
}

func (f *Fleet) renameDevice(tx *store.Tx, name string) error {
	d, err := tx.Device(name)
	if err != nil {
		return err
	}
	was := d.FQDN
	if err := f.nameDevice(tx, d); err != nil || d.FQDN == was {
		return err
	}
	if err := f.unnamed(tx, d.FQDN, holder{kind: aDevice, id: name}); err != nil {
		return err
	}
	return tx.PutDevice(d)
}
