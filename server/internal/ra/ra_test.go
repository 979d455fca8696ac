package ra

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/netns"
)

func TestConfigsThatNoHostWouldAcceptAreRefused(t *testing.T) {
	prefix := func(cidr string) Prefix {
		return Prefix{Prefix: netip.MustParsePrefix(cidr), OnLink: true, Valid: time.Hour, Preferred: time.Hour}
	}
	slaac := prefix("fd00:31::/60")
	slaac.Autonomous = true
	shortLived := prefix("fd00:31::/64")
	shortLived.Valid = time.Minute
	prefixes := func(list ...Prefix) Config { return telling(Settings{Prefixes: list}) }
	var many []Prefix
	for i := range 40 {
		many = append(many, prefix(fmt.Sprintf("fd00:%x::/64", i)))
	}
	cases := []struct {
		name   string
		config Config
		says   string
	}{
		{"an interval that would flood", Config{Interval: time.Second}, "4s"},
		{"an interval that hosts forget", Config{Interval: time.Hour}, "30m"},
		{"an MTU that IPv6 cannot live with", telling(Settings{MTU: 1000}), "1280"},
		{"an IPv4 prefix", prefixes(prefix("10.0.0.0/8")), "unicast IPv6"},
		{"a link-local prefix", prefixes(prefix("fe80::/64")), "unicast IPv6"},
		{"a multicast prefix", prefixes(prefix("ff02::/64")), "unicast IPv6"},
		{"no prefix at all in a prefix", prefixes(Prefix{}), "unicast IPv6"},
		{"an autonomous prefix that is no /64", prefixes(slaac), "/64"},
		{"a prefix preferred for longer than it is valid", prefixes(shortLived), "valid"},
		{"more prefixes than one message takes", prefixes(many...), "1240"},
		{"an IPv4 name server", telling(Settings{DNS: []netip.Addr{netip.MustParseAddr("10.0.0.1")}}), "10.0.0.1"},
		{"a name server that is none", telling(Settings{DNS: []netip.Addr{{}}}), "unicast IPv6"},
		{"a search domain that is none", telling(Settings{Search: []string{"a..b"}}), "a..b"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := New("lo", c.config, slog.New(slog.DiscardHandler))
			if metal.CodeOf(err) != metal.Invalid || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), `"lo"`) {
				t.Errorf("got %v; want %s that says %q, of the interface", err, metal.Invalid, c.says)
			}
		})
	}
}

// telling is a Config of settings that never change.
func telling(s Settings) Config { return Config{Settings: func() Settings { return s }} }

func TestAnInterfaceThatIsNotThereIsNotFound(t *testing.T) {
	if _, err := New("nosuch0", Config{}, slog.New(slog.DiscardHandler)); metal.CodeOf(err) != metal.NotFound {
		t.Errorf("got %v; want %s", err, metal.NotFound)
	}
}

// rdisc6 asks for one advertisement, again and again on a busy machine.
const rdisc6 = "rdisc6 -1 -r 30 -w 4000 host0"

// TestRdisc6 asks with ndisc6's rdisc6, which prints what it understood.
func TestRdisc6(t *testing.T) {
	netns.Need(t, "rdisc6")
	cases := []struct {
		name   string
		config Config
		says   []string
		not    []string
	}{
		{
			"the zero Config makes nobody use us", Config{},
			[]string{"Router lifetime           :            0", "Stateful address conf.    :           No", "from fe80::ff:fe00:1"},
			[]string{"Prefix", "MTU"},
		},
		{
			"a prefix, DHCPv6 and an MTU, as configured",
			telling(Settings{Managed: true, Other: true, MTU: 1400, Prefixes: []Prefix{
				{Prefix: netip.MustParsePrefix("fd00:31::/64"), OnLink: true, Autonomous: true, Valid: Infinite, Preferred: time.Hour},
				{Prefix: netip.MustParsePrefix("fd00:32::/56"), OnLink: true, Valid: time.Minute},
			}}),
			[]string{
				"Stateful address conf.    :          Yes", "Stateful other conf.      :          Yes",
				"Router lifetime           :            0", "MTU                      :         1400",
				"Prefix                   : fd00:31::/64", "infinite", "3600", "Prefix                   : fd00:32::/56",
				"Source link-layer address: 02:00:00:00:00:01",
			},
			nil,
		},
		{
			"a router, name servers and a search list",
			telling(Settings{Router: true, DNS: []netip.Addr{netip.MustParseAddr("fd00::53"), netip.MustParseAddr("fd00::54")}, Search: []string{"a.test", "b.example.org"}}),
			[]string{
				"Router lifetime           :          600", "Recursive DNS server     : fd00::53", "Recursive DNS server     : fd00::54",
				"DNS servers lifetime    :          600", "DNS search list", "a.test b.example.org",
			},
			nil,
		},
	}
	server, host := wire(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			start(t, server, "srv0", c.config)
			out, err := host.Command(strings.Fields(rdisc6)...).CombinedOutput()
			if err != nil {
				t.Fatalf("rdisc6: %v\n%s", err, out)
			}
			for _, part := range c.says {
				if !strings.Contains(string(out), part) {
					t.Errorf("rdisc6 does not print %q:\n%s", part, out)
				}
			}
			for _, part := range c.not {
				if strings.Contains(string(out), part) {
					t.Errorf("rdisc6 prints %q:\n%s", part, out)
				}
			}
		})
	}
}

// TestAHostIsLeftAsItWas looks at what Linux, which obeys advertisements, makes of the zero Config.
func TestAHostIsLeftAsItWas(t *testing.T) {
	netns.Need(t, "rdisc6")
	server, host := wire(t)
	state := func() string {
		return host.Run(t, "ip -6 route show") + host.Run(t, "ip -6 -o addr show scope global")
	}
	before := state()
	log := start(t, server, "srv0", Config{})
	netns.Until(t, "the first advertisement is sent", func() bool { return strings.Contains(log.String(), "to=ff02::1") })
	host.Run(t, rdisc6)
	if after := state(); after != before {
		t.Errorf("routes and addresses changed:\n%swas:\n%s", after, before)
	}
}

func TestALinkThatIsDownCostsAWarningAndNotTheServer(t *testing.T) {
	netns.Need(t, "rdisc6")
	server, host := wire(t)
	server.Run(t, "ip link set srv0 down")
	log := start(t, server, "srv0", Config{})
	netns.Until(t, "the failure is told", func() bool { return strings.Contains(log.String(), "level=WARN") })
	server.Run(t, "ip link set srv0 up")
	server.UntilLinkLocal(t, "srv0")
	out := host.Run(t, rdisc6)
	if !strings.Contains(out, "Router lifetime") {
		t.Errorf("no answer after the link came up:\n%s", out)
	}
}
