package fleet_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/fleet"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

func TestLeasesAreListedByPage(t *testing.T) {
	r := start(t)
	r.subnet(t, "a", "10.0.0.0/24")
	r.subnet(t, "b", "10.0.1.0/24")
	var want []string
	for _, subnet := range []string{"a", "b"} {
		for i := range 5 {
			a := addr(fmt.Sprintf("10.0.%d.%d", subnet[0]-'a', 100+i))
			r.lease(t, fmt.Sprint(subnet, i), metal.Lease{Subnet: subnet, Addr: a})
			want = append(want, subnet+" "+a.String())
		}
	}
	r.lease(t, "old", metal.Lease{Subnet: "a", Addr: addr("10.0.0.99"), ExpiresAt: time.Now().Add(-time.Hour)})
	for _, limit := range []int{1, 3, 5, 500} {
		for subnet, want := range map[string][]string{"": want, "a": want[:5], "b": want[5:]} {
			var got []string
			in := api.ListLeasesRequest{Page: api.Page{Limit: limit}, Subnet: subnet}
			for {
				l, err := r.ListLeases(t.Context(), in)
				must(t, err)
				for _, x := range l.Items {
					got = append(got, x.Subnet+" "+x.Addr.String())
				}
				if in.After = l.Next; l.Next == "" {
					break
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%q, %d a page (-want +got):\n%s", subnet, limit, diff)
			}
		}
	}
	_, err := r.ListLeases(t.Context(), api.ListLeasesRequest{Page: api.Page{After: "nonsense"}})
	wantRefusal(t, "behind nothing", err, metal.Invalid, "not the place of a lease")
}

func TestALeaseIsTakenFromItsClient(t *testing.T) {
	r := start(t)
	r.subnet(t, "s", "10.0.0.0/24")
	r.lease(t, "c", metal.Lease{Subnet: "s", Addr: addr("10.0.0.100"), MAC: nicA, Hostname: "laptop"})
	take := func(subnet, a string) error {
		_, err := r.DeleteLease(t.Context(), api.DeleteLeaseRequest{ByName: named(subnet), Address: a})
		return err
	}
	wantRefusal(t, "in no subnet", take("x", "10.0.0.100"), metal.NotFound, "no subnet x")
	wantRefusal(t, "of nobody", take("s", "10.0.0.101"), metal.NotFound, "nobody leases 10.0.0.101")
	wantRefusal(t, "no address", take("s", "hello"), metal.Invalid, "not an address")
	must(t, take("s", "10.0.0.100"))
	wantRefusal(t, "twice", take("s", "10.0.0.100"), metal.NotFound, "nobody leases")
	if use := r.use(t, "s"); use.Leased != 0 {
		t.Errorf("use: got %+v; want none leased", use)
	}
	events, err := r.ListEvents(t.Context(), api.ListEventsRequest{})
	must(t, err)
	if last := events.Items[len(events.Items)-1]; last.Kind != "lease" || !strings.Contains(last.Text, "10.0.0.100 to 02:00:00:00:00:0a (laptop) was taken away by me") {
		t.Errorf("event: got %+v", last)
	}
}

// lines is a lease file of which each line is an address and its client.
type lines struct{ err error }

func (l lines) Import(format, text string) (leases []metal.Lease, refused []string, err error) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			refused = append(refused, "unreadable: "+strings.TrimSpace(line))
			continue
		}
		hours, err := time.ParseDuration(fields[2])
		if err != nil {
			return nil, nil, err
		}
		leases = append(leases, metal.Lease{Addr: addr(fields[0]), MAC: metal.MAC(fields[1]), ExpiresAt: time.Now().Add(hours)})
	}
	return leases, refused, l.err
}

// six is a lease file of DHCPv6, with an address and a prefix of one client.
type six struct{}

func (six) Import(string, string) ([]metal.Lease, []string, error) {
	end := time.Now().Add(time.Hour)
	return []metal.Lease{
		{Addr: addr("2001:db8::100"), ClientID: "000102", IAID: 0x1f, ExpiresAt: end},
		{Addr: addr("2001:db8:100:100::"), Bits: 56, ClientID: "000102", IAID: 0x1f, ExpiresAt: end},
		{Addr: addr("2001:db8:100:200::"), Bits: 60, ClientID: "000103", IAID: 1, ExpiresAt: end},
	}, nil, nil
}

func TestLeasesOfIPv6AreKeptByAssociation(t *testing.T) {
	r := start(t, func(c *fleet.Config) { c.Leases = six{} })
	r.subnet(t, "six", "2001:db8::/64", serves, func(s *metal.SubnetSpec) {
		s.DHCP.Ranges = []metal.AddrRange{rng("2001:db8::100", "2001:db8::1ff")}
		s.DHCP.Delegation = &metal.PrefixPool{CIDR: netip.MustParsePrefix("2001:db8:100::/40"), Length: 56}
	})
	got, err := r.ImportLeases(t.Context(), api.ImportLeasesRequest{})
	if err != nil || got.Taken != 2 || len(got.Refused) != 1 {
		t.Errorf("got %+v, %v; want the address and the prefix of the length that is delegated", got, err)
	}
	must(t, r.db.Read(t.Context(), func(tx *store.Tx) error {
		for client, want := range map[string]string{"000102/na/0000001f": "2001:db8::100", "000102/pd/0000001f": "2001:db8:100:100::"} {
			if l, err := tx.LeaseOf("six", client); err != nil || l == nil || l.Addr.String() != want {
				t.Errorf("%s: got %+v, %v; want %s", client, l, err, want)
			}
		}
		return nil
	}))
}

func TestLeasesOfAnotherServerAreTakenOver(t *testing.T) {
	r := start(t, func(c *fleet.Config) { c.Leases = lines{} })
	r.subnet(t, "s", "10.0.0.0/24", serves, func(s *metal.SubnetSpec) { s.DHCP.Ranges = []metal.AddrRange{rng("10.0.0.100", "10.0.0.150")} })
	r.subnet(t, "off", "10.0.1.0/24", func(s *metal.SubnetSpec) { s.DHCP.Ranges = []metal.AddrRange{rng("10.0.1.100", "10.0.1.150")} })
	_, err := r.reserve(t, "kept", metal.ReservationSpec{Subnet: "s", Addr: addr("10.0.0.101")})
	must(t, err)
	r.lease(t, string(nicC), metal.Lease{Subnet: "s", Addr: addr("10.0.0.102"), MAC: nicC})
	file := strings.Join([]string{
		"10.0.0.100 02:00:00:00:00:0a 1h", "10.0.0.103 02:00:00:00:00:0b -1h", "10.0.0.101 02:00:00:00:00:0d 1h",
		"10.0.0.102 02:00:00:00:00:0e 1h", "10.0.0.9 02:00:00:00:00:0f 1h", "10.0.1.100 02:00:00:00:00:10 1h",
		"10.9.0.1 02:00:00:00:00:11 1h", "hello", "10.0.0.102 02:00:00:00:00:0c 2h",
	}, "\n")
	want := api.ImportedLeases{Taken: 2, Expired: 1, Refused: []string{
		"unreadable: hello", "10.0.0.101: it belongs to reservation kept", "10.0.0.102: it is leased to 02:00:00:00:00:0c",
		"10.0.0.9: it is in no dynamic range of subnet s", "10.0.1.100: metald serves no DHCP in subnet off", "10.9.0.1: it is in no subnet",
	}}
	for _, dry := range []bool{true, false} {
		got, err := r.ImportLeases(t.Context(), api.ImportLeasesRequest{Body: api.ImportLeasesBody{Format: "isc", Text: file, DryRun: dry}})
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("dry run %t (-want +got):\n%s", dry, diff)
		}
		held := map[string]string{}
		must(t, r.db.Read(t.Context(), func(tx *store.Tx) error {
			list, err := tx.Leases("s")
			for _, l := range list {
				held[l.Addr.String()] = string(l.MAC)
			}
			return err
		}))
		after := map[string]string{"10.0.0.102": string(nicC)}
		if !dry {
			after["10.0.0.100"] = string(nicA)
		}
		if diff := cmp.Diff(after, held); diff != "" {
			t.Errorf("stored after dry run %t (-want +got):\n%s", dry, diff)
		}
	}
	broken := start(t, func(c *fleet.Config) { c.Leases = lines{errors.New("no lease file")} })
	if _, err := broken.ImportLeases(t.Context(), api.ImportLeasesRequest{}); err == nil {
		t.Error("a file that cannot be read was taken over")
	}
	var many strings.Builder
	for i := range 300 {
		fmt.Fprintln(&many, "unreadable", i)
	}
	got, err := r.ImportLeases(t.Context(), api.ImportLeasesRequest{Body: api.ImportLeasesBody{Text: many.String()}})
	if err != nil || len(got.Refused) != 100 {
		t.Errorf("a file of nonsense: got %d reasons, %v; want 100", len(got.Refused), err)
	}
}
