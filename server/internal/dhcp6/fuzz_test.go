package dhcp6

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// seeds are packets of every kind, as they come in datagrams.
func seeds() [][]byte {
	var list [][]byte
	for kind := range dhcpv6.MessageType(12) {
		for _, more := range [][]change{
			{na(1)}, {na(1, "fd00:31::150"), pd(2, "fd00:40:0:200::/56")}, {choosing(serverDUID), na(1, "fd00:31::150")}, {choosing(otherDUID), na(1)},
			{rapidly, na(1), ta(3), named(flagS, "printer")}, {firmware("iPXE"), na(1)}, {firmware("UEFI HTTP")}, {firmware("UEFI PXE"), na(1)},
			{na(1), relayed("fd00:31::2", "fe80::1", dhcpv6.OptInterfaceID([]byte("x"))), relayed("::", "fd00:31::2", dhcpv6.OptRelayPort(0))},
		} {
			list = append(list, wireOf(client(kind, more...)))
		}
	}
	return list
}

// FuzzRespond takes whatever comes from the wire: it may not panic, an answer must be a message that clients read,
// nothing may be promised that is not the client's, and what must be stored is what is promised.
func FuzzRespond(f *testing.F) {
	for i, wire := range seeds() {
		f.Add(wire, byte(i))
	}
	views := []View{
		view(), view(machine), view(active), view(offered, delegated), view(expired), view(lost), view(full), view(declined), view(unserved),
		view(machine, active), view(custom(300, "text", "x")),
	}
	f.Fuzz(func(t *testing.T, wire []byte, which byte) {
		p, err := Unwrap(wire)
		if err != nil {
			return
		}
		if len(p.Relays) > maxRelays {
			t.Fatalf("got %d relay agents; want %d at most", len(p.Relays), maxRelays)
		}
		p.From, p.To = netip.AddrPortFrom(linkLocal, clientPort), ip("ff02::1:2")
		q := p.Query(ours)
		if !q.Link.IsValid() || q.Link.IsUnspecified() || len(q.IAs) > maxIAs {
			t.Errorf("got link %s and %d IAs; want an address, and %d at most", q.Link, len(q.IAs), maxIAs)
		}
		if !p.Destination().IsValid() {
			t.Errorf("got destination %s; want an address", p.Destination())
		}
		v := views[int(which)%len(views)]
		a := Respond(&p, v, now)
		if a.Reply == nil {
			if len(a.Leases) > 0 {
				t.Errorf("got %d leases to store and no reply", len(a.Leases))
			}
			return
		}
		read, err := Unwrap(a.Reply.ToBytes())
		if err != nil {
			t.Fatalf("the reply cannot be read: %v", err)
		}
		if kind := read.Message.MessageType; kind != dhcpv6.MessageTypeAdvertise && kind != dhcpv6.MessageTypeReply {
			t.Errorf("got %s; want what servers send", kind)
		}
		if read.Message.TransactionID != p.Message.TransactionID {
			t.Error("the reply is to another transaction")
		}
		for _, promise := range promised(read.Message) {
			check(t, v, a, promise)
		}
		if back, err := dhcpv6.FromBytes(p.Wrap(a.Reply)); err != nil || back.IsRelay() != (len(p.Relays) > 0) {
			t.Errorf("the reply cannot be sent back through %d relay agents: %v", len(p.Relays), err)
		}
	})
}

// promised lists what a reply lets the client use.
func promised(m *dhcpv6.Message) (list []netip.Prefix) {
	for _, ia := range m.Options.IANA() {
		for _, a := range ia.Options.Addresses() {
			if addr, ok := netip.AddrFromSlice(a.IPv6Addr); ok && a.ValidLifetime > 0 {
				list = append(list, netip.PrefixFrom(addr, 128))
			}
		}
	}
	for _, ia := range m.Options.IAPD() {
		for _, x := range ia.Options.Prefixes() {
			addr, _ := netip.AddrFromSlice(x.Prefix.IP)
			bits, _ := x.Prefix.Mask.Size()
			if x.ValidLifetime > 0 {
				list = append(list, netip.PrefixFrom(addr, bits))
			}
		}
	}
	return list
}

// check says whether the client may have what it is promised, and whether that is or will be stored.
func check(t *testing.T, v View, a Answer, what netip.Prefix) {
	t.Helper()
	if what.Bits() == 128 && slices.Contains(v.Assigned, what.Addr()) {
		return
	}
	mine, stored := false, slices.ContainsFunc(a.Leases, func(l metal.Lease) bool { return whatOf(l) == what })
	for _, h := range v.Holds {
		has := h.Lease != nil && h.LeaseFree && whatOf(*h.Lease) == what
		mine = mine || has || h.Free == what
		stored = stored || has && h.Lease.State == metal.LeaseActive && h.Lease.ExpiresAt.After(now)
	}
	if !mine || !stored {
		t.Errorf("got %s promised; want what is the client's (%t) and stored (%t)", what, mine, stored)
	}
}

// FuzzUnwrap reads the client out of any bytes in both ways, which must agree.
func FuzzUnwrap(f *testing.F) {
	for _, wire := range seeds() {
		f.Add(wire)
	}
	deep := client(dhcpv6.MessageTypeSolicit)
	for range maxRelays + 1 {
		relayed("fd00:9::1", "fe80::7")(deep)
		f.Add(wireOf(deep))
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		quick := duidOf(wire)
		p, err := Unwrap(wire)
		if err != nil {
			return
		}
		id := p.Message.Options.ClientID()
		if (id == nil) != (quick == nil) || id != nil && !bytes.Equal(id.ToBytes(), quick) {
			t.Errorf("got %x at a glance; want %v", quick, id)
		}
	})
}

// FuzzEncode takes any value of an option that somebody declares.
func FuzzEncode(f *testing.F) {
	for _, kind := range []string{"ip", "ips", "uint8", "uint16", "uint32", "bool", "text", "fqdn", "hex", "other"} {
		f.Add(kind, "fd00::1, fd00::2")
		f.Add(kind, "12")
		f.Add(kind, "a.b.")
	}
	f.Fuzz(func(t *testing.T, kind, value string) {
		got, err := encode(metal.DHCPOption{Code: 300, Type: kind, Value: value})
		if err == nil && len(got) > max(8*len(value), 2) {
			t.Errorf("got %d bytes of %d; want no more than addresses need", len(got), len(value))
		}
	})
}
