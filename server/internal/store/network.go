package store

import (
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Fabric reads one fabric; metal.NotFound.
func (tx *Tx) Fabric(name string) (*metal.Fabric, error) {
	return document[metal.Fabric](tx, "fabric "+name, "SELECT doc FROM fabric WHERE name = $1", name)
}

// Fabrics lists fabrics by name; only: nil for all.
func (tx *Tx) Fabrics(after string, limit int, only []string) ([]metal.Fabric, error) {
	return pageOf[metal.Fabric](tx, "fabric", "name", after, limit, only)
}

// PutFabric inserts or replaces a fabric, and raises its revision.
func (tx *Tx) PutFabric(f *metal.Fabric) error {
	f.Revision++
	if f.CreatedAt.IsZero() {
		f.CreatedAt = tx.Now
	}
	return tx.put("fabric", f.Name, f.Revision, f)
}

// DeleteFabric removes a fabric; metal.Conflict while VLANs are on it. Its subnets are the caller's to look for.
func (tx *Tx) DeleteFabric(name string) error { return tx.remove("fabric", name) }

// Space reads one space; metal.NotFound.
func (tx *Tx) Space(name string) (*metal.Space, error) {
	return document[metal.Space](tx, "space "+name, "SELECT doc FROM space WHERE name = $1", name)
}

// Spaces lists spaces by name; only: nil for all.
func (tx *Tx) Spaces(after string, limit int, only []string) ([]metal.Space, error) {
	return pageOf[metal.Space](tx, "space", "name", after, limit, only)
}

// PutSpace inserts or replaces a space, and raises its revision.
func (tx *Tx) PutSpace(s *metal.Space) error {
	s.Revision++
	if s.CreatedAt.IsZero() {
		s.CreatedAt = tx.Now
	}
	return tx.put("space", s.Name, s.Revision, s)
}

// DeleteSpace removes a space; metal.Conflict while VLANs are in it.
func (tx *Tx) DeleteSpace(name string) error { return tx.remove("space", name) }

// VLAN reads one VLAN by name; metal.NotFound.
func (tx *Tx) VLAN(name string) (*metal.VLAN, error) {
	return document[metal.VLAN](tx, "VLAN "+name, "SELECT doc FROM vlan WHERE name = $1", name)
}

// VLANByID reads the VLAN of a fabric that has an id; metal.NotFound where none was declared.
func (tx *Tx) VLANByID(fabric string, vid int) (*metal.VLAN, error) {
	return document[metal.VLAN](tx, "declared VLAN with this id on fabric "+fabric, "SELECT doc FROM vlan WHERE fabric = $1 AND vid = $2", fabric, vid)
}

// VLANs lists VLANs by name; only: nil for all.
func (tx *Tx) VLANs(after string, limit int, only []string) ([]metal.VLAN, error) {
	return pageOf[metal.VLAN](tx, "vlan", "name", after, limit, only)
}

// PutVLAN inserts or replaces a VLAN, and raises its revision. An id that another VLAN of the fabric has is
// metal.Conflict, as is a fabric or space that does not exist.
func (tx *Tx) PutVLAN(v *metal.VLAN) error {
	v.Revision++
	if v.CreatedAt.IsZero() {
		v.CreatedAt = tx.Now
	}
	doc, err := encode(v)
	if err != nil {
		return err
	}
	var space any
	if v.Spec.Space != "" {
		space = v.Spec.Space
	}
	_, err = tx.exec("VLAN "+v.Name, `INSERT INTO vlan (name, fabric, vid, space, revision, doc) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (name) DO UPDATE SET fabric = excluded.fabric, vid = excluded.vid, space = excluded.space, revision = excluded.revision, doc = excluded.doc`,
		v.Name, v.Spec.Fabric, v.Spec.VID, space, v.Revision, doc)
	kept := *v
	tx.note(Change{VLAN: &kept})
	return err
}

// DeleteVLAN removes a VLAN. Its subnets are the caller's to look for.
func (tx *Tx) DeleteVLAN(name string) error {
	v, err := tx.VLAN(name)
	if err != nil {
		return err
	}
	tx.note(Change{VLAN: v, Gone: true})
	return tx.remove("vlan", name)
}

// Subnet reads one subnet; metal.NotFound. Its use is not counted.
func (tx *Tx) Subnet(name string) (*metal.Subnet, error) {
	return document[metal.Subnet](tx, "subnet "+name, "SELECT doc FROM subnet WHERE name = $1", name)
}

// Subnets lists subnets by name; only: nil for all.
func (tx *Tx) Subnets(after string, limit int, only []string) ([]metal.Subnet, error) {
	return pageOf[metal.Subnet](tx, "subnet", "name", after, limit, only)
}

// PutSubnet inserts or replaces a subnet, and raises its revision.
func (tx *Tx) PutSubnet(s *metal.Subnet) error {
	s.Revision++
	if s.CreatedAt.IsZero() {
		s.CreatedAt = tx.Now
	}
	kept := *s
	tx.note(Change{Subnet: &kept})
	return tx.put("subnet", s.Name, s.Revision, s)
}

// DeleteSubnet removes a subnet with its leases and sightings; metal.Conflict while addresses of it belong to somebody,
// or ranges, reservations or routes name it.
func (tx *Tx) DeleteSubnet(name string) error {
	s, err := tx.Subnet(name)
	if err != nil {
		return err
	}
	tx.note(Change{Subnet: s, Gone: true})
	return tx.remove("subnet", name)
}

// Range reads one range; metal.NotFound.
func (tx *Tx) Range(name string) (*metal.IPRange, error) {
	return document[metal.IPRange](tx, "range "+name, "SELECT doc FROM ip_range WHERE name = $1", name)
}

// Ranges lists ranges by name; only: nil for all.
func (tx *Tx) Ranges(after string, limit int, only []string) ([]metal.IPRange, error) {
	return pageOf[metal.IPRange](tx, "ip_range", "name", after, limit, only)
}

// RangesIn lists the ranges of a subnet by name.
func (tx *Tx) RangesIn(subnet string) ([]metal.IPRange, error) {
	return documents[metal.IPRange](tx, "ranges of "+subnet, "SELECT doc FROM ip_range WHERE subnet = $1 ORDER BY name", subnet)
}

// PutRange inserts or replaces a range, and raises its revision.
func (tx *Tx) PutRange(r *metal.IPRange) error {
	r.Revision++
	if r.CreatedAt.IsZero() {
		r.CreatedAt = tx.Now
	}
	kept := *r
	tx.note(Change{Range: &kept})
	return tx.putIn("ip_range", r.Name, r.Spec.Subnet, r.Revision, r)
}

// DeleteRange removes a range. Leases in it stay until they end.
func (tx *Tx) DeleteRange(name string) error {
	r, err := tx.Range(name)
	if err != nil {
		return err
	}
	tx.note(Change{Range: r, Gone: true})
	return tx.remove("ip_range", name)
}

// StaticRoute reads one route; metal.NotFound.
func (tx *Tx) StaticRoute(name string) (*metal.StaticRoute, error) {
	return document[metal.StaticRoute](tx, "static route "+name, "SELECT doc FROM static_route WHERE name = $1", name)
}

// StaticRoutes lists routes by name; only: nil for all.
func (tx *Tx) StaticRoutes(after string, limit int, only []string) ([]metal.StaticRoute, error) {
	return pageOf[metal.StaticRoute](tx, "static_route", "name", after, limit, only)
}

// StaticRoutesIn lists the routes of a subnet by name.
func (tx *Tx) StaticRoutesIn(subnet string) ([]metal.StaticRoute, error) {
	return documents[metal.StaticRoute](tx, "static routes of "+subnet, "SELECT doc FROM static_route WHERE subnet = $1 ORDER BY name", subnet)
}

// PutStaticRoute inserts or replaces a route, and raises its revision.
func (tx *Tx) PutStaticRoute(r *metal.StaticRoute) error {
	r.Revision++
	if r.CreatedAt.IsZero() {
		r.CreatedAt = tx.Now
	}
	kept := *r
	tx.note(Change{StaticRoute: &kept})
	return tx.putIn("static_route", r.Name, r.Spec.Subnet, r.Revision, r)
}

// DeleteStaticRoute removes a route.
func (tx *Tx) DeleteStaticRoute(name string) error {
	r, err := tx.StaticRoute(name)
	if err != nil {
		return err
	}
	tx.note(Change{StaticRoute: r, Gone: true})
	return tx.remove("static_route", name)
}

// putIn writes a named document that belongs to a subnet.
func (tx *Tx) putIn(table, name, subnet string, revision int64, v any) error {
	doc, err := encode(v)
	if err != nil {
		return err
	}
	_, err = tx.exec(table+" "+name, "INSERT INTO "+table+` (name, subnet, revision, doc) VALUES ($1, $2, $3, $4)
		ON CONFLICT (name) DO UPDATE SET subnet = excluded.subnet, revision = excluded.revision, doc = excluded.doc`, name, subnet, revision, doc)
	return err
}
