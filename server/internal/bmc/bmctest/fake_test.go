package bmctest

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestFakeTellsWhatHappened(t *testing.T) {
	var log []string
	hw := &Fake{
		OnPowerOn:  func(b Boot) { log = append(log, "on "+string(b.Device)) },
		OnPowerOff: func() { log = append(log, "off") },
		OnReset:    func(b Boot) { log = append(log, "reset "+string(b.Device)) },
	}
	ctx := t.Context()
	power := func(on bool) func() error { return func() error { return hw.SetPower(ctx, on) } }
	boot := func(d metal.BootDevice, once bool) func() error {
		return func() error { return hw.SetBoot(ctx, d, once, true) }
	}
	for _, step := range []struct {
		name string
		act  func() error
		want []string // what it adds to the log
		next Boot
	}{
		{"reset while off", func() error { return hw.Reset(ctx) }, nil, Boot{}},
		{"shutdown while off", func() error { return hw.Shutdown(ctx) }, nil, Boot{}},
		{"override for once", boot(metal.BootNetwork, true), nil, Boot{metal.BootNetwork, true, true}},
		{"power on uses it up", power(true), []string{"on network"}, Boot{}},
		{"power on again", power(true), nil, Boot{}},
		{"override for good", boot(metal.BootDisk, false), nil, Boot{metal.BootDisk, false, true}},
		{"reset keeps it", func() error { return hw.Reset(ctx) }, []string{"reset disk"}, Boot{metal.BootDisk, false, true}},
		{"shutdown turns it off", func() error { return hw.Shutdown(ctx) }, []string{"off"}, Boot{metal.BootDisk, false, true}},
		{"power off again", power(false), nil, Boot{metal.BootDisk, false, true}},
		{"no override", boot("", false), nil, Boot{}},
	} {
		log = nil
		if err := step.act(); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
		if diff := cmp.Diff(step.want, log); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
		if got := hw.NextBoot(); got != step.next {
			t.Errorf("override after %s: got %+v; want %+v", step.name, got, step.next)
		}
	}
}

func TestFakeLetsTheSystemDecideAboutShutdown(t *testing.T) {
	pressed := 0
	hw := &Fake{OnShutdown: func() { pressed++ }}
	if err := errors.Join(hw.SetPower(t.Context(), true), hw.Shutdown(t.Context())); err != nil {
		t.Fatal(err)
	}
	if power, _ := hw.Power(t.Context()); power != metal.PowerOn || pressed != 1 {
		t.Errorf("got power %s after %d presses; want on after 1", power, pressed)
	}
}

func TestFakeFailsWhenTold(t *testing.T) {
	hw, fault := &Fake{}, errors.New("stuck")
	hw.SetFault(fault)
	ctx := t.Context()
	for name, err := range map[string]error{
		"SetPower": hw.SetPower(ctx, true), "Reset": hw.Reset(ctx), "Shutdown": hw.Shutdown(ctx), "SetBoot": hw.SetBoot(ctx, "", false, false),
	} {
		if !errors.Is(err, fault) {
			t.Errorf("%s: got %v; want %v", name, err, fault)
		}
	}
	hw.SetFault(nil)
	if err := hw.SetBoot(ctx, "tape", true, true); err == nil {
		t.Error("SetBoot to tape: got no error")
	}
}

func TestBootFlagsTellWhatTheHardwareHas(t *testing.T) {
	for _, c := range []struct {
		name    string
		written [5]byte
		device  metal.BootDevice
		once    bool
		want    [5]byte
	}{
		{"never written", [5]byte{}, "", false, [5]byte{}},
		{"as written", [5]byte{0xa0, 0x04}, metal.BootNetwork, true, [5]byte{0xa0, 0x04}},
		{"as written, for good", [5]byte{0xe0, 0x08}, metal.BootDisk, false, [5]byte{0xe0, 0x08}},
		{"used up", [5]byte{0xa0, 0x04}, "", false, [5]byte{}},
		{"no override, with the other flags kept", [5]byte{0x80, 0x00, 0x60}, "", false, [5]byte{0x00, 0x00, 0x60}},
		{"set past the BMC", [5]byte{}, metal.BootNetwork, true, [5]byte{0x80, 0x04}},
		{"set past the BMC to another device", [5]byte{0xa0, 0x04}, metal.BootDisk, false, [5]byte{0xc0, 0x08}},
		{"set past the BMC for good", [5]byte{0xa0, 0x04}, metal.BootNetwork, false, [5]byte{0xc0, 0x04}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := currentFlags(c.written, c.device, c.once); got != c.want {
				t.Errorf("got %x; want %x", got, c.want)
			}
		})
	}
}
