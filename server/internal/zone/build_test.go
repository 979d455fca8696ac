package zone

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// labConfig is a server in its own zone.
var labConfig = Config{
	Zone: "lab.example", NameServer: "metald.lab.example.",
	Addrs: []netip.Addr{netip.MustParseAddr("172.31.0.1"), netip.MustParseAddr("fd00:31::1")}, Serial: 100,
}

// empty is a server without anything in its zones.
func empty(t testing.TB) *Zones {
	t.Helper()
	z, err := New(labConfig)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// do applies changes written one a line, all at once.
func do(t testing.TB, z *Zones, text string) {
	t.Helper()
	z.Change(func(b *Batch) {
		for line := range strings.Lines(text) {
			if fields := strings.Fields(line); len(fields) > 0 {
				apply(t, b, fields)
			}
		}
	})
}

// apply is one change: what is told, and a minus before what is gone.
func apply(t testing.TB, b *Batch, f []string) {
	t.Helper()
	arg := func(i int) string {
		if i < len(f) {
			return f[i]
		}
		return ""
	}
	owner := func() (a metal.Assignment) {
		a.Subnet, a.Addr = arg(1), netip.MustParseAddr(arg(2))
		kind, id, _ := strings.Cut(arg(3), ":")
		switch kind {
		case "m":
			a.MachineID, a.MAC = id, "52:54:00:00:00:01"
		case "d":
			a.Device = id
		case "r":
			a.Reservation = id
		}
		return a
	}
	switch f[0] {
	case "subnet": // name cidr domain
		b.SetSubnet(arg(1), metal.SubnetSpec{CIDR: netip.MustParsePrefix(arg(2)), Domain: arg(3)})
	case "-subnet":
		b.DropSubnet(arg(1))
	case "machine": // id name
		b.SetMachine(arg(1), arg(2))
	case "-machine":
		b.DropMachine(arg(1))
	case "device": // name domain subnet...
		spec := metal.DeviceSpec{Domain: strings.TrimPrefix(arg(2), "-")}
		for _, subnet := range f[min(3, len(f)):] {
			spec.Interfaces = append(spec.Interfaces, metal.DeviceInterface{Subnet: subnet})
		}
		b.SetDevice(arg(1), spec)
	case "-device":
		b.DropDevice(arg(1))
	case "reservation": // name hostname
		b.SetReservation(arg(1), arg(2))
	case "-reservation":
		b.DropReservation(arg(1))
	case "addr": // subnet address owner
		b.SetAssignment(owner())
	case "-addr":
		b.DropAssignment(arg(1), netip.MustParseAddr(arg(2)))
	case "lease": // subnet address client hostname start
		b.SetLease(arg(3), leaseOf(t, f))
	case "-lease":
		b.DropLease(arg(1), netip.MustParseAddr(arg(2)))
	case "zone": // name ttl negative-ttl name-servers
		z := metal.Zone{Name: arg(1)}
		fmt.Sscan(arg(2), &z.Spec.TTL)
		fmt.Sscan(arg(3), &z.Spec.NegativeTTL)
		z.Spec.NameServers = f[min(4, len(f)):]
		b.SetZone(z)
	case "-zone":
		b.DropZone(arg(1))
	case "set": // zone name ttl type values, separated by " | "
		r := metal.RecordSet{Zone: arg(1), Name: arg(2), Type: arg(4)}
		fmt.Sscan(arg(3), &r.Spec.TTL)
		r.Spec.Values = strings.Split(strings.Join(f[5:], " "), " | ")
		if _, err := parseRecordSet(r); err != nil {
			t.Fatal(err)
		}
		b.SetRecordSet(r)
	case "-set":
		b.DropRecordSet(arg(1), arg(2), arg(3))
	default:
		t.Fatalf("no such change: %v", f)
	}
}

// content is a zone in zone-file text, sorted, with its SOA record's serial number left out.
func content(z *Zone) []string {
	soa, records := z.Transfer()
	lines := []string{strings.Replace(oneLine(soa), fmt.Sprintf(" %d ", soa.Serial), " SERIAL ", 1)}
	for rr := range records {
		lines = append(lines, oneLine(rr))
	}
	slices.Sort(lines)
	return lines
}

func oneLine(rr dns.RR) string { return strings.Join(strings.Fields(rr.String()), " ") }

// everything is all zones by name.
func everything(v *View) map[string][]string {
	all := map[string][]string{}
	for z := range v.All() {
		all[z.Name()] = content(z)
	}
	return all
}

// written is want as tests write it: indented, with empty lines.
func written(want string) string {
	var b strings.Builder
	for line := range strings.Lines(want) {
		if line = strings.TrimSpace(line); line != "" {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}
