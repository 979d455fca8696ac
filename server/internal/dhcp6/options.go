package dhcp6

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/rfc1035label"
)

// Flags of the Client FQDN option (RFC 4704, 4.1).
const (
	flagS = 1 // the server writes the AAAA record
	flagO = 2 // that is not what the client asked for
	flagN = 4 // nobody writes a record
)

// asks says whether the client wants an option. One that names none wants all there are.
func (x *exchange) asks(code dhcpv6.OptionCode) bool {
	if x.p.Message.Options.GetOne(dhcpv6.OptionORO) == nil {
		return true
	}
	return slices.Contains(x.p.Message.Options.RequestedOptions(), code)
}

// tell adds what the client is told of its network and of what to boot. What a person set for a code wins, and what a
// relay agent supplies comes last (RFC 6422, 6).
func (x *exchange) tell() {
	first := len(x.reply.Options.Options)
	s := x.v.Subnet.Spec
	set := func(o dhcpv6.Option) {
		if x.asks(o.Code()) {
			x.reply.AddOption(o)
		}
	}
	if list := x.addresses(s.DNS); len(list) > 0 {
		set(dhcpv6.OptDNS(list...))
	}
	if len(x.v.Search) > 0 {
		set(dhcpv6.OptDomainSearchList(&rfc1035label.Labels{Labels: x.v.Search}))
	}
	x.tellTime(set)
	x.tellName()
	x.tellBoot(set)
	for _, o := range x.v.Options.Custom {
		code := dhcpv6.OptionCode(o.Code)
		value, err := encode(o)
		if err != nil || protocol(code) {
			continue // refused when it was declared; a database that was tampered with must not stop DHCP
		}
		x.replace(first, code)
		x.reply.AddOption(&dhcpv6.OptionGeneric{OptionCode: code, OptionData: value})
	}
	x.passOn()
}

// replace removes an option of those that tell has added.
func (x *exchange) replace(first int, code dhcpv6.OptionCode) {
	list := x.reply.Options.Options
	told := slices.DeleteFunc(list[first:], func(o dhcpv6.Option) bool { return o.Code() == code })
	x.reply.Options.Options = list[:first+len(told)]
}

// protocol says which options are the protocol's own: nobody sets them by hand.
func protocol(code dhcpv6.OptionCode) bool {
	switch code {
	case dhcpv6.OptionClientID, dhcpv6.OptionServerID, dhcpv6.OptionIANA, dhcpv6.OptionIATA, dhcpv6.OptionIAAddr, dhcpv6.OptionORO,
		dhcpv6.OptionElapsedTime, dhcpv6.OptionRelayMsg, dhcpv6.OptionAuth, dhcpv6.OptionUnicast, dhcpv6.OptionStatusCode,
		dhcpv6.OptionRapidCommit, dhcpv6.OptionInterfaceID, dhcpv6.OptionReconfMessage, dhcpv6.OptionReconfAccept,
		dhcpv6.OptionIAPD, dhcpv6.OptionIAPrefix, dhcpv6.OptionRSOO, dhcpv6.OptionClientLinkLayerAddr, dhcpv6.OptionRelayPort:
		return true
	}
	return false
}

// tellTime names time servers, in the form of today (RFC 5908) and in that of older clients (RFC 4075), which has no
// multicast; and the time zone (RFC 4833). Each instance of the former is for one source of time.
func (x *exchange) tellTime(set func(dhcpv6.Option)) {
	var unicast []net.IP
	for _, ip := range x.addresses(x.v.Subnet.Spec.NTP) {
		if ip.IsMulticast() {
			group := dhcpv6.NTPSuboptionMCAddr(ip)
			set(&dhcpv6.OptNTPServer{Suboptions: dhcpv6.Options{&group}})
			continue
		}
		server := dhcpv6.NTPSuboptionSrvAddr(ip)
		set(&dhcpv6.OptNTPServer{Suboptions: dhcpv6.Options{&server}})
		unicast = append(unicast, ip)
	}
	if len(unicast) > 0 {
		set(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionSNTPServerList, OptionData: slices.Concat(unicast...)})
	}
	if zone := x.v.Options.TimeZone; zone != "" {
		set(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionNewTZDBTimezone, OptionData: []byte(zone)})
	}
}

// tellName tells a client that speaks of names its own one, and that its record is our business (RFC 4704, 6).
func (x *exchange) tellName() {
	wishes, _, asked := clientName(x.p.Message)
	if !asked && !slices.Contains(x.p.Message.Options.RequestedOptions(), dhcpv6.OptionFQDN) {
		return
	}
	name, flags := x.v.Hostname, uint8(flagS)
	if name == "" {
		name = x.p.hostname()
	}
	if name == "" {
		return
	}
	if x.v.Domain != "" {
		name += "." + x.v.Domain
	}
	switch {
	case !asked:
	case wishes&flagN != 0 && x.v.Hostname == "": // the name of what is declared is not the client's to refuse
		flags = flagN
	case wishes&flagS == 0:
		flags |= flagO
	}
	x.reply.AddOption(&dhcpv6.OptFQDN{Flags: flags, DomainName: &rfc1035label.Labels{Labels: []string{name}}})
}

// hostname is the first label of the name that the client gives itself; empty where it gives none that DNS could have
// (RFC 1123, 2.1), or wants no record.
func (p *Packet) hostname() string {
	wishes, label, ok := clientName(p.Message)
	if !ok || wishes&flagN != 0 {
		return ""
	}
	odd := strings.ContainsFunc(label, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-')
	})
	if odd || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") {
		return ""
	}
	return label
}

// passOn hands on what relay agents supply for the client, of the options that may be: of the registry of RFC 6422, 8
// there is one, the local domain name of re-authentication (RFC 6440). The agent nearest to the client wins.
func (x *exchange) passOn() {
	for _, r := range slices.Backward(x.p.Relays) {
		supplied := r.Options.GetOne(dhcpv6.OptionRSOO)
		if supplied == nil || x.reply.GetOneOption(dhcpv6.OptionERPLocalDomainName) != nil {
			continue
		}
		if value := find(supplied.ToBytes(), dhcpv6.OptionERPLocalDomainName); value != nil {
			x.reply.AddOption(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionERPLocalDomainName, OptionData: value})
		}
	}
}

// addresses are the IPv6 ones of a list, or our own where the list is empty.
func (x *exchange) addresses(list []netip.Addr) []net.IP {
	var ips []net.IP
	if len(list) == 0 && x.v.Server.IsValid() {
		return []net.IP{x.v.Server.AsSlice()}
	}
	for _, a := range list {
		if a.Is6() && !a.Is4In6() {
			ips = append(ips, a.AsSlice())
		}
	}
	return ips
}
