package netconf

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func machine() Machine {
	return Machine{
		NICs: []metal.NIC{{Name: "eno1", MAC: "52:54:00:00:00:01"}, {Name: "eno2", MAC: "52:54:00:00:00:02"}, {Name: "ens3", MAC: "52:54:00:00:00:03"}},
		Boot: "52:54:00:00:00:01",
	}
}

func parse(t *testing.T, text string) metal.NetworkSpec {
	t.Helper()
	var s metal.NetworkSpec
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestResolveCompletesADeclaration(t *testing.T) {
	tests := []struct{ name, declared, want string }{
		{
			"the boot NIC is there without being declared",
			`{"interfaces":[{"nic":"eno2","dhcp4":true}]}`,
			`{"interfaces":[{"mac":"52:54:00:00:00:02","name":"eno2","dhcp4":true},{"mac":"52:54:00:00:00:01","name":"boot0","primary":true}]}`,
		},
		{
			"the boot NIC can be renamed",
			`{"interfaces":[{"mac":"52:54:00:00:00:01","name":"lan"}]}`,
			`{"interfaces":[{"mac":"52:54:00:00:00:01","name":"lan","primary":true}]}`,
		},
		{
			"a bond over the boot NIC carries VLANs and bridges",
			`{"interfaces":[{"nic":"eno2"}],"bonds":[{"name":"bond0","interfaces":["boot0","eno2"],"primary":true}],
			  "vlans":[{"name":"v7","id":7,"link":"bond0"}],"bridges":[{"name":"br7","interfaces":["v7"],"addresses":["192.0.2.1/24"]}]}`,
			`{"interfaces":[{"mac":"52:54:00:00:00:02","name":"eno2"},{"mac":"52:54:00:00:00:01","name":"boot0"}],
			  "bonds":[{"name":"bond0","interfaces":["boot0","eno2"],"primary":true,"mode":"active-backup","miimon":100}],
			  "vlans":[{"name":"v7","id":7,"link":"bond0"}],"bridges":[{"name":"br7","interfaces":["v7"],"addresses":["192.0.2.1/24"]}]}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := parse(t, tt.declared)
			got, err := Resolve(in, machine())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(networkText(t, parse(t, tt.want)), networkText(t, got)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if diff := cmp.Diff(parse(t, tt.declared), in); diff != "" {
				t.Errorf("the declaration changed (-want +got):\n%s", diff)
			}
			again, err := Resolve(got, machine())
			if diff := cmp.Diff(got, again); err != nil || diff != "" {
				t.Errorf("resolved again: %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func networkText(t *testing.T, s metal.NetworkSpec) string {
	t.Helper()
	text, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestResolveNamesTheElementItRefuses(t *testing.T) {
	const two = `"interfaces":[{"nic":"eno2"},{"nic":"ens3"}]`
	tests := []struct{ name, declared, want string }{
		{"an unknown NIC", `{"interfaces":[{"nic":"eth9"}]}`, `network.interfaces[0]: the machine has no NIC called "eth9"`},
		{"an unknown MAC", `{"interfaces":[{"mac":"52:54:00:00:00:09"}]}`, "network.interfaces[0]: the machine has no NIC with"},
		{"neither MAC nor NIC", `{"interfaces":[{"name":"a"}]}`, "network.interfaces[0] needs either mac or nic"},
		{"a NIC twice", `{"interfaces":[{"nic":"eno2"},{"mac":"52:54:00:00:00:02","name":"b"}]}`, "network.interfaces[1] is the NIC"},
		{"a name twice", `{` + two + `,"vlans":[{"name":"eno2","id":1,"link":"ens3"}]}`, "network.vlans[0].name"},
		{"a name that is too long", `{"interfaces":[{"nic":"eno2","name":"abcdefghijklmnop"}]}`, "network.interfaces[0].name"},
		{"a name of a path", `{"interfaces":[{"nic":"eno2","name":"../a"}]}`, "network.interfaces[0].name"},
		{"the loopback's name", `{"interfaces":[{"nic":"eno2","name":"lo"}]}`, "uses itself"},
		{"an address that is none", `{"interfaces":[{"nic":"eno2","addresses":["192.0.2.1"]}]}`, "network.interfaces[0].addresses[0]"},
		{"an MTU too small for IPv6", `{"interfaces":[{"nic":"eno2","addresses":["2001:db8::1/64"],"mtu":1000}]}`, "network.interfaces[0].mtu"},
		{"a route to a host in a subnet", `{"interfaces":[{"nic":"eno2","routes":[{"to":"10.0.0.1/8","via":"192.0.2.1"}]}]}`, "routes[0].to"},
		{"a route via another family", `{"interfaces":[{"nic":"eno2","routes":[{"to":"10.0.0.0/8","via":"fe80::1"}]}]}`, "another family"},
		{"a route twice", `{"interfaces":[{"nic":"eno2","routes":[{"to":"::/0","via":"fe80::1"},{"to":"::/0","via":"fe80::2"}]}]}`, "same metric as network.interfaces[0].routes[0]"},
		{"a name server that is none", `{"interfaces":[{"nic":"eno2","dns":["a"]}]}`, "network.interfaces[0].dns[0]"},
		{"a search domain that is none", `{"interfaces":[{"nic":"eno2","search":["a b"]}]}`, "network.interfaces[0].search[0]"},
		{"a bond of nothing", `{"bonds":[{"name":"bond0"}]}`, "network.bonds[0].interfaces is empty"},
		{"a bond of what is not there", `{"bonds":[{"name":"bond0","interfaces":["eth7"]}]}`, `network.bonds[0].interfaces[0] is "eth7"`},
		{"a bond of a bridge", `{"bonds":[{"name":"b","interfaces":["br0"]}],"bridges":[{"name":"br0"}]}`, "network.bonds[0].interfaces[0] is br0, a bridge"},
		{"lacp_rate without 802.3ad", `{` + two + `,"bonds":[{"name":"b","interfaces":["eno2"],"lacp_rate":"fast"}]}`, "network.bonds[0].lacp_rate"},
		{"a preferred port that is none", `{` + two + `,"bonds":[{"name":"b","interfaces":["eno2"],"primary_port":"ens3"}]}`, "network.bonds[0].primary_port"},
		{"a delay between two looks", `{` + two + `,"bonds":[{"name":"b","interfaces":["eno2"],"up_delay":150}]}`, "multiples of miimon"},
		{"a port of two", `{` + two + `,"bonds":[{"name":"b","interfaces":["eno2"]}],"bridges":[{"name":"br","interfaces":["eno2"]}]}`, "network.bridges[0].interfaces[0] is eno2, which is a port of b already"},
		{"a port with an address", `{"interfaces":[{"nic":"eno2","dhcp4":true}],"bonds":[{"name":"b","interfaces":["eno2"]}]}`, "addresses of its own"},
		{"a VLAN on a port", `{` + two + `,"bonds":[{"name":"b","interfaces":["eno2"]}],"vlans":[{"name":"v","id":1,"link":"eno2"}]}`, "network.vlans[0].link is eno2"},
		{"a VLAN with no number", `{"vlans":[{"name":"v","link":"boot0"}]}`, "network.vlans[0].id is 0"},
		{"a circle", `{"vlans":[{"name":"v","id":1,"link":"br"}],"bridges":[{"name":"br","interfaces":["v"]}]}`, "made of itself"},
		{"a short delay of a spanning tree", `{"bridges":[{"name":"br","stp":true,"forward_delay":1}]}`, "network.bridges[0].forward_delay"},
		{"two primaries", `{"interfaces":[{"nic":"eno2","primary":true},{"nic":"ens3","primary":true}]}`, "network.interfaces[1] is primary, as is network.interfaces[0]"},
		{"nobody with the own address", `{"bonds":[{"name":"b","interfaces":["boot0"]}]}`, "set primary"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Resolve(parse(t, tt.declared), machine())
			if metal.CodeOf(err) != metal.Invalid || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v; want an invalid error with %q", err, tt.want)
			}
		})
	}
}

func FuzzResolve(f *testing.F) {
	f.Add(`{"interfaces":[{"nic":"eno2"}],"bonds":[{"name":"b","interfaces":["eno2"]}]}`)
	f.Add(`{"vlans":[{"name":"v","id":1,"link":"br"}],"bridges":[{"name":"br","interfaces":["v"]}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		var s metal.NetworkSpec
		if json.Unmarshal([]byte(text), &s) != nil {
			t.Skip()
		}
		out, err := Resolve(s, machine())
		if err != nil {
			if metal.CodeOf(err) != metal.Invalid {
				t.Errorf("got %v; want an invalid error", err)
			}
			return
		}
		primary := 0
		for _, e := range elements(&out) {
			if e.link.Primary {
				primary++
			}
		}
		if primary != 1 {
			t.Errorf("got %d primary links; want 1", primary)
		}
	})
}

func TestElementsHaveTheMachinesAddressesOnTheSubnetsTheyName(t *testing.T) {
	m := machine()
	m.Own = map[string]netip.Prefix{"storage": netip.MustParsePrefix("10.0.9.7/24"), "six": netip.MustParsePrefix("2001:db8::7/64")}
	in := parse(t, `{"vlans":[{"name":"v","id":9,"link":"boot0","subnets":["six","storage","later"],"addresses":["10.0.9.7/24","192.0.2.1/24"]}]}`)
	got, err := Resolve(in, m)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"10.0.9.7/24", "192.0.2.1/24", "2001:db8::7/64"}; !cmp.Equal(got.VLANs[0].Addresses, want) {
		t.Errorf("got %v; want those written out and those it has, each once: %v", got.VLANs[0].Addresses, want)
	}
	for _, text := range []string{
		`{"vlans":[{"name":"v","id":9,"link":"boot0","subnets":["six","six"]}]}`,
		`{"vlans":[{"name":"v","id":9,"link":"boot0","subnets":["six"]},{"name":"w","id":8,"link":"boot0","subnets":["six"]}]}`,
		`{"bonds":[{"name":"b","interfaces":["boot0"],"primary":true}],"interfaces":[{"mac":"52:54:00:00:00:01","subnets":["six"]}]}`,
	} {
		if _, err := Resolve(parse(t, text), m); metal.CodeOf(err) != metal.Invalid {
			t.Errorf("%s: got %v; want it refused", text, err)
		}
	}
}
