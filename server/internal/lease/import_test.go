package lease

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func day(hour, minute int) time.Time { return time.Date(2030, 1, 2, hour, minute, 0, 0, time.UTC) }

func TestLeasesOfOtherServersAreImported(t *testing.T) {
	const active = metal.LeaseActive
	cases := []struct {
		name, format, file, text string
		want                     []metal.Lease
		refused                  []string
	}{
		{
			name: "ISC dhcpd", format: "isc", file: "dhcpd.leases",
			want: []metal.Lease{
				{Addr: ip("10.0.0.100"), MAC: "52:54:00:00:00:01", ClientID: "01525400000001", Hostname: "web-1", State: active, StartedAt: day(3, 4), ExpiresAt: day(3, 24)},
				{Addr: ip("10.0.0.101"), MAC: "52:54:00:00:00:02", State: active, StartedAt: day(3, 4), ExpiresAt: unlimited()},
				{Addr: ip("10.0.0.104"), MAC: "52:54:00:00:00:05", ClientID: "ff0022", State: active, StartedAt: time.Unix(1893553440, 0), ExpiresAt: time.Unix(1893554040, 0)},
			},
			refused: []string{"10.0.0.105: it has no end", "10.0.0.300: it is no IPv4 address", "10.0.0.106: it names no client"},
		},
		{
			name: "ISC dhcpd for IPv6", format: "isc", file: "dhcpd6.leases",
			want: []metal.Lease{
				{Addr: ip("2001:db8::100"), MAC: "52:54:00:00:00:01", ClientID: "0001000129000000525400000001", IAID: 7, State: active, ExpiresAt: day(3, 24)},
				{Addr: ip("2001:db8:ff00::"), Bits: 56, MAC: "52:54:00:00:00:02", ClientID: "00030001525400000002", IAID: 258, State: active, ExpiresAt: day(3, 24)},
			},
		},
		{
			name: "Kea", format: "kea4", file: "kea-leases4.csv",
			want: []metal.Lease{
				{Addr: ip("10.0.0.100"), MAC: "52:54:00:00:00:01", ClientID: "01525400000001", Hostname: "web-1", State: active, StartedAt: day(3, 14), ExpiresAt: day(3, 24)},
				{Addr: ip("10.0.0.101"), MAC: "52:54:00:00:00:02", State: active, ExpiresAt: unlimited()},
			},
			refused: []string{`line 8: "10.0.0" is no address of that family`, `10.0.0.105: its lifetime is "x"`, "10.0.0.106: it names no client"},
		},
		{
			name: "Kea for IPv6", format: "kea6", file: "kea-leases6.csv",
			want: []metal.Lease{
				{Addr: ip("2001:db8::100"), MAC: "52:54:00:00:00:01", ClientID: "0001000129000000525400000001", IAID: 7, Hostname: "web-1", State: active, StartedAt: day(3, 14), ExpiresAt: day(3, 24)},
				{Addr: ip("2001:db8:ff00::"), Bits: 56, MAC: "52:54:00:00:00:02", ClientID: "00030001525400000002", IAID: 258, State: active, StartedAt: day(3, 14), ExpiresAt: day(3, 24)},
			},
			refused: []string{"2001:db8::102: it is a temporary address, which metald does not give", `2001:db8:ff00::1: it begins no prefix of length "56"`},
		},
		{name: "nothing", format: "isc"},
		{name: "a file that ends in the middle", format: "isc", text: "lease 10.0.0.1 {\n  ends 4 2030/01/02 03:04:05;\n  hardware ether"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			text := c.text
			if c.file != "" {
				raw, err := os.ReadFile("testdata/" + c.file)
				if err != nil {
					t.Fatal(err)
				}
				text = string(raw)
			}
			got, refused, err := Import(c.format, text)
			if err != nil {
				t.Fatal(err)
			}
			same := cmp.Options{cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty(), cmpopts.EquateApproxTime(time.Minute - 1)}
			if c.text != "" {
				refused = nil
			}
			if diff := cmp.Diff(c.want, got, same); diff != "" {
				t.Errorf("leases (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.refused, refused, same); diff != "" {
				t.Errorf("refused (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatIsNoLeaseFileIsRefused(t *testing.T) {
	for _, c := range []struct{ name, format, text, want string }{
		{"another format", "csv", "", "not known"},
		{"too large", "isc", strings.Repeat(" ", mostText+1), "split it"},
		{"other columns", "kea4", "a,b,c\n1,2,3\n", "no column address"},
		{"the other family", "kea6", "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state\n", "no column duid"},
		{"a stray brace", "isc", "lease 10.0.0.1 { }\n}\nlease", "line 2: a block ends that did not begin"},
		{"a block without a name", "isc", "{ }", "no name"},
		{"a block within a word", "isc", "lease 10.0.0.1 { ends }", "within a statement"},
		{"deep blocks", "isc", strings.Repeat("a { ", 100), "too deep"},
		{"long statements", "isc", strings.Repeat("a ", 100), "too many words"},
		{"a string over lines", "isc", "uid \"a\nb\";", "does not end in its line"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := Import(c.format, c.text)
			if metal.CodeOf(err) != metal.Invalid || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v; want %q in it", err, c.want)
			}
		})
	}
}

// FuzzImport reads anything: what is returned could be stored.
func FuzzImport(f *testing.F) {
	for format, file := range map[string]string{"isc": "dhcpd.leases", "isc ": "dhcpd6.leases", "kea4": "kea-leases4.csv", "kea6": "kea-leases6.csv"} {
		text, err := os.ReadFile("testdata/" + file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(strings.TrimSpace(format), string(text))
	}
	f.Add("isc", `ia-na "\001\002\003" { iaaddr ::1 { binding state active; ends never; } }`)
	f.Fuzz(func(t *testing.T, format, text string) {
		leases, refused, err := Import(format, text)
		if err != nil && (len(leases) > 0 || len(refused) > 0) {
			t.Errorf("got %v with %d leases and %d refused", err, len(leases), len(refused))
		}
		seen := map[netip.Prefix]bool{}
		for _, l := range leases {
			bits := l.Addr.BitLen()
			if l.Bits > 0 {
				bits = l.Bits
			}
			p := netip.PrefixFrom(l.Addr, bits)
			if !p.IsValid() || seen[p] || l.Addr.Zone() != "" {
				t.Errorf("got %s of length %d, or twice", l.Addr, l.Bits)
			}
			seen[p] = true
			if _, err := metal.ParseMAC(string(l.MAC)); l.MAC != "" && err != nil || l.MAC == "" && l.ClientID == "" {
				t.Errorf("%s: got the client %q with the MAC address %q", l.Addr, l.ClientID, l.MAC)
			}
			if l.ExpiresAt.IsZero() || l.State != metal.LeaseActive {
				t.Errorf("%s: got state %q to %s", l.Addr, l.State, l.ExpiresAt)
			}
			if _, err := l.ExpiresAt.MarshalText(); err != nil {
				t.Errorf("%s: %v", l.Addr, err)
			}
		}
	})
}
