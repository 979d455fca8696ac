// Package dhcp6 serves DHCPv6 (RFC 8415) to machines and to every other client: addresses, prefixes for the routers
// among them, and what to boot. Respond decides what one packet deserves from what the store knew when it arrived; the
// server stores what must be stored, and sends only then.
//
// Temporary addresses (IA_TA) are refused, since hosts make them by themselves. The Server Unicast and Reconfigure
// options are not used: RFC 9915 retires the first, and the second needs keys that clients do not have. A subnet in
// mode proxy is silent as one that is off: DHCPv6 knows no second server that tells only what to boot.
package dhcp6

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const (
	offerLife   = 30 * time.Second // an offer is held against double offering for so long
	quarantine  = time.Hour        // a declined address is given to nobody
	defaultLife = 600 * time.Second
	infinite    = (1<<32 - 1) * time.Second // RFC 8415, 7.7
)

// Respond decides what the packet deserves. It touches no socket, clock or database.
func Respond(p *Packet, v View, now time.Time) Answer {
	if v.Subnet == nil || !v.Subnet.Spec.DHCP.Serves() {
		return silent("DHCPv6 is not served on this network")
	}
	m := p.Message
	if why := unfit(m); why != "" {
		return silent(why)
	}
	x := &exchange{p: p, q: p.Query(netip.Addr{}), v: v, now: now}
	if id := m.Options.ServerID(); id != nil && !id.Equal(v.DUID) {
		return x.elsewhere()
	}
	if p.direct() {
		return x.direct()
	}
	switch m.MessageType {
	case dhcpv6.MessageTypeSolicit:
		return x.solicit()
	case dhcpv6.MessageTypeRequest:
		return x.request()
	case dhcpv6.MessageTypeConfirm:
		return x.confirm()
	case dhcpv6.MessageTypeRenew, dhcpv6.MessageTypeRebind:
		return x.extend()
	case dhcpv6.MessageTypeRelease:
		return x.release()
	case dhcpv6.MessageTypeDecline:
		return x.decline()
	default: // unfit lets only an INFORMATION-REQUEST come so far
		return x.inform()
	}
}

func silent(why string) Answer { return Answer{Why: why} }

// identifiers says which messages are for a server, and whether they name the server (RFC 8415, 16.2 to 16.12).
func identifiers(kind dhcpv6.MessageType) (server, known bool) {
	switch kind {
	case dhcpv6.MessageTypeSolicit, dhcpv6.MessageTypeConfirm, dhcpv6.MessageTypeRebind:
		return false, true
	case dhcpv6.MessageTypeRequest, dhcpv6.MessageTypeRenew, dhcpv6.MessageTypeRelease, dhcpv6.MessageTypeDecline:
		return true, true
	}
	return false, false
}

// unfit says why a message must be discarded; empty: it need not.
func unfit(m *dhcpv6.Message) string {
	client, server := m.Options.ClientID() != nil, m.Options.ServerID() != nil
	if m.MessageType == dhcpv6.MessageTypeInformationRequest {
		if slices.ContainsFunc(m.Options.Options, isIA) {
			return "an INFORMATION-REQUEST that asks for addresses" // 16.12
		}
		return ""
	}
	names, known := identifiers(m.MessageType)
	switch {
	case !known:
		return m.MessageType.String() + " is not for a server"
	case !client:
		return m.MessageType.String() + " without a client identifier"
	case names != server:
		return m.MessageType.String() + " with no server identifier where one must be, or with one where none may be"
	}
	return ""
}

func isIA(o dhcpv6.Option) bool {
	code := o.Code()
	return code == dhcpv6.OptionIANA || code == dhcpv6.OptionIATA || code == dhcpv6.OptionIAPD
}

// direct says whether a client sent the packet to our own address, past every relay agent. Nobody told it to: that is
// what the Server Unicast option is for.
func (p *Packet) direct() bool { return len(p.Relays) == 0 && !p.To.IsMulticast() }

// exchange is one packet, what is known of it, and the answer as far as it has come.
type exchange struct {
	p      *Packet
	q      Query
	v      View
	now    time.Time
	reply  *dhcpv6.Message
	answer Answer
	given  []netip.Prefix
}

// begin makes a reply with the identifiers that every one has (RFC 8415, 18.3).
func (x *exchange) begin(kind dhcpv6.MessageType) {
	x.reply = &dhcpv6.Message{MessageType: kind, TransactionID: x.p.Message.TransactionID}
	if id := x.p.Message.Options.GetOne(dhcpv6.OptionClientID); id != nil {
		x.reply.AddOption(id)
	}
	x.reply.AddOption(dhcpv6.OptServerID(x.v.DUID))
}

// end closes the answer with what goes into the log.
func (x *exchange) end(format string, args ...any) Answer {
	x.answer.Reply = x.reply
	x.answer.Why = fmt.Sprintf(format, args...)
	return x.answer
}

// elsewhere takes back what was offered to a client that took another server's offer.
func (x *exchange) elsewhere() Answer {
	a := silent("the client speaks to another server")
	if x.p.Message.MessageType != dhcpv6.MessageTypeRequest {
		return a
	}
	for i := range x.q.IAs {
		if l := x.hold(i).Lease; l != nil && l.State == metal.LeaseOffered {
			a.Drop = append(a.Drop, *l)
		}
	}
	return a
}

// direct answers what came to our own address: what a client may send only by multicast is discarded (RFC 8415, 16),
// and the rest is to be sent again so (18.3.2 and others).
func (x *exchange) direct() Answer {
	if names, _ := identifiers(x.p.Message.MessageType); !names {
		return silent(x.p.Message.MessageType.String() + " to our own address")
	}
	x.begin(dhcpv6.MessageTypeReply)
	x.reply.AddOption(status(iana.StatusUseMulticast, "send it to ff02::1:2"))
	return x.end("the client is to use multicast")
}

// inform answers a client that wants no address (RFC 8415, 18.3.6).
func (x *exchange) inform() Answer {
	x.begin(dhcpv6.MessageTypeReply)
	x.tell()
	if x.asks(dhcpv6.OptionInformationRefreshTime) {
		const least = 600 * time.Second // IRT_MINIMUM (RFC 8415, 7.6)
		x.reply.AddOption(dhcpv6.OptInformationRefreshTime(max(life(x.v), least)))
	}
	return x.end("inform")
}

// confirm says whether all addresses that a client has belong to its link (RFC 8415, 18.3.3).
func (x *exchange) confirm() Answer {
	var all int
	for _, ia := range x.q.IAs {
		for _, w := range ia.Wanted {
			if ia.Kind != Address {
				continue
			}
			all++
			if !x.v.onLink(w.Addr()) {
				x.begin(dhcpv6.MessageTypeReply)
				x.reply.AddOption(status(iana.StatusNotOnLink, w.Addr().String()+" is not of this link"))
				return x.end("%s is not of this link", w.Addr())
			}
		}
	}
	if all == 0 {
		return silent("a CONFIRM of no address")
	}
	x.begin(dhcpv6.MessageTypeReply)
	x.reply.AddOption(status(iana.StatusSuccess, "all addresses are of this link"))
	return x.end("confirm")
}

// release ends leases. They are kept, expired, so that the client may get the same again (RFC 8415, 18.3.7).
func (x *exchange) release() Answer {
	return x.giveBack("release", func(l metal.Lease) {
		l.ExpiresAt = x.now
		x.answer.Leases = append(x.answer.Leases, l)
	})
}

// decline puts addresses that the client found in use aside (RFC 8415, 18.3.8). Each row of the client is dropped and
// another kept under nobody, so that the client's next lease does not end the quarantine.
func (x *exchange) decline() Answer {
	why := "another host uses what the client declines"
	for _, ia := range x.q.IAs {
		for _, w := range ia.Wanted {
			if slices.Contains(x.v.Assigned, w.Addr()) {
				x.answer.Fault = true
				why = "another host uses " + w.Addr().String() + ", which is this client's own address: find it and take the address from it"
			}
		}
	}
	return x.giveBack(why, func(l metal.Lease) {
		x.answer.Drop = append(x.answer.Drop, l)
		l.State, l.ExpiresAt = metal.LeaseDeclined, x.now.Add(quarantine)
		x.answer.Leases = append(x.answer.Leases, l)
		x.answer.Fault = true
	})
}

// giveBack ends what the client has no more use for. An IA that nothing is known of is named in the reply.
func (x *exchange) giveBack(why string, end func(metal.Lease)) Answer {
	x.begin(dhcpv6.MessageTypeReply)
	x.reply.AddOption(status(iana.StatusSuccess, "done"))
	for i, ia := range x.q.IAs {
		l := x.hold(i).Lease
		switch {
		case l != nil && l.State != metal.LeaseDeclined && slices.Contains(ia.Wanted, whatOf(*l)):
			if bound(*l, x.now) { // else this is the second copy of the message
				end(*l)
				why += ", " + whatOf(*l).String()
			}
		case !slices.ContainsFunc(ia.Wanted, func(w netip.Prefix) bool { return slices.Contains(x.v.Assigned, w.Addr()) }):
			x.refuse(ia, iana.StatusNoBinding, "nothing is known of it")
		}
	}
	return x.end("%s", why)
}

// bound says whether a client holds a lease now.
func bound(l metal.Lease, now time.Time) bool {
	return l.State != metal.LeaseDeclined && l.ExpiresAt.After(now)
}

// whatOf returns what a lease is of.
func whatOf(l metal.Lease) netip.Prefix {
	if l.Bits > 0 {
		return netip.PrefixFrom(l.Addr, l.Bits)
	}
	return netip.PrefixFrom(l.Addr, 128)
}

func (v View) onLink(a netip.Addr) bool {
	return slices.ContainsFunc(v.OnLink, func(p netip.Prefix) bool { return p.Contains(a) })
}

// life is how long a client may keep what it gets. All ones mean for ever (RFC 8415, 7.7).
func life(v View) time.Duration {
	if s := v.Subnet.Spec.DHCP.LeaseSeconds; s > 0 {
		return min(time.Duration(min(s, 1<<32-1))*time.Second, infinite)
	}
	return defaultLife
}

func status(code iana.StatusCode, text string) dhcpv6.Option {
	return &dhcpv6.OptStatusCode{StatusCode: code, StatusMessage: text}
}
