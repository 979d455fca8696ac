package dhcp6

import (
	"encoding/binary"
	"encoding/hex"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// hold is what the store told of an IA.
func (x *exchange) hold(i int) Hold {
	if i < len(x.v.Holds) {
		return x.v.Holds[i]
	}
	return Hold{}
}

// own is the index of the IA that gets the client's assigned addresses: one that names any, else the first that wants
// addresses. -1: none does.
func (x *exchange) own() int {
	first := -1
	for i, ia := range x.q.IAs {
		if ia.Kind != Address || len(x.v.Assigned) == 0 {
			continue
		}
		if slices.ContainsFunc(ia.Wanted, func(w netip.Prefix) bool { return slices.Contains(x.v.Assigned, w.Addr()) }) {
			return i
		}
		if first < 0 {
			first = i
		}
	}
	return first
}

// choose returns what an IA gets: the client's assigned addresses, else what it holds or held, else what is free. The
// name is that of the subnet of something that must be leased.
func (x *exchange) choose(i int) (what []netip.Prefix, lease string) {
	if i == x.own() {
		for _, a := range x.v.Assigned {
			what = append(what, netip.PrefixFrom(a, 128))
		}
		return what, ""
	}
	h := x.hold(i)
	one, in := h.Free, h.FreeIn
	if h.Lease != nil && h.LeaseFree && h.Lease.State != metal.LeaseDeclined {
		one, in = whatOf(*h.Lease), h.Lease.Subnet
	}
	if !one.IsValid() || slices.Contains(x.given, one) {
		return nil, ""
	}
	x.given = append(x.given, one)
	return []netip.Prefix{one}, in
}

// solicit offers something for each IA; with Rapid Commit it is the client's at once (RFC 8415, 18.3.1).
func (x *exchange) solicit() Answer {
	rapid := x.p.Message.Options.GetOne(dhcpv6.OptionRapidCommit)
	if rapid != nil {
		return x.grant(dhcpv6.MessageTypeReply, rapid, "lease by rapid commit")
	}
	return x.grant(dhcpv6.MessageTypeAdvertise, nil, "offer")
}

// request gives what was offered, or if that is gone whatever there is now (RFC 8415, 18.3.2).
func (x *exchange) request() Answer { return x.grant(dhcpv6.MessageTypeReply, nil, "lease") }

func (x *exchange) grant(kind dhcpv6.MessageType, rapid dhcpv6.Option, why string) Answer {
	if !slices.ContainsFunc(x.p.Message.Options.Options, isIA) {
		return silent(x.p.Message.MessageType.String() + " that asks for nothing")
	}
	x.begin(kind)
	state, until := metal.LeaseActive, x.until(life(x.v))
	if kind == dhcpv6.MessageTypeAdvertise {
		state, until = metal.LeaseOffered, x.now.Add(offerLife)
		if x.own() >= 0 {
			x.reply.AddOption(dhcpv6.OptPreference(255)) // the client need not wait for others (RFC 8415, 18.2.1)
		}
	}
	if rapid != nil {
		x.reply.AddOption(rapid)
	}
	for i, ia := range x.q.IAs {
		if x.p.Message.MessageType == dhcpv6.MessageTypeRequest && ia.Kind == Address && x.strays(ia) {
			x.refuse(ia, iana.StatusNotOnLink, "not of this link")
			continue
		}
		what, lease := x.choose(i)
		if len(what) == 0 {
			code, text := iana.StatusNoAddrsAvail, "no address is left"
			if ia.Kind == Prefix {
				code, text = iana.StatusNoPrefixAvail, "no prefix is left"
			}
			x.refuse(ia, code, text)
			x.answer.Fault = true
			why += ", but " + text + " on subnet " + x.v.Subnet.Name
			continue
		}
		x.add(ia, what, nil)
		if lease != "" {
			x.keep(i, lease, what[0], state, until)
		}
	}
	x.refuseTemporary()
	x.tell()
	return x.end("%s", why)
}

// strays says whether an IA has an address of another link.
func (x *exchange) strays(ia IA) bool {
	return slices.ContainsFunc(ia.Wanted, func(w netip.Prefix) bool { return !w.Addr().IsUnspecified() && !x.v.onLink(w.Addr()) })
}

// extend prolongs what the client holds, and ends what it no longer may have. Of an IA that nothing is known of, a
// RENEW, which is meant for us alone, is told so (RFC 8415, 18.3.4). A REBIND goes to all servers: another may know
// more, so that only addresses that cannot be right are ended (18.3.5).
func (x *exchange) extend() Answer {
	x.begin(dhcpv6.MessageTypeReply)
	rebind := x.p.Message.MessageType == dhcpv6.MessageTypeRebind
	own, said := x.own(), 0
	for i, ia := range x.q.IAs {
		l := x.hold(i).Lease
		known := i == own || l != nil && l.State == metal.LeaseActive
		switch {
		case known:
			what, lease := x.choose(i)
			gone := left(ia.Wanted, what)
			if len(what)+len(gone) == 0 {
				x.refuse(ia, iana.StatusNoBinding, "nothing is left of it")
				break
			}
			x.add(ia, what, gone)
			if lease != "" {
				x.keep(i, lease, what[0], metal.LeaseActive, x.until(life(x.v)))
			}
		case !rebind:
			x.refuse(ia, iana.StatusNoBinding, "nothing is known of it")
		default:
			wrong := slices.DeleteFunc(slices.Clone(ia.Wanted), func(w netip.Prefix) bool { return !x.wrong(ia.Kind, w) })
			if len(wrong) == 0 {
				continue
			}
			x.add(ia, nil, wrong)
		}
		said++
	}
	if said == 0 {
		return silent("no record of this client")
	}
	x.tell()
	return x.end("extend")
}

// left returns what a client has that it is not given again.
func left(had, given []netip.Prefix) []netip.Prefix {
	return slices.DeleteFunc(slices.Clone(had), func(p netip.Prefix) bool { return p.Addr().IsUnspecified() || slices.Contains(given, p) })
}

// wrong says whether something cannot be used on this link, whoever gave it. Of prefixes only those are known that
// come from our own pool: another server may have others to give.
func (x *exchange) wrong(kind Kind, w netip.Prefix) bool {
	if kind == Address {
		return !x.v.onLink(w.Addr())
	}
	pool := x.v.Subnet.Spec.DHCP.Delegation
	return pool != nil && pool.CIDR.Contains(w.Addr()) && w.Bits() != pool.Length
}

// keep notes what must be stored before the reply leaves. A client that asks anew keeps the longer hold it has.
func (x *exchange) keep(i int, subnet string, what netip.Prefix, state metal.LeaseState, until time.Time) {
	l := metal.Lease{
		Subnet: subnet, Addr: what.Addr(), MAC: x.q.MAC, ClientID: x.q.Client, IAID: x.q.IAs[i].IAID, Hostname: x.p.hostname(),
		State: state, StartedAt: x.now, ExpiresAt: until,
	}
	if x.q.IAs[i].Kind == Prefix {
		l.Bits = what.Bits()
	}
	if old := x.hold(i).Lease; old != nil && whatOf(*old) == what && old.State == metal.LeaseActive {
		if state == metal.LeaseOffered && old.ExpiresAt.After(until) {
			return
		}
		if bound(*old, x.now) && !old.StartedAt.IsZero() {
			l.StartedAt = old.StartedAt
		}
	}
	if n := len(x.p.Relays); n > 0 {
		near := x.p.Relays[n-1]
		l.Relay, l.Circuit = x.q.Relay, hex.EncodeToString(near.Options.InterfaceID())
		if id := near.Options.RemoteID(); id != nil {
			l.Remote = hex.EncodeToString(id.ToBytes())
		}
	}
	x.answer.Leases = append(x.answer.Leases, l)
}

// until is when something ends that begins now. For ever is not meant to fit a clock: it is a century.
func (x *exchange) until(d time.Duration) time.Time { return x.now.Add(min(d, 100*365*24*time.Hour)) }

// add puts an IA into the reply, with what the client may use and what it may use no longer. T1 and T2 are half and
// four fifths of the preferred lifetime (RFC 8415, 21.4), which is as long as the valid one.
func (x *exchange) add(ia IA, use, end []netip.Prefix) {
	whole := life(x.v)
	var t1, t2 time.Duration
	switch {
	case len(use) > 0 && whole == infinite:
		t1, t2 = infinite, infinite
	case len(use) > 0:
		t1, t2 = whole/2, whole*4/5
	}
	var options dhcpv6.Options
	for _, p := range use {
		options.Add(option(ia.Kind, p, whole))
	}
	for _, p := range end {
		options.Add(option(ia.Kind, p, 0))
	}
	x.reply.AddOption(association(ia, t1, t2, options))
}

// refuse puts an IA with nothing but a status into the reply.
func (x *exchange) refuse(ia IA, code iana.StatusCode, text string) {
	x.reply.AddOption(association(ia, 0, 0, dhcpv6.Options{status(code, text)}))
}

// refuseTemporary refuses temporary addresses.
func (x *exchange) refuseTemporary() {
	for _, ia := range x.p.Message.Options.IATA() {
		none := dhcpv6.Options{status(iana.StatusNoAddrsAvail, "no temporary addresses are given")}
		x.reply.AddOption(&dhcpv6.OptIATA{IaId: ia.IaId, Options: dhcpv6.IdentityOptions{Options: none}})
	}
}

func association(ia IA, t1, t2 time.Duration, options dhcpv6.Options) dhcpv6.Option {
	var id [4]byte
	binary.BigEndian.PutUint32(id[:], ia.IAID)
	if ia.Kind == Prefix {
		return &dhcpv6.OptIAPD{IaId: id, T1: t1, T2: t2, Options: dhcpv6.PDOptions{Options: options}}
	}
	return &dhcpv6.OptIANA{IaId: id, T1: t1, T2: t2, Options: dhcpv6.IdentityOptions{Options: options}}
}

func option(kind Kind, p netip.Prefix, life time.Duration) dhcpv6.Option {
	if kind == Prefix {
		network := &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 128)}
		return &dhcpv6.OptIAPrefix{PreferredLifetime: life, ValidLifetime: life, Prefix: network}
	}
	return &dhcpv6.OptIAAddress{IPv6Addr: p.Addr().AsSlice(), PreferredLifetime: life, ValidLifetime: life}
}
