package lifecycle

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agentapi"
	"github.com/metalform/terraform-provider-metal/server/internal/bmc"
	"github.com/metalform/terraform-provider-metal/server/internal/seal"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// TestARefusedPasswordIsNotTriedAgainByItself counts logins: BMCs lock accounts.
func TestARefusedPasswordIsNotTriedAgainByItself(t *testing.T) {
	logins := 0
	dial := func(context.Context, bmc.Endpoint) (bmc.Controller, error) {
		logins++
		return nil, fmt.Errorf("log in: %w", bmc.ErrRefused)
	}
	sealer, err := seal.New(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "metald.db"), store.Options{Sealer: sealer, Now: time.Now, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	e, err := New(t.Context(), Config{DB: db, Dial: map[string]bmc.Dial{"ipmi": dial}, Now: time.Now, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	m := &metal.Machine{ID: "m-1", State: metal.Ready, Settled: true, Power: metal.PowerUnknown, Spec: metal.MachineSpec{
		Name: "n1", Pool: "default", MACs: []metal.MAC{"52:54:00:00:00:01"}, BMC: &metal.BMC{Type: "ipmi", Address: "192.0.2.1", Username: "admin"},
	}}
	password := func(text string) {
		t.Helper()
		if err := db.Update(t.Context(), func(tx *store.Tx) error { return tx.SetBMCPassword(m.ID, metal.NewSecret(text)) }); err != nil {
			t.Fatal(err)
		}
	}
	err = db.Update(t.Context(), func(tx *store.Tx) error {
		if err := tx.PutPool(&metal.Pool{Name: "default"}); err != nil {
			return err
		}
		return tx.InsertMachine(m)
	})
	if err != nil {
		t.Fatal(err)
	}
	password("wrong")
	for _, step := range []struct {
		what string
		do   func()
		want int
	}{
		{"the first look", func() { e.observeAll(t.Context()) }, 1},
		{"the next looks", func() { e.observeAll(t.Context()); e.observeAll(t.Context()) }, 1},
		{"a command", func() {
			if err := e.setPower(t.Context(), m, metal.PowerOn); err == nil || !strings.Contains(err.Error(), "refused the user name") {
				t.Errorf("a command: got %v; want the refusal", err)
			}
		}, 2},
		{"a look after another password was set", func() { password("other"); e.observeAll(t.Context()) }, 3},
	} {
		step.do()
		if logins != step.want {
			t.Errorf("logins after %s: got %d; want %d", step.what, logins, step.want)
		}
	}
	if err := db.Update(t.Context(), func(tx *store.Tx) error { return tx.DeleteMachine(m.ID) }); err != nil {
		t.Fatal(err)
	}
	e.observeAll(t.Context())
	if len(e.gates) != 0 || len(e.refused) != 0 {
		t.Errorf("after the machine was forgotten: got %d gates and %d refusals; want none", len(e.gates), len(e.refused))
	}
}

func TestIdleStep(t *testing.T) {
	since := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	withBMC := metal.MachineSpec{BMC: &metal.BMC{Type: "ipmi"}}
	for _, test := range []struct {
		name  string
		m     metal.Machine
		after time.Duration
		want  agentapi.StepKind
		left  time.Duration
	}{
		{"ready, a while ago", metal.Machine{State: metal.Ready, Spec: withBMC}, time.Minute, "", 9 * time.Minute},
		{"ready, for long", metal.Machine{State: metal.Ready, Spec: withBMC}, 10 * time.Minute, agentapi.StepPowerOff, 0},
		{"ready, and nobody could switch it on again", metal.Machine{State: metal.Ready}, time.Hour, "", 0},
		{"ready, with a BMC that is a person", metal.Machine{State: metal.Ready, Spec: metal.MachineSpec{BMC: &metal.BMC{Type: "manual"}}}, time.Hour, "", 0},
		{"deployed, and in the RAM environment by accident", metal.Machine{State: metal.Deployed, Spec: withBMC}, 0, agentapi.StepReboot, 0},
		{"allocated, and about to be deployed", metal.Machine{State: metal.Allocated, Spec: withBMC}, time.Hour, "", 0},
		{"failed, and somebody may want to look", metal.Machine{State: metal.FailedDeployment, Spec: withBMC}, time.Hour, "", 0},
	} {
		s, left := idleStep(&test.m, since, since.Add(test.after), 10*time.Minute)
		var kind agentapi.StepKind
		if s != nil {
			kind = s.Kind
		}
		if kind != test.want || left != test.left {
			t.Errorf("%s: got %q in %s; want %q in %s", test.name, kind, left, test.want, test.left)
		}
	}
}

func TestEveryWorkingStateHasAPlanThatEndsInIt(t *testing.T) {
	for _, w := range metal.Works() {
		found := false
		for _, plan := range plans() {
			for _, s := range plan {
				found = found || s.state == w.State
			}
		}
		if !found {
			t.Errorf("no step brings a machine into %s", w.State)
		}
	}
	for kind, plan := range plans() {
		for _, s := range plan {
			if _, working := metal.Working(s.state); s.state != "" && !working {
				t.Errorf("%s sets the resting state %s at %s", kind, s.state, s.name)
			}
		}
	}
}

func TestABootTokenIsOfOneServerAndForAWhile(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	e := &Engine{cfg: Config{Now: func() time.Time { return now }}, secret: freshSecret()}
	other := &Engine{cfg: e.cfg, secret: freshSecret()}
	token := e.BootToken("52:54:00:00:00:01")
	if mac, nonce, err := e.openBootToken(token); err != nil || mac != "52:54:00:00:00:01" || nonce == "" {
		t.Errorf("our own: got %s, %q, %v", mac, nonce, err)
	}
	if e.BootToken("52:54:00:00:00:01") == token {
		t.Error("two tokens are the same")
	}
	for name, bad := range map[string]string{
		"nothing": "", "cut": token[:len(token)-2], "changed": "A" + token[1:], "of another server": other.BootToken("52:54:00:00:00:01"), "dots": "..",
	} {
		if _, _, err := e.openBootToken(bad); metal.CodeOf(err) != metal.Unauthorized {
			t.Errorf("%s: got %v; want unauthorized", name, err)
		}
	}
	now = now.Add(bootTokenLife + time.Second)
	if _, _, err := e.openBootToken(token); metal.CodeOf(err) != metal.Unauthorized {
		t.Errorf("after its time: got %v; want unauthorized", err)
	}
}
