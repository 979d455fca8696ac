package main

import (
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/objectdefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
)

func networkAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional: true, Computed: true, Default: objectdefault.StaticValue(plainNetwork()), Attributes: networkAttributes(),
		MarkdownDescription: "The system's own network configuration: the machine's own address, and beside it interfaces, bonds, VLANs and bridges, which refer to each other by name. " +
			"The NIC the machine boots from is there without being declared, and called `boot0`. A change waits for the next deployment, unless `redeploy_on` names `network`. " +
			"Default: the machine's own static address on the NIC it boots from.",
	}
}

// networkAttributes are the parts of a network.
func networkAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"mode": choice("How the machine's own address comes to the primary element: `static` writes it into the system, `dhcp` lets the system ask. Default: `static`.", staticMode, staticMode, "dhcp"),
		"interfaces": elementsOf("NICs, each found by `mac` or by `nic`. Default: the one the machine boots from.", linkAttributes(false, map[string]schema.Attribute{
			"mac": schema.StringAttribute{Optional: true, MarkdownDescription: "MAC address of the NIC. Exactly one of `mac` and `nic` is set.",
				Validators: []validator.String{spelled{macSpelling}, stringvalidator.ExactlyOneOf(sibling("nic"))}},
			"nic": word("Name of the NIC in the machine's inventory, as in `eno2`. Exactly one of `mac` and `nic` is set."),
		})),
		"bonds": elementsOf("Several NICs as one link, by Linux' bonding driver. Default: none.", linkAttributes(true, map[string]schema.Attribute{
			"interfaces": neededNames("Names of the interfaces that it is made of."),
			"mode": oneOf("`balance-rr`, `active-backup`, `balance-xor`, `broadcast`, `802.3ad` (LACP), `balance-tlb` or `balance-alb`. Default: `active-backup`.",
				"balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb"),
			"miimon":           number("Milliseconds between looks at the links. Default: `100`.", 1, 60_000),
			"up_delay":         number("Milliseconds that a link has to be up before it is used: a multiple of `miimon`. Default: `0`.", 0, 600_000),
			"down_delay":       number("Milliseconds that a link has to be down before it is given up: a multiple of `miimon`. Default: `0`.", 0, 600_000),
			"min_links":        number("Links that have to be up for the bond to be, in mode `802.3ad`. Default: as the system does.", 1, 16),
			"lacp_rate":        oneOf("`slow` or `fast`, in mode `802.3ad`. Default: as the system does.", "slow", "fast"),
			"xmit_hash_policy": oneOf("What decides which link a packet takes: `layer2`, `layer3+4`, `layer2+3`, `encap2+3` or `encap3+4`. Default: as the system does.", "layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4"),
			"primary_port":     word("Name of the interface to prefer, in the modes `active-backup`, `balance-tlb` and `balance-alb`. Default: none."),
		})),
		"vlans": elementsOf("Tagged networks (IEEE 802.1Q). Default: none.", linkAttributes(true, map[string]schema.Attribute{
			"id":   schema.Int64Attribute{Required: true, MarkdownDescription: "Tag, 1 to 4094.", Validators: []validator.Int64{int64validator.Between(1, 4094)}},
			"link": needed("Name of the interface, bond or bridge that carries it."),
		})),
		"bridges": elementsOf("Bridges, as virtual machines need them. Default: none.", linkAttributes(true, map[string]schema.Attribute{
			"interfaces":    names("Names of the interfaces, bonds and VLANs that it joins. Default: none."),
			"stp":           yesOrNo("Spanning tree (IEEE 802.1D). Default: `false`."),
			"forward_delay": number("Seconds until a port forwards; with `stp` 2 to 30. Default: as the system does.", 0, 30),
			"priority":      number("Of the bridge in the spanning tree. Default: as the system does.", 0, 65_535),
		})),
	}
}

// linkAttributes adds what every element has. NICs need no name.
func linkAttributes(named bool, more map[string]schema.Attribute) map[string]schema.Attribute {
	const known = "Name in the system: a letter, and up to 14 letters, digits, dots, dashes and underscores."
	more["name"] = word(known + " Default: the one in the inventory, and `boot0` for the NIC the machine boots from.")
	if named {
		more["name"] = needed(known)
	}
	more["primary"] = yesOrNo("It has the machine's own address, gateway and name servers. Default: that is the NIC the machine boots from.")
	more["dhcp4"] = yesOrNo("Ask for an IPv4 address. Default: `false`.")
	more["dhcp6"] = yesOrNo("Ask for an IPv6 address. Default: `false`.")
	more["accept_ra"] = yesOrNo("Heed router advertisements. Default: as the system does.")
	more["subnets"] = names("Names of `metal_subnet` that the machine gets an address of its own on, for this element: the one that is reserved for it, or the next free one. It keeps it over redeployments. Default: none.")
	more["addresses"] = names("Addresses with the length of their subnet, as in `192.0.2.7/24`. Default: none.")
	more["mtu"] = number("Bytes of the largest packet. Default: as the system does.", 68, 65_535)
	more["routes"] = elementsOf("Static routes. Default: none.", map[string]schema.Attribute{
		"to":     needed("Subnet; `0.0.0.0/0` and `::/0` are the default routes."),
		"via":    needed("Address of the gateway."),
		"metric": number("The route with the lower one is taken. Default: as the system does.", 1, 1<<31-1),
	})
	more["dns"] = names("Addresses of name servers. Default: none but those of the machine's subnet.")
	more["search"] = names("DNS search domains. Default: none but that of the machine's subnet.")
	return more
}

func sibling(name string) path.Expression { return path.MatchRelative().AtParent().AtName(name) }

func number(description string, least, most int64) schema.Int64Attribute {
	return schema.Int64Attribute{Optional: true, MarkdownDescription: description, Validators: []validator.Int64{int64validator.Between(least, most)}}
}
