package main

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
)

// TestThingsOfTheNetworkAreMadeImportedAndChangedInPlace walks each kind through its life: made, imported without a
// difference, changed in place, spelt in another way without a change.
func TestThingsOfTheNetworkAreMadeImportedAndChangedInPlace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		address, id, made, changed, respelt string
		ignore                              []string
	}{
		{
			"metal_fabric.x", "hall2", `name = "hall2"`, `name = "hall2"
			description = "second hall"`, "", nil,
		},
		{"metal_space.x", "inner", `name = "inner"`, `name = "inner"
			description = "inside"`, "", nil},
		{
			"metal_vlan.x", "storage", `name = "storage"
			vid = 30`, `name = "storage"
			vid = 30
			mtu = 9000
			router_advertisements = { enabled = true, managed = true }`, `name = "storage"
			vid = 30
			mtu = 9000
			router_advertisements = { enabled = true, managed = true, other = false }`, nil,
		},
		{
			"metal_ip_range.x", "guests", `name = "guests"
			subnet = "office"
			first = "10.30.2.0"
			last = "10.30.2.99"`, `name = "guests"
			subnet = "office"
			first = "10.30.2.0"
			last = "10.30.2.199"
			options = { syslog = ["fd00::5"], custom = [{ code = 128, type = "text", value = "x" }] }`, `name = "guests"
			subnet = "office"
			first = "10.30.2.0"
			last = "10.30.2.199"
			options = { syslog = ["FD00::0:5"], custom = [{ code = 128, type = "text", value = "x" }] }`, []string{"options"},
		},
		{
			"metal_ip_reservation.x", "scope", `name = "scope"
			subnet = "lab"
			mac = "52-54-00-AA-00-20"`, `name = "scope"
			subnet = "lab"
			mac = "52-54-00-AA-00-20"
			hostname = "scope"`, `name = "scope"
			subnet = "lab"
			mac = "52:54:00:aa:00:20"
			hostname = "scope"`, []string{"mac"},
		},
		{
			"metal_static_route.x", "r", `name = "r"
			subnet = "lab"
			destination = "10.90.0.0/16"
			gateway = "10.31.0.1"`, `name = "r"
			subnet = "lab"
			destination = "10.90.0.0/16"
			gateway = "10.31.0.1"
			metric = 5`, "", nil,
		},
		{
			"metal_device.x", "tor-1", `name = "tor-1"
			interfaces = [{ mac = "52:54:00:bb:00:01", subnet = "lab", address = "10.31.0.11" }]`, `name = "tor-1"
			tags = ["switch", "tor"]
			interfaces = [{ mac = "52:54:00:bb:00:01", subnet = "lab", address = "10.31.0.11" }]`, `name = "tor-1"
			tags = ["tor", "switch"]
			interfaces = [{ mac = "52:54:00:BB:00:01", subnet = "lab", address = "10.31.0.11" }]`, nil,
		},
		{
			"metal_dns_zone.x", "example.net", `name = "example.net"`, `name = "example.net"
			ttl = 300
			transfer = { networks = ["fd00::/64"], keys = ["a", "b"], notify = ["10.0.0.1"] }`, `name = "example.net"
			ttl = 300
			transfer = { networks = ["FD00::/64"], keys = ["b", "a"], notify = ["10.0.0.1"] }`, nil,
		},
		{
			"metal_dns_record.x", "example.net/www/CNAME", `zone = "example.net"
			name = "www"
			type = "CNAME"
			values = ["web"]`, `zone = "example.net"
			name = "www"
			type = "CNAME"
			ttl = 5
			values = ["web"]`, `zone = "example.net"
			name = "www"
			type = "CNAME"
			ttl = 5
			values = ["WEB.example.net."]`, []string{"values"},
		},
		{
			"metal_dns_key.x", "k", `name = "k"
			secret_wo = "c2VjcmV0"`, `name = "k"
			algorithm = "hmac-sha512"
			secret_wo = "c2VjcmV0"`, "", []string{"secret_wo"},
		},
	} {
		t.Run(c.address, func(t *testing.T) {
			t.Parallel()
			l := startLab(t)
			kind := c.address[:len(c.address)-2]
			block := func(body string) string { return "resource \"" + kind + "\" \"x\" {\n" + body + "\n}\n" }
			steps := []resource.TestStep{
				{Config: block(c.made), ConfigStateChecks: []statecheck.StateCheck{check(c.address, "id", text(c.id))}},
				imported(c.address, c.id, c.ignore...),
				{Config: block(c.changed), ConfigPlanChecks: inPlace(c.address)},
			}
			if c.respelt != "" && kind != "metal_dns_record" {
				steps = append(steps, resource.TestStep{Config: block(c.respelt), ConfigPlanChecks: action(c.address, plancheck.ResourceActionNoop)})
			}
			l.run(t, steps...)
		})
	}
}

func TestAPlanKnowsWhatDoesNotChange(t *testing.T) {
	t.Parallel()
	l := startLab(t)
	device := func(more string) string {
		return `resource "metal_device" "x" {
			name = "tor-1"
			interfaces = [{ subnet = "lab", address = "10.31.0.11" }]
			` + more + `
		}`
	}
	l.run(t,
		resource.TestStep{Config: device("")},
		resource.TestStep{
			Config: device(`description = "top of rack"`),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectResourceAction("metal_device.x", plancheck.ResourceActionUpdate),
				plancheck.ExpectKnownValue("metal_device.x", tfjsonpath.New("fqdn"), knownvalue.StringExact("tor-1.fleet.test")),
				plancheck.ExpectKnownValue("metal_device.x", tfjsonpath.New("addresses"), knownvalue.ListSizeExact(1)),
			}},
		},
	)
}

func TestDataSourcesFilter(t *testing.T) {
	t.Parallel()
	l := startLab(t)
	l.run(t, resource.TestStep{
		Config: `
		resource "metal_ip_range" "a" {
			name = "a"
			subnet = "office"
			first = "10.30.2.0"
			last = "10.30.2.99"
		}
		resource "metal_ip_range" "b" {
			name = "b"
			subnet = "lab"
			first = "10.31.2.0"
			last = "10.31.2.99"
			kind = "reserved"
		}
		data "metal_ip_ranges" "lab" {
			subnet = "lab"
			depends_on = [metal_ip_range.a, metal_ip_range.b]
		}
		data "metal_ip_ranges" "none" {
			subnet = "lab"
			kind = "dynamic"
			depends_on = [metal_ip_range.a, metal_ip_range.b]
		}
		data "metal_ip_ranges" "prefix" {
			name_prefix = "a"
			depends_on = [metal_ip_range.a, metal_ip_range.b]
		}
		data "metal_ip_range" "a" { name = metal_ip_range.a.name }`,
		ConfigStateChecks: []statecheck.StateCheck{
			check("data.metal_ip_ranges.lab", "ip_ranges", knownvalue.ListExact([]knownvalue.Check{
				knownvalue.ObjectPartial(map[string]knownvalue.Check{"name": text("b"), "first": text("10.31.2.0")}),
			})),
			check("data.metal_ip_ranges.none", "ip_ranges", knownvalue.ListSizeExact(0)),
			check("data.metal_ip_ranges.prefix", "ip_ranges", knownvalue.ListSizeExact(1)),
			check("data.metal_ip_range.a", "last", text("10.30.2.99")),
		},
	})
}

func TestWrongNetworkArgumentsAreRefusedWhileValidating(t *testing.T) {
	t.Parallel()
	l := startLab(t)
	for body, want := range map[string]string{
		`resource "metal_vlan" "x" {
			name = "x"
			vid = 4095
		}`: `between 0 and 4094`,
		`resource "metal_ip_reservation" "x" {
			name = "x"
			subnet = "lab"
			mac = "nonsense"
		}`: `Invalid MAC address`,
		`resource "metal_ip_reservation" "x" {
			name = "x"
			subnet = "lab"
			mac = "52:54:00:aa:00:20"
			duid = "000100"
		}`: `cannot be specified when`,
		`resource "metal_dns_record" "x" {
			zone = "example.net"
			name = "WWW"
			type = "A"
			values = ["192.0.2.1"]
		}`: `must be a name in lower case`,
		`resource "metal_dns_record" "x" {
			zone = "example.net"
			name = "www"
			type = "SOA"
			values = ["x"]
		}`: `value must be one of`,
		`resource "metal_dns_zone" "x" { name = "example.net." }`: `without a dot at the end`,
	} {
		l.run(t, resource.TestStep{Config: body, ExpectError: says(want)})
	}
}
