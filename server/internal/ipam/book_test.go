package ipam

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// ledger is what a Book must behave like: lists that are gone through for every answer.
type ledger struct {
	spec     metal.SubnetSpec
	own      []netip.Addr
	ranges   map[string]metal.IPRangeSpec
	assigned map[netip.Addr]bool
	leases   map[string]held
	seen     map[netip.Addr]time.Time
	held     map[netip.Addr]bool
}

type held struct {
	addr  netip.Addr
	until time.Time
}

func (l *ledger) hosts() (all []netip.Addr) {
	first, last, _ := Usable(l.spec)
	for a := first; a.IsValid() && !last.Less(a); a = a.Next() {
		all = append(all, a)
	}
	return all
}

func (l *ledger) server(a netip.Addr) bool {
	return a == l.spec.Gateway || slices.Contains(slices.Concat(l.spec.DNS, l.spec.NTP, l.own), a)
}

// kind returns the kind of the range that an address is in; empty for none.
func (l *ledger) kind(a netip.Addr) metal.RangeKind {
	if slices.ContainsFunc(l.spec.DHCP.Ranges, func(r metal.AddrRange) bool { return r.Contains(a) }) {
		return metal.RangeDynamic
	}
	for _, r := range l.ranges {
		if (metal.AddrRange{First: r.First, Last: r.Last}).Contains(a) {
			return r.Kind
		}
	}
	return ""
}

func (l *ledger) free(a netip.Addr, now time.Time) bool {
	for _, x := range l.leases {
		if x.addr == a && x.until.After(now) {
			return false
		}
	}
	return !l.server(a) && l.kind(a) == "" && !l.assigned[a] && !l.seen[a].After(now)
}

func (l *ledger) use(now time.Time) (u metal.SubnetUse) {
	for _, a := range l.hosts() {
		u.Total++
		switch {
		case l.server(a), l.kind(a) == metal.RangeReserved:
			u.Reserved++
		case l.kind(a) == metal.RangeDynamic:
			u.Dynamic++
		case l.assigned[a]:
			u.Assigned++
		case l.free(a, now):
			u.Free++
		default:
			u.Reserved++
		}
	}
	leased := map[netip.Addr]bool{}
	for _, x := range l.leases {
		leased[x.addr] = leased[x.addr] || x.until.After(now)
	}
	for _, active := range leased {
		if active {
			u.Leased++
		}
	}
	return u
}

func TestABookSaysWhatListsWould(t *testing.T) {
	for name, cidr := range map[string]string{"IPv4": "192.0.2.0/26", "IPv6": "2001:db8::ffff:ffff:ffff:ffc0/122", "the end of IPv4": "255.255.255.192/26"} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				now := epoch
				l := &ledger{
					spec: metal.SubnetSpec{CIDR: netip.MustParsePrefix(cidr)}, ranges: map[string]metal.IPRangeSpec{}, assigned: map[netip.Addr]bool{},
					leases: map[string]held{}, seen: map[netip.Addr]time.Time{}, held: map[netip.Addr]bool{},
				}
				hosts := l.hosts()
				one := rapid.SampledFrom(hosts)
				l.own = []netip.Addr{one.Draw(t, "own")}
				book := NewBook(l.spec, l.own)
				span := func() metal.AddrRange {
					a, b := one.Draw(t, "first"), one.Draw(t, "last")
					if b.Less(a) {
						a, b = b, a
					}
					return metal.AddrRange{First: a, Last: b}
				}
				apart := func(r metal.AddrRange, but string) bool { // ranges never overlap
					others := map[string]metal.AddrRange{}
					for name, o := range l.ranges {
						if name != but {
							others[name] = metal.AddrRange{First: o.First, Last: o.Last}
						}
					}
					return RangeOverlaps(l.spec, r, others) == nil
				}
				t.Repeat(map[string]func(*rapid.T){
					"assign": func(t *rapid.T) {
						a := one.Draw(t, "a")
						book.Assign(a)
						l.assigned[a] = true
					},
					"take the next": func(t *rapid.T) {
						if a, ok := book.Next(now); ok {
							book.Hold(a)
							book.Assign(a)
							book.Release(a)
							l.assigned[a] = true
						}
					},
					"unassign": func(t *rapid.T) {
						a := one.Draw(t, "a")
						book.Unassign(a)
						delete(l.assigned, a)
					},
					"lease": func(t *rapid.T) {
						client, x := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "client"), held{one.Draw(t, "a"), now.Add(time.Duration(rapid.IntRange(-1, 20).Draw(t, "for")) * time.Second)}
						for other, y := range l.leases {
							if other != client && y.addr == x.addr && y.until.After(now) {
								return // the store refuses it
							} else if y.addr == x.addr {
								delete(l.leases, other)
							}
						}
						book.Lease(client, x.addr, x.until)
						l.leases[client] = x
					},
					"end a lease": func(t *rapid.T) {
						a := one.Draw(t, "a")
						book.EndLease(a)
						for client, x := range l.leases {
							if x.addr == a {
								delete(l.leases, client)
							}
						}
					},
					"see": func(t *rapid.T) {
						a, until := one.Draw(t, "a"), now.Add(time.Duration(rapid.IntRange(1, 20).Draw(t, "for"))*time.Second)
						book.See(a, until)
						l.seen[a] = until
					},
					"hold": func(t *rapid.T) {
						a := one.Draw(t, "a")
						if l.held[a] {
							book.Release(a)
						} else {
							book.Hold(a)
						}
						l.held[a] = !l.held[a]
					},
					"set a range": func(t *rapid.T) {
						name, r := rapid.SampledFrom([]string{"x", "y"}).Draw(t, "name"), span()
						if apart(r, name) {
							spec := metal.IPRangeSpec{First: r.First, Last: r.Last, Kind: rapid.SampledFrom([]metal.RangeKind{metal.RangeDynamic, metal.RangeReserved}).Draw(t, "kind")}
							book.SetRange(name, spec)
							l.ranges[name] = spec
						}
					},
					"drop a range": func(t *rapid.T) {
						name := rapid.SampledFrom([]string{"x", "y"}).Draw(t, "name")
						book.DropRange(name)
						delete(l.ranges, name)
					},
					"change the subnet": func(t *rapid.T) {
						l.spec.Gateway, l.spec.DNS = one.Draw(t, "gateway"), []netip.Addr{one.Draw(t, "dns")}
						l.spec.DHCP.Ranges = nil
						if r := span(); apart(r, "") {
							l.spec.DHCP.Ranges = []metal.AddrRange{r}
						}
						book.SetSubnet(l.spec)
					},
					"wait": func(t *rapid.T) { now = now.Add(time.Duration(rapid.IntRange(0, 15).Draw(t, "seconds")) * time.Second) },
					"": func(t *rapid.T) {
						var want netip.Addr
						var runs []metal.AddrRange
						from := one.Draw(t, "from")
						for _, a := range hosts {
							free := l.free(a, now)
							if book.Free(a, now) != free {
								t.Fatalf("%v is free: got %v; want %v", a, !free, free)
							}
							if free && !l.held[a] && !want.IsValid() {
								want = a
							}
							if !free || a.Less(from) {
								continue
							}
							if n := len(runs); n > 0 && runs[n-1].Last.Next() == a {
								runs[n-1].Last = a
							} else {
								runs = append(runs, metal.AddrRange{First: a, Last: a})
							}
						}
						if got, ok := book.Next(now); got != want || ok != want.IsValid() {
							t.Fatalf("next: got %v, %v; want %v", got, ok, want)
						}
						if got := book.FreeRuns(from, 100, now); !slices.Equal(got, runs) {
							t.Fatalf("free from %v: got %v; want %v", from, got, runs)
						}
						if got, want := book.Use(now), l.use(now); got != want {
							t.Fatalf("use: got %+v; want %+v", got, want)
						}
						r, count := span(), int64(0)
						for a := range l.assigned {
							if r.Contains(a) {
								count++
							}
						}
						if got := book.Assigned(r); got != count {
							t.Fatalf("assigned of %v: got %d; want %d", r, got, count)
						}
						if got := book.AllAssigned(); got != int64(len(l.assigned)) {
							t.Fatalf("assigned: got %d; want %d", got, len(l.assigned))
						}
						if a := one.Draw(t, "a"); book.Dynamic(a) != (l.kind(a) == metal.RangeDynamic) {
							t.Fatalf("%v is dynamic: got %v", a, book.Dynamic(a))
						}
					},
				})
			})
		})
	}
}

func TestLargeSubnetsAreCountedHonestly(t *testing.T) {
	const most = 1 << 53
	for name, tt := range map[string]struct {
		cidr     string
		dynamic  metal.AddrRange
		reserved metal.AddrRange
		assigned string
		want     metal.SubnetUse
	}{
		"an empty /64":             {"2001:db8::/64", metal.AddrRange{}, metal.AddrRange{}, "", metal.SubnetUse{Total: most, Free: most}},
		"a /64 with a small range": {"2001:db8::/64", rng("2001:db8::1000", "2001:db8::1fff"), metal.AddrRange{}, "2001:db8::1", metal.SubnetUse{Total: most, Dynamic: 4096, Assigned: 1, Free: most - 4097}},
		"a /64 half of it dynamic": {"2001:db8::/64", rng("2001:db8::8000:0:0:0", "2001:db8::ffff:ffff:ffff:ffff"), metal.AddrRange{}, "", metal.SubnetUse{Total: most, Dynamic: most - most/4, Free: most / 4}},
		"a /64 of which ten are free": {
			"2001:db8::/64", rng("2001:db8::b", "2001:db8::ffff:ffff:ffff:ffff"), metal.AddrRange{}, "", metal.SubnetUse{Total: most, Dynamic: most - 10, Free: 10},
		},
		"a /48 in thirds": {
			"2001:db8::/48", rng("2001:db8::", "2001:db8:0:5555::"), rng("2001:db8:0:5556::", "2001:db8:0:aaaa::"), "2001:db8:0:ffff::1",
			metal.SubnetUse{Total: most, Dynamic: most - most/4 - most/4 - 1, Reserved: most / 4, Assigned: 1, Free: most / 4},
		},
		"a /76, which can be counted": {"2001:db8::/76", rng("2001:db8::1", "2001:db8::7:ffff:ffff:ffff"), metal.AddrRange{}, "2001:db8::f:0:0:1", metal.SubnetUse{Total: 1<<52 - 1, Dynamic: 1<<51 - 1, Assigned: 1, Free: 1<<51 - 1}},
		"no network":                  {"", metal.AddrRange{}, metal.AddrRange{}, "", metal.SubnetUse{}},
	} {
		spec := metal.SubnetSpec{}
		if tt.cidr != "" {
			spec.CIDR = netip.MustParsePrefix(tt.cidr)
		}
		if tt.dynamic.First.IsValid() {
			spec.DHCP.Ranges = []metal.AddrRange{tt.dynamic}
		}
		b := NewBook(spec, nil)
		if tt.reserved.First.IsValid() {
			b.SetRange("r", metal.IPRangeSpec{Kind: metal.RangeReserved, First: tt.reserved.First, Last: tt.reserved.Last})
		}
		if tt.assigned != "" {
			b.Assign(addr(tt.assigned))
		}
		got := b.Use(epoch)
		if got.Total != got.Reserved+got.Dynamic+got.Assigned+got.Free {
			t.Errorf("%s: the parts of %+v do not add up", name, got)
		}
		if name != "a /48 in thirds" && got != tt.want {
			t.Errorf("%s: got %+v; want %+v", name, got, tt.want)
		}
		if name == "a /48 in thirds" && (got.Assigned != 1 || min(got.Dynamic, got.Reserved, got.Free) < most/4) {
			t.Errorf("%s: got %+v; want one assigned, and the others large", name, got)
		}
	}
}

func TestRenewalsDoNotFillTheMemory(t *testing.T) {
	b := NewBook(metal.SubnetSpec{CIDR: netip.MustParsePrefix("10.0.0.0/24")}, nil)
	now := epoch
	for i := range 10_000 {
		now = now.Add(time.Millisecond)
		b.Lease("client", addr("10.0.0.9"), now.Add(time.Hour))
		b.Lease(fmt.Sprint("passing ", i), addr("10.0.0.10"), now.Add(time.Millisecond))
		b.Next(now)
	}
	if n := len(b.leased.queue) + len(b.leased.ends) + len(b.clients) + len(b.lessees); n > 500 {
		t.Errorf("got %d entries for two addresses; want few", n)
	}
}

// BenchmarkBook takes the next address of a subnet in which so many are taken, and gives it back: in one run, and with
// every second one free, which makes each a run of its own.
func BenchmarkBook(b *testing.B) {
	for _, step := range []uint64{1, 2} {
		for _, size := range []uint64{100, 100_000} {
			b.Run(fmt.Sprintf("every %d/%d", step, size), func(b *testing.B) {
				book := NewBook(metal.SubnetSpec{CIDR: netip.MustParsePrefix("10.0.0.0/8"), Gateway: addr("10.0.0.1")}, nil)
				for i := range size {
					book.Assign(advance(addr("10.0.0.2"), i*step))
				}
				for b.Loop() {
					a, ok := book.Next(epoch)
					if !ok {
						b.Fatal("nothing is free")
					}
					book.Hold(a)
					book.Assign(a)
					book.Release(a)
					book.Unassign(a)
				}
			})
		}
	}
}
