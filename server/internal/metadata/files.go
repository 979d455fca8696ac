package metadata

import (
	"net/netip"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// phoneHomeTries is how often a system tries to report, with a second and more between the tries.
const phoneHomeTries = 10

func same(s string) string { return s }

// relative takes the final dot off a DNS name, which cloud-init and the resolver's file do not know.
func relative(name string) string { return strings.TrimSuffix(name, ".") }

// metaData holds the identity and the keys. The keys are here and not in vendor-data, because cloud-init adds the keys
// of meta-data to those of user-data, while a list in user-data takes the place of one in vendor-data (cloud-init,
// cc_ssh.handle and sources.normalize_pubkey_data).
func metaData(f Facts, keys []string) *document {
	d := newDocument()
	d.put("instance-id", text(f.InstanceID))
	d.put("local-hostname", text(f.Hostname))
	if len(keys) > 0 {
		d.put("public-keys", texts(keys, same))
	}
	return d
}

// vendorData holds what user-data may overrule.
func vendorData(f Facts) *document {
	d := newDocument()
	d.put("preserve_hostname", truth(false))
	d.put("hostname", text(f.Hostname))
	if f.FQDN != "" {
		d.put("fqdn", text(relative(f.FQDN)))
	}
	if f.PhoneHomeURL != "" {
		d.put("phone_home", mapping(newDocument().
			put("url", text(f.PhoneHomeURL)).
			put("post", texts([]string{"hostname", "fqdn", "instance_id", "pub_key_ed25519", "pub_key_rsa"}, same)).
			put("tries", number(phoneHomeTries))))
		d.put("bootcmd", list(texts(watch(f.PhoneHomeURL+FirstBootPath), same)))
	}
	if len(f.NTP) > 0 {
		d.put("ntp", mapping(newDocument().
			put("enabled", truth(true)).
			put("servers", texts(f.NTP, netip.Addr.String))))
	}
	if f.KernelParameters != "" {
		d.put("write_files", list(mapping(newDocument().
			put("path", text("/etc/default/grub.d/90-metal.cfg")).
			put("content", text(`GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX `+f.KernelParameters+"\"\n")))))
		d.put("runcmd", list(text("if command -v update-grub; then update-grub; fi")))
	}
	return d
}

// networkConfig is version 2 of cloud-init's network configuration. The NIC is found by its MAC and renamed: cloud-init's
// renderers for networkd and ifupdown look for the name that the configuration gives, and without set-name no NIC has it.
func networkConfig(n NetworkFacts) *document {
	if n.Declared.Declared() {
		return declaredConfig(n)
	}
	nic := newDocument().
		put("match", mapping(newDocument().put("macaddress", text(string(n.MAC))))).
		put("set-name", text(Interface))
	six := n.Addr.Addr().Is6()
	if n.Mode == "dhcp" {
		nic.put("dhcp4", truth(!six)).put("dhcp6", truth(six))
	} else {
		nic.put("dhcp4", truth(false)).put("dhcp6", truth(false))
		nic.put("addresses", list(text(n.Addr.String())))
		if n.Gateway.IsValid() {
			nic.put("routes", list(route(metal.NetworkRoute{To: defaultRoute(six), Via: n.Gateway.String()})))
		}
		if len(n.DNS)+len(n.Search) > 0 {
			servers := newDocument()
			if len(n.DNS) > 0 {
				servers.put("addresses", texts(n.DNS, netip.Addr.String))
			}
			if len(n.Search) > 0 {
				servers.put("search", texts(n.Search, relative))
			}
			nic.put("nameservers", mapping(servers))
		}
	}
	return newDocument().
		put("version", number(2)).
		put("ethernets", mapping(newDocument().put(Interface, mapping(nic))))
}
