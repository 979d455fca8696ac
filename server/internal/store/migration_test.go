package store

import (
	"database/sql"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pressly/goose/v3"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// atSchema makes a database of an old schema with rows in it.
func atSchema(t *testing.T, version int64, rows ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "metald.db")
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	p, err := goose.NewProvider(goose.DialectSQLite3, db, os.DirFS("migrations"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if _, err := db.ExecContext(t.Context(), row); err != nil {
			t.Fatalf("%s: %v", row, err)
		}
	}
	return path
}

func TestTheNetworkOfASpineIsTakenOver(t *testing.T) {
	path := atSchema(t, 1,
		`INSERT INTO pool VALUES ('default', 1, '{"name":"default"}')`,
		`INSERT INTO subnet VALUES ('boot', 3, '{"name":"boot","spec":{"cidr":"10.0.0.0/24","fabric":"default","dhcp":{"enabled":true,"ranges":[{"first":"10.0.0.100","last":"10.0.0.200"}],"lease_seconds":600}},"use":{"total":0},"revision":3}')`,
		`INSERT INTO subnet VALUES ('storage', 1, '{"name":"storage","spec":{"cidr":"10.1.0.0/24","fabric":"paris","vlan":7,"dhcp":{"lease_seconds":600}},"revision":1}')`,
		`INSERT INTO subnet VALUES ('backup', 1, '{"name":"backup","spec":{"cidr":"10.2.0.0/24","fabric":"paris","vlan":7,"dhcp":{"enabled":false}},"revision":1}')`,
		`INSERT INTO subnet VALUES ('bare', 1, '{"name":"bare","spec":{"cidr":"2001:db8::/64","vlan":9},"revision":1}')`,
		`INSERT INTO machine (id, name, state, pool, uuid, serial, revision, doc) VALUES ('m-1', 'n1', 'ready', 'default', '', '', 1, '{"id":"m-1","state":"ready","spec":{"name":"n1","macs":["02:00:00:00:00:01"],"pool":"default"},"revision":1}')`,
		`INSERT INTO machine_mac VALUES ('02:00:00:00:00:01', 'm-1')`,
		`INSERT INTO assignment VALUES ('boot', x'0A000005', 'm-1', '02:00:00:00:00:01')`,
		`INSERT INTO assignment VALUES ('bare', x'20010DB8000000000000000000000001', 'm-1', '02:00:00:00:00:01')`,
		`INSERT INTO lease VALUES ('boot', x'0A000064', 'c', '02:00:00:00:00:02', 9000000000000000000, '{"subnet":"boot","address":"10.0.0.100","mac":"02:00:00:00:00:02","state":"active","expires_at":"2255-01-01T00:00:00Z"}')`,
	)
	db, err := Open(t.Context(), path, options(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Read(t.Context(), func(tx *Tx) error {
		subnets, err := tx.Subnets("", 10, nil)
		if err != nil {
			return err
		}
		modes := map[string]metal.DHCPMode{}
		for _, s := range subnets {
			modes[s.Name] = s.Spec.DHCP.Mode
		}
		if diff := cmp.Diff(map[string]metal.DHCPMode{"boot": metal.DHCPAuthoritative, "storage": metal.DHCPOff, "backup": metal.DHCPOff, "bare": metal.DHCPOff}, modes); diff != "" {
			t.Errorf("modes (-want +got):\n%s", diff)
		}
		boot, err := tx.Subnet("boot")
		if err != nil {
			return err
		}
		if r := boot.Spec.DHCP.Ranges; boot.Revision != 3 || len(r) != 1 || r[0].First != netip.MustParseAddr("10.0.0.100") || boot.Spec.DHCP.LeaseSeconds != 600 {
			t.Errorf("the rest of a subnet: got %+v", boot)
		}
		fabrics, err := tx.Fabrics("", 10, nil)
		if err != nil {
			return err
		}
		vlans, err := tx.VLANs("", 10, nil)
		if err != nil {
			return err
		}
		names := []string{}
		for _, f := range fabrics {
			names = append(names, f.Name)
			if f.Revision != 1 || f.CreatedAt.IsZero() {
				t.Errorf("fabric: got %+v", f)
			}
		}
		for _, v := range vlans {
			names = append(names, v.Name)
			if v.Spec.MTU != 1500 || v.CreatedAt.IsZero() {
				t.Errorf("VLAN: got %+v", v)
			}
		}
		if diff := cmp.Diff([]string{"default", "paris", "default-9", "paris-7"}, names); diff != "" {
			t.Errorf("fabrics and VLANs (-want +got):\n%s", diff)
		}
		if v, err := tx.VLANByID("paris", 7); err != nil || v.Name != "paris-7" || v.Spec.VID != 7 || v.Spec.Fabric != "paris" {
			t.Errorf("VLAN by its id: got %+v, %v", v, err)
		}
		held, err := tx.Assignments("m-1")
		want := []metal.Assignment{
			{Subnet: "bare", Addr: netip.MustParseAddr("2001:db8::1"), MachineID: "m-1", MAC: "02:00:00:00:00:01"},
			{Subnet: "boot", Addr: netip.MustParseAddr("10.0.0.5"), MachineID: "m-1", MAC: "02:00:00:00:00:01"},
		}
		if diff := cmp.Diff(want, held, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("addresses (-want +got):\n%s", diff)
		}
		leases, err2 := tx.Leases("boot")
		if err2 != nil || len(leases) != 1 {
			t.Errorf("leases: got %v, %v; want one", leases, err2)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(t.Context(), func(tx *Tx) error {
		return tx.PutVLAN(&metal.VLAN{Name: "other", Spec: metal.VLANSpec{Fabric: "paris", VID: 7}})
	})
	if metal.CodeOf(err) != metal.Conflict {
		t.Errorf("an id that was taken over: got %v; want a conflict", err)
	}
	if kept, err := filepath.Glob(path + ".before-*"); err != nil || len(kept) != 1 {
		t.Errorf("snapshots: got %v, %v; want one", kept, err)
	}
}

func TestASpineWithoutANetworkHasTheDefaultFabric(t *testing.T) {
	db, err := Open(t.Context(), atSchema(t, 1), options(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Read(t.Context(), func(tx *Tx) error {
		fabrics, err := tx.Fabrics("", 10, nil)
		if len(fabrics) != 1 || fabrics[0].Name != metal.DefaultFabric {
			t.Errorf("fabrics: got %+v; want the default one", fabrics)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
