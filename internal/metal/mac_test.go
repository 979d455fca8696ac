package metal_test

import (
	"encoding/json"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestParseMAC(t *testing.T) {
	for _, test := range []struct {
		name, in string
		want     metal.MAC // empty: refused
	}{
		{"colons", "52:54:00:12:34:56", "52:54:00:12:34:56"},
		{"upper case", "52:54:00:AB:CD:EF", "52:54:00:ab:cd:ef"},
		{"dashes, as Windows writes", "52-54-00-12-34-56", "52:54:00:12:34:56"},
		{"dots, as Cisco writes", "5254.0012.3456", "52:54:00:12:34:56"},
		{"digits alone", "525400123456", "52:54:00:12:34:56"},
		{"space around it", " 52:54:00:12:34:56\n", "52:54:00:12:34:56"},
		{"a locally administered address", "02:00:00:00:00:01", "02:00:00:00:00:01"},
		{"nothing", "", ""},
		{"five bytes", "52:54:00:12:34", ""},
		{"seven bytes", "52:54:00:12:34:56:78", ""},
		{"the eight bytes of InfiniBand", "00:02:c9:03:00:11:22:33", ""},
		{"half a byte", "52:54:00:12:34:5", ""},
		{"no hex digits", "52:54:00:12:34:5g", ""},
		{"a multicast address", "01:00:5e:00:00:01", ""},
		{"the broadcast address", "ff:ff:ff:ff:ff:ff", ""},
		{"the zero address", "00:00:00:00:00:00", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := metal.ParseMAC(test.in)
			if got != test.want || (err == nil) != (test.want != "") {
				t.Errorf("got %q, %v; want %q", got, err, test.want)
			}
			if err != nil && metal.CodeOf(err) != metal.Invalid {
				t.Errorf("code: got %s; want invalid", metal.CodeOf(err))
			}
		})
	}
}

func FuzzParseMAC(f *testing.F) {
	for _, seed := range []string{"52:54:00:12:34:56", "5254.0012.3456", "", "01:00:5e:00:00:01", "::::::", "-5-2-5-4-0-0-1-2-3-4-5-6"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		mac, err := metal.ParseMAC(s)
		if err != nil {
			return
		}
		if again, err := metal.ParseMAC(string(mac)); err != nil || again != mac {
			t.Errorf("%q is %q, and that is %q, %v; want it canonical", s, mac, again, err)
		}
	})
}

func TestMACOfRawBytes(t *testing.T) {
	if got := metal.MACOf([]byte{0x52, 0x54, 0, 1, 2, 0xff}); got != "52:54:00:01:02:ff" {
		t.Errorf("six bytes: got %q", got)
	}
	if got := metal.MACOf([]byte{1, 2, 3}); got != "" {
		t.Errorf("three bytes: got %q; want none", got)
	}
}

func TestMACsInJSON(t *testing.T) {
	for in, want := range map[string]metal.MAC{`"52-54-00-AB-CD-EF"`: "52:54:00:ab:cd:ef", `""`: ""} {
		var mac metal.MAC
		if err := json.Unmarshal([]byte(in), &mac); err != nil || mac != want {
			t.Errorf("%s: got %q, %v; want %q", in, mac, err, want)
		}
		text, err := json.Marshal(mac)
		if err != nil || string(text) != `"`+string(want)+`"` {
			t.Errorf("back to JSON: got %s, %v", text, err)
		}
	}
	var mac metal.MAC
	if err := json.Unmarshal([]byte(`"nonsense"`), &mac); err == nil {
		t.Errorf("nonsense was taken as %q", mac)
	}
}
