package fleet_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/fleet"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// anyFile has every boot file.
type anyFile struct{}

func (anyFile) Fetch(context.Context, metal.BootFile) error { return nil }

func withBootFiles(c *fleet.Config) { c.BootFiles = anyFile{} }

func profileOf(name string, change func(*metal.BootProfileSpec)) api.PutBootProfileRequest {
	spec := metal.BootProfileSpec{Kernel: &metal.BootFile{Source: "https://boot.example.org/linux"}, Unknown: true}
	change(&spec)
	return api.PutBootProfileRequest{ByName: named(name), Body: api.BootProfileBody{BootProfileSpec: spec}}
}

func TestStrangersCannotFillTheDatabaseWithInstallations(t *testing.T) {
	r := start(t, withBootFiles)
	_, err := r.PutBootProfile(t.Context(), profileOf("p", func(*metal.BootProfileSpec) {}))
	must(t, err)
	mac := func(n int) metal.MAC { return metal.MACOf([]byte{0x52, 0x54, 1, byte(n >> 16), byte(n >> 8), byte(n)}) }
	const most = 10_000
	must(t, r.db.Update(t.Context(), func(tx *store.Tx) error {
		for n := range most - 1 {
			i := &metal.Installation{MAC: mac(n), Profile: "p", Version: 1, State: metal.Installed}
			if err := tx.PutInstallation(i, metal.NewSecret("t")); err != nil {
				return err
			}
		}
		return nil
	}))
	last, err := r.BootInstaller(t.Context(), mac(most), netip.Addr{})
	if err != nil || last == nil {
		t.Fatalf("the last that is remembered: got %v, %v; want it installed", last, err)
	}
	_, err = r.BootInstaller(t.Context(), mac(most+1), netip.Addr{})
	wantRefusal(t, "one more", err, metal.Exhausted, "10000 installations are remembered")
	if again, err := r.BootInstaller(t.Context(), mac(most), netip.Addr{}); err != nil || again == nil || again.Boots != 2 {
		t.Errorf("one that began before: got %+v, %v; want it to go on", again, err)
	}
}

func TestAPasswordInTheSourceOfABootFileIsRefused(t *testing.T) {
	r := start(t, withBootFiles)
	for secret, want := range map[string]string{
		"https://me:hunter2@boot.example.org/a":  "has a user name or a password in it",
		"https://me:hunter%2@boot.example.org/a": "is neither an http(s) URL nor an absolute path",
	} {
		for name, change := range map[string]func(*metal.BootProfileSpec){
			"kernel": func(s *metal.BootProfileSpec) { s.Kernel.Source = secret },
			"initrd": func(s *metal.BootProfileSpec) { s.Initrds = []metal.BootFile{{Source: secret}} },
			"iso":    func(s *metal.BootProfileSpec) { s.Kernel, s.ISO = nil, &metal.BootFile{Source: secret} },
		} {
			_, err := r.PutBootProfile(t.Context(), profileOf("p", change))
			wantRefusal(t, name, err, metal.Invalid, want)
			if strings.Contains(err.Error(), "hunter") {
				t.Errorf("%s: got %v; want no password in it", name, err)
			}
		}
	}
}
