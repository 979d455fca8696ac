package metadata

import (
	"net/netip"

	"go.yaml.in/yaml/v3"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// declaredConfig is version 2 of cloud-init's network configuration for a declaration that netconf.Resolve completed.
// cloud-init's own renderer for networkd makes no bonds, bridges and VLANs of it: an image needs netplan,
// NetworkManager or ifupdown for those.
func declaredConfig(n NetworkFacts) *document {
	d := newDocument().put("version", number(2))
	s := n.Declared
	links := newDocument()
	for _, nic := range s.Interfaces {
		one := newDocument().
			put("match", mapping(newDocument().put("macaddress", text(string(nic.MAC))))).
			put("set-name", text(nic.Name))
		links.put(nic.Name, mapping(addressing(one, nic.NetworkLink, n)))
	}
	d.put("ethernets", mapping(links))
	if len(s.Bonds) > 0 {
		links = newDocument()
		for _, b := range s.Bonds {
			one := newDocument().put("interfaces", texts(b.Interfaces, same)).put("parameters", mapping(bondParameters(b)))
			links.put(b.Name, mapping(addressing(one, b.NetworkLink, n)))
		}
		d.put("bonds", mapping(links))
	}
	if len(s.Bridges) > 0 {
		links = newDocument()
		for _, b := range s.Bridges {
			one := newDocument().put("interfaces", texts(b.Interfaces, same)).put("parameters", mapping(bridgeParameters(b)))
			links.put(b.Name, mapping(addressing(one, b.NetworkLink, n)))
		}
		d.put("bridges", mapping(links))
	}
	if len(s.VLANs) > 0 {
		links = newDocument()
		for _, v := range s.VLANs {
			one := newDocument().put("id", number(v.ID)).put("link", text(v.Link))
			links.put(v.Name, mapping(addressing(one, v.NetworkLink, n)))
		}
		d.put("vlans", mapping(links))
	}
	return d
}

// addressing adds what every link has. The primary one has the machine's own address before those declared for it.
func addressing(one *document, l metal.NetworkLink, n NetworkFacts) *document {
	var own NetworkFacts
	if l.Primary {
		own = n
	}
	dhcp := l.Primary && n.Mode == "dhcp"
	six := own.Addr.Addr().Is6()
	one.put("dhcp4", truth(l.DHCP4 || dhcp && !six)).put("dhcp6", truth(l.DHCP6 || dhcp && six))
	if l.AcceptRA != nil {
		one.put("accept-ra", truth(*l.AcceptRA))
	}
	if l.MTU != 0 {
		one.put("mtu", number(l.MTU))
	}
	addresses, dns, search, routes := []string{}, []string{}, []string{}, list()
	if l.Primary && !dhcp {
		addresses = append(addresses, n.Addr.String())
		if n.Gateway.IsValid() {
			routes.Content = append(routes.Content, route(metal.NetworkRoute{To: defaultRoute(six), Via: n.Gateway.String()}))
		}
		for _, a := range n.DNS {
			dns = append(dns, a.String())
		}
		search = append(search, n.Search...)
	}
	for _, a := range l.Addresses {
		addresses = append(addresses, netip.MustParsePrefix(a).String())
	}
	for _, r := range l.Routes {
		routes.Content = append(routes.Content, route(r))
	}
	dns, search = append(dns, l.DNS...), append(search, l.Search...)
	if len(addresses) > 0 {
		one.put("addresses", texts(addresses, same))
	}
	if len(routes.Content) > 0 {
		one.put("routes", routes)
	}
	if len(dns)+len(search) > 0 {
		servers := newDocument()
		if len(dns) > 0 {
			servers.put("addresses", texts(dns, same))
		}
		if len(search) > 0 {
			servers.put("search", texts(search, relative))
		}
		one.put("nameservers", mapping(servers))
	}
	return one
}

// defaultRoute is what the default route of a family goes to: older renderers do not know the word default.
func defaultRoute(six bool) string {
	if six {
		return "::/0"
	}
	return "0.0.0.0/0"
}

func route(r metal.NetworkRoute) *yaml.Node {
	d := newDocument().put("to", text(r.To)).put("via", text(r.Via))
	if r.Metric != 0 {
		d.put("metric", number(r.Metric))
	}
	return mapping(d)
}

func bondParameters(b metal.NetworkBond) *document {
	d := newDocument().put("mode", text(b.Mode)).put("mii-monitor-interval", number(b.MIIMon))
	for _, o := range []struct {
		key string
		ms  int
	}{{"up-delay", b.UpDelay}, {"down-delay", b.DownDelay}, {"min-links", b.MinLinks}} {
		if o.ms != 0 {
			d.put(o.key, number(o.ms))
		}
	}
	for _, o := range []struct{ key, value string }{
		{"lacp-rate", b.LACPRate}, {"transmit-hash-policy", b.XmitHashPolicy}, {"primary", b.PrimaryPort},
	} {
		if o.value != "" {
			d.put(o.key, text(o.value))
		}
	}
	return d
}

func bridgeParameters(b metal.NetworkBridge) *document {
	stp := b.STP != nil && *b.STP
	d := newDocument().put("stp", truth(stp))
	delay := b.ForwardDelay
	if delay == nil && !stp {
		delay = new(int) // without a spanning tree there is nothing to wait for
	}
	if delay != nil {
		d.put("forward-delay", number(*delay))
	}
	if b.Priority != nil {
		d.put("priority", number(*b.Priority))
	}
	return d
}

// checkDeclared refuses a declaration that nobody completed: its texts go into the seed as they are.
func checkDeclared(s metal.NetworkSpec) error {
	primary := 0
	count := func(l metal.NetworkLink) error {
		if l.Name == "" {
			return metal.Errorf(metal.Invalid, "a link of the network has no name")
		}
		if l.Primary {
			primary++
		}
		for i, a := range l.Addresses {
			if _, err := netip.ParsePrefix(a); err != nil {
				return metal.Errorf(metal.Invalid, "address %d of link %s is none: %q", i, l.Name, a)
			}
		}
		return nil
	}
	links := []metal.NetworkLink{}
	for _, i := range s.Interfaces {
		links = append(links, i.NetworkLink)
	}
	for _, b := range s.Bonds {
		links = append(links, b.NetworkLink)
	}
	for _, v := range s.VLANs {
		links = append(links, v.NetworkLink)
	}
	for _, b := range s.Bridges {
		links = append(links, b.NetworkLink)
	}
	for _, l := range links {
		if err := count(l); err != nil {
			return err
		}
	}
	if len(links) > 0 && primary != 1 {
		return metal.Errorf(metal.Invalid, "%d links of the network have the machine's own address; one has to", primary)
	}
	return nil
}
