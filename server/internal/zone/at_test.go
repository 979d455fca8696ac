package zone

import (
	"fmt"
	"testing"

	"github.com/miekg/dns"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestRecordsOfTheVeryName(t *testing.T) {
	zones, err := New(Config{Zone: "lab.example", NameServer: "ns.lab.example", Serial: 5})
	if err != nil {
		t.Fatal(err)
	}
	zones.Change(func(b *Batch) {
		for _, r := range []struct{ name, kind, value string }{
			{"www", "A", "192.0.2.1"}, {"www", "TXT", `"a"`}, {"*.wild", "A", "192.0.2.2"}, {"child", "NS", "ns.child"}, {"ns.child", "A", "192.0.2.3"},
		} {
			b.SetRecordSet(metal.RecordSet{Zone: "lab.example", Name: r.name, Type: r.kind, Spec: metal.RecordSetSpec{Values: []string{r.value}}})
		}
	})
	z, ok := zones.Now().Zone("lab.example")
	if !ok {
		t.Fatal("the zone is not there")
	}
	for name, want := range map[string]string{
		"www.lab.example.":      "[A TXT]",
		"WWW.lab.example":       "[A TXT]",
		"*.wild.lab.example.":   "[A]",
		"x.wild.lab.example.":   "[]", // a wildcard only stands for it
		"wild.lab.example.":     "[]", // there are only names below it
		"child.lab.example.":    "[NS]",
		"ns.child.lab.example.": "[A]",
		"lab.example.":          "[NS SOA]",
		"nosuch.lab.example.":   "[]",
		"www.example.com.":      "[]",
		"a..b":                  "[]",
	} {
		types := []string{}
		for _, set := range z.At(name) {
			types = append(types, dns.Type(set.Type).String())
		}
		if got := fmt.Sprint(types); got != want {
			t.Errorf("%s: got %s; want %s", name, got, want)
		}
	}
	if before, after := len(z.At("lab.example.")), len(z.At("lab.example.")); before != after {
		t.Errorf("asked again: got %d sets; want %d", after, before)
	}
}
