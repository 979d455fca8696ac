package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/servertest"
)

// fullNetwork has every field of a declaration.
func fullNetwork() metal.NetworkSpec {
	yes, no, delay, priority := true, false, 4, 8192
	link := metal.NetworkLink{
		Name: "l", Primary: true, DHCP4: true, DHCP6: true, AcceptRA: &no, Subnets: []string{"san"}, Addresses: []string{"192.0.2.7/24", "2001:db8::7/64"}, MTU: 9000,
		Routes: []metal.NetworkRoute{{To: "10.0.0.0/8", Via: "192.0.2.1", Metric: 7}}, DNS: []string{"192.0.2.53"}, Search: []string{"example.org"},
	}
	return metal.NetworkSpec{
		Mode:       "dhcp",
		Interfaces: []metal.NetworkInterface{{NetworkLink: link, MAC: "52:54:00:12:34:56"}, {NIC: "eno2"}},
		Bonds: []metal.NetworkBond{{
			NetworkLink: link, Interfaces: []string{"a", "b"}, Mode: "802.3ad", MIIMon: 50, UpDelay: 100, DownDelay: 150, MinLinks: 1, LACPRate: "fast",
			XmitHashPolicy: "layer3+4", PrimaryPort: "a",
		}},
		VLANs:   []metal.NetworkVLAN{{NetworkLink: link, ID: 7, Link: "bond0"}},
		Bridges: []metal.NetworkBridge{{NetworkLink: link, Interfaces: []string{"v"}, STP: &yes, ForwardDelay: &delay, Priority: &priority}},
	}
}

func TestANetworkGoesThereAndBackWhole(t *testing.T) {
	want := fullNetwork()
	object, diags := newNetwork(t.Context(), types.ObjectNull(networkType()), want)
	if diags.HasError() {
		t.Fatal(diags)
	}
	got, diags := networkFrom(t.Context(), object)
	if diags.HasError() {
		t.Fatal(diags)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("after the way through Terraform (-want +got):\n%s", diff)
	}
}

func TestTheServersWordsForTheSameNetworkAreNoChange(t *testing.T) {
	no, mac, name, zero := false, "52-54-00-AB-CD-EF", "lan", int64(0)
	prior := networkModel{Interfaces: []networkInterfaceModel{{MAC: &mac, networkLinkModel: networkLinkModel{Name: &name, DHCP4: &no, MTU: &zero}}}}
	mode := staticMode
	prior.Mode = &mode
	object, diags := types.ObjectValueFrom(t.Context(), networkType(), prior)
	if diags.HasError() {
		t.Fatal(diags)
	}
	now := metal.NetworkSpec{Interfaces: []metal.NetworkInterface{{MAC: "52:54:00:ab:cd:ef", NetworkLink: metal.NetworkLink{Name: "lan"}}}}
	if got, _ := newNetwork(t.Context(), object, now); !got.Equal(object) {
		t.Errorf("got %s; want the words of before, %s", got, object)
	}
	now.Interfaces[0].MTU = 9000
	if got, _ := newNetwork(t.Context(), object, now); got.Equal(object) {
		t.Error("got the words of before; want the MTU that somebody changed")
	}
	if got, _ := newNetwork(t.Context(), types.ObjectNull(networkType()), metal.NetworkSpec{}); !got.Equal(plainNetwork()) {
		t.Errorf("got %s for a deployment that declares nothing; want the default, %s", got, plainNetwork())
	}
}

func TestANetworkIsDeclaredComparedAndRefusedInThePlan(t *testing.T) {
	t.Parallel()
	r := startRack(t)
	box := r.server.NewMachine(t, 42)
	const at = "metal_deployment.web"
	whole := machine("n1", box, servertest.BMCPassword, "") + theirs("debian", r.image(t, "debian", "debian")) +
		"resource \"metal_allocation\" \"web\" {\n  name = \"web\"\n  depends_on = [metal_machine.n1]\n}\n"
	deploy := func(network string) string {
		if network != "" {
			network = "  network = " + network + "\n"
		}
		return whole + "resource \"metal_deployment\" \"web\" {\n  machine_id = metal_allocation.web.machine_id\n  image = \"debian\"\n" + network + "  depends_on = [metal_image.debian]\n}\n" +
			"data \"metal_deployment\" \"web\" {\n  machine_id = metal_deployment.web.machine_id\n}\n"
	}
	declared := fmt.Sprintf(`{
		interfaces = [{ name = "lan", mac = %q, dhcp4 = false }]
		vlans      = [{ name = "san", id = 40, link = "lan", addresses = ["198.51.100.7/24", "2001:db8:40::7/64"], mtu = 1400, routes = [{ to = "198.18.0.0/15", via = "198.51.100.1" }] }]
		bridges    = [{ name = "br0", interfaces = ["san2"], stp = false }, { name = "br1" }]
	}`, strings.ToUpper(strings.ReplaceAll(string(box.MAC), ":", "-")))
	good := strings.Replace(declared, `["san2"]`, `[]`, 1)
	var id string
	stored := func(s *terraform.State) error {
		id = s.RootModule().Resources[at].Primary.ID
		d, err := r.client(t).GetDeployment(t.Context(), api.GetDeploymentRequest{ByID: api.ByID{ID: id}})
		if err != nil {
			return err
		}
		if n := d.Spec.Network; len(n.VLANs) != 1 || n.VLANs[0].ID != 40 || n.VLANs[0].MTU != 1400 || len(n.Bridges) != 2 || n.Interfaces[0].MAC != box.MAC {
			return fmt.Errorf("the server has the network %+v; want what was declared", n)
		}
		return nil
	}
	spelled := imported(at, "mac:"+string(box.MAC)) // in the server's words
	spelled.ImportStateVerifyIgnore = append(spelled.ImportStateVerifyIgnore, "network.interfaces.0.mac", "network.interfaces.0.dhcp4")
	r.run(t,
		resource.TestStep{Config: whole, Check: r.once(t)},
		resource.TestStep{Config: deploy(`{ vlans = [{ name = "v", id = 5000, link = "boot0" }] }`), ExpectError: says(`value must be between 1 and 4094`)},
		resource.TestStep{Config: deploy(`{ interfaces = [{ name = "x" }] }`), ExpectError: says(`No attribute specified when one`)},
		resource.TestStep{Config: deploy(declared), PlanOnly: true, ExpectError: says(`network.bridges\[0\].interfaces\[0\] is "san2", and no element has that name`)},
		resource.TestStep{Config: deploy(good), Check: stored, ConfigStateChecks: []statecheck.StateCheck{
			check(at, "state", text("deployed")),
			statecheck.ExpectKnownValue("data.metal_deployment.web", tfjsonpath.New("network").AtMapKey("vlans").AtSliceIndex(0).AtMapKey("id"), knownvalue.Int64Exact(40)),
		}},
		spelled,
		resource.TestStep{ // somebody else takes it away: the plan puts it back
			PreConfig: func() {
				d, err := r.client(t).GetDeployment(t.Context(), api.GetDeploymentRequest{ByID: api.ByID{ID: id}})
				if err != nil {
					t.Fatal(err)
				}
				d.Spec.Network = metal.NetworkSpec{Mode: staticMode}
				if _, err := r.client(t).UpdateDeployment(t.Context(), api.UpdateDeploymentRequest{ByID: api.ByID{ID: id}, Body: api.DeploymentBody{DeploymentSpec: d.Spec}}); err != nil {
					t.Fatal(err)
				}
			},
			Config:           deploy(good),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(at, plancheck.ResourceActionUpdate)}},
			Check:            stored,
		},
		resource.TestStep{
			Config: deploy(""), ConfigStateChecks: []statecheck.StateCheck{
				check(at, "pending_changes", knownvalue.SetExact([]knownvalue.Check{text("network")})), check(at, "state", text("deployed")),
			},
		},
	)
}

// FuzzNetwork: what a server says of a network never stops the provider, and comes back as it was.
func FuzzNetwork(f *testing.F) {
	seed, err := json.Marshal(fullNetwork())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte(`{"mode":"dhcp","bonds":[{"name":"b","interfaces":[]}],"bridges":[{"stp":null}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var s metal.NetworkSpec
		if json.Unmarshal(text, &s) != nil {
			return
		}
		object, diags := newNetwork(t.Context(), types.ObjectNull(networkType()), s)
		if diags.HasError() {
			t.Fatal(diags)
		}
		back, diags := networkFrom(t.Context(), object)
		s.Mode = orElse(s.Mode, staticMode)
		if diags.HasError() || spoken[networkModel](back) != spoken[networkModel](s) {
			t.Fatalf("got %s, %v; want %s", spoken[networkModel](back), diags, spoken[networkModel](s))
		}
	})
}
