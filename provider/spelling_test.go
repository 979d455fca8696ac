package main

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestSpellingsOfTheSameThingAreTheSame(t *testing.T) {
	tests := []struct {
		name string
		kind spelling
		a, b string
		want bool
	}{
		{"a MAC with dashes is the one with colons", macSpelling, "52-54-00-AA-BB-CC", "52:54:00:aa:bb:cc", true},
		{"a MAC as Cisco writes it is the one with colons", macSpelling, "5254.00aa.bbcc", "52:54:00:aa:bb:cc", true},
		{"another MAC is another", macSpelling, "52:54:00:aa:bb:cd", "52:54:00:aa:bb:cc", false},
		{"what is no MAC is the same as itself only", macSpelling, "nonsense", "52:54:00:aa:bb:cc", false},
		{"zeros of an IPv6 address may be left out", addressSpelling, "fd00:0:0::1", "FD00::1", true},
		{"an IPv6 network has one meaning", networkSpelling, "FD00:0::/64", "fd00::/64", true},
		{"the prefix length counts", networkSpelling, "10.0.0.0/24", "10.0.0.0/25", false},
		{"an hour is sixty minutes", durationSpelling, "60m", "1h", true},
		{"white space around a key means nothing", publicKeySpelling, "ssh-ed25519  AAAA me\n", "ssh-ed25519 AAAA me", true},
		{"the comment of a key counts", publicKeySpelling, "ssh-ed25519 AAAA you", "ssh-ed25519 AAAA me", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.kind.same(tt.a, tt.b); got != tt.want {
				t.Errorf("%q and %q: got same %v; want %v", tt.a, tt.b, got, tt.want)
			}
		})
	}
}

func FuzzCanonicalSpellingIsStable(f *testing.F) {
	f.Add("52-54-00-AA-BB-CC")
	f.Add("fd00:0:0::1")
	f.Add("10.0.0.0/8")
	f.Add("90s")
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range []spelling{macSpelling, addressSpelling, networkSpelling, fingerprintSpelling, publicKeySpelling, durationSpelling} {
			once, err := s.canonical(text)
			if err != nil {
				continue
			}
			if twice, err := s.canonical(once); err != nil || twice != once {
				t.Errorf("%s %q: got %q and then %q (%v); want the same", s, text, once, twice, err)
			}
		}
	})
}

func TestZeroFromTheServerKeepsWhatTheUserWrote(t *testing.T) {
	if got := newString(types.StringNull(), ""); !got.IsNull() {
		t.Errorf("got %v for an absent text; want null", got)
	}
	if got := newString(types.StringValue(""), ""); got != types.StringValue("") {
		t.Errorf("got %v for a text written as empty; want it empty", got)
	}
	if got := newString(types.StringValue("old"), ""); !got.IsNull() {
		t.Errorf("got %v for a text that was taken away; want null", got)
	}
	empty := types.SetValueMust(types.StringType, nil)
	if got := newSet[string](empty, nil); !got.Equal(empty) {
		t.Errorf("got %v for a set written as empty; want it empty", got)
	}
	if got := newSet[string](types.SetNull(types.StringType), nil); !got.IsNull() {
		t.Errorf("got %v for an absent set; want null", got)
	}
}

func TestReaderReadsAheadOnlyWhenManyObjectsAreAskedFor(t *testing.T) {
	var calls []string
	list := func(_ context.Context, in api.ListByIDsRequest) (api.List[metal.Allocation], error) {
		out := api.List[metal.Allocation]{}
		if len(in.IDs) == 0 {
			calls = append(calls, "page after "+in.After)
			for _, id := range []string{"a", "b", "c", "d", "e"} {
				out.Items = append(out.Items, metal.Allocation{ID: id})
			}
			return out, nil
		}
		calls = append(calls, "ids "+in.IDs[0])
		if in.IDs[0] != "gone" {
			out.Items = []metal.Allocation{{ID: in.IDs[0]}}
		}
		return out, nil
	}
	r := newReader(list, func(p api.Page, ids []string) api.ListByIDsRequest {
		return api.ListByIDsRequest{Page: p, IDs: ids}
	}, func(a metal.Allocation) string { return a.ID })
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		if got, err := r.get(t.Context(), id); err != nil || got.ID != id {
			t.Fatalf("got %v, %v; want %s", got, err, id)
		}
	}
	if _, err := r.get(t.Context(), "gone"); metal.CodeOf(err) != metal.NotFound {
		t.Errorf("got %v for what is on no page; want it asked for, and not found", err)
	}
	if _, fresh := r.known("d", time.Now().Add(2*aheadKeeps)); fresh {
		t.Error("got an old object; want it asked for again")
	}
	want := []string{"ids a", "ids b", "ids c", "page after ", "ids gone"}
	if diff := cmp.Diff(want, calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestInventorySchemaHasEveryFieldThatTheAPITells(t *testing.T) {
	seen := metal.Inventory{
		Arch: metal.AMD64, TPM: "2.0", BMC: &metal.BMCSeen{Address: "10.0.0.1"}, Memory: metal.Memory{DIMMs: []metal.DIMM{{Slot: "A1", Bytes: 1 << 34}}},
		NICs: []metal.NIC{{Name: "eth0", LLDP: &metal.Neighbor{Chassis: "sw1", VLAN: 20}}},
	}
	value, err := inventoryValue(t.Context(), seen)
	if err != nil {
		t.Fatal(err)
	}
	nic := value.Attributes()["nics"].(types.List).Elements()[0].(types.Object)
	if got := nic.Attributes()["lldp"].(types.Object).Attributes()["vlan"]; !got.Equal(types.Int64Value(20)) {
		t.Errorf("got VLAN %v; want 20", got)
	}
	dimm := value.Attributes()["memory"].(types.Object).Attributes()["dimms"].(types.List).Elements()[0].(types.Object)
	if got := dimm.Attributes()["bytes"]; !got.Equal(types.Int64Value(1 << 34)) {
		t.Errorf("got %v bytes; want %d", got, int64(1)<<34)
	}
}

func TestEveryAttributeIsDescribed(t *testing.T) {
	ctx := t.Context()
	p := newProvider("test")()
	var own provider.SchemaResponse
	p.Schema(ctx, provider.SchemaRequest{}, &own)
	for name, a := range own.Schema.Attributes {
		described(t, "provider", name, a.GetMarkdownDescription())
	}
	for _, make := range p.Resources(ctx) {
		var schema resource.SchemaResponse
		r := make()
		r.Schema(ctx, resource.SchemaRequest{}, &schema)
		if diags := schema.Schema.ValidateImplementation(ctx); diags.HasError() {
			t.Error(diags)
		}
		for name, a := range schema.Schema.Attributes {
			described(t, "resource", name, a.GetMarkdownDescription())
		}
	}
	for _, make := range p.DataSources(ctx) {
		var schema datasource.SchemaResponse
		make().Schema(ctx, datasource.SchemaRequest{}, &schema)
		if diags := schema.Schema.ValidateImplementation(ctx); diags.HasError() {
			t.Error(diags)
		}
		for name, a := range schema.Schema.Attributes {
			described(t, "data source", name, a.GetMarkdownDescription())
		}
	}
}

func described(t *testing.T, kind, name, description string) {
	t.Helper()
	if description == "" {
		t.Errorf("%s attribute %s has no description", kind, name)
	}
}
