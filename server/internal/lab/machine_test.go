package lab

import (
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func testLog(t *testing.T) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

func power(t *testing.T, n *node, on bool) {
	t.Helper()
	if err := n.SetPower(t.Context(), on); err != nil {
		t.Fatal(err)
	}
}

func setBoot(t *testing.T, n *node, device metal.BootDevice, once bool) {
	t.Helper()
	if err := n.SetBoot(t.Context(), device, once, false); err != nil {
		t.Fatal(err)
	}
}

func reset(t *testing.T, n *node) {
	t.Helper()
	if err := n.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func wantPower(t *testing.T, n *node, want metal.Power) {
	t.Helper()
	if got, err := n.Power(t.Context()); err != nil || got != want {
		t.Errorf("power: got %s, %v; want %s", got, err, want)
	}
}

func wantBoot(t *testing.T, n *node, device metal.BootDevice, once bool) {
	t.Helper()
	gotDevice, gotOnce, err := n.Boot(t.Context())
	if err != nil || gotDevice != device || gotOnce != once {
		t.Errorf("override: got %q once %t, %v; want %q once %t", gotDevice, gotOnce, err, device, once)
	}
}

func wantIndex(t *testing.T, n *node, want int) {
	t.Helper()
	if got, err := n.bootIndex(t.Context()); err != nil || got != want {
		t.Errorf("boot index of the NIC: got %d, %v; want %d", got, err, want)
	}
}

// settle lets the time pass after which a reset counts as a boot, and everything else happen that is due.
func settle() {
	time.Sleep(settleTime + time.Millisecond) // of the bubble's clock
	synctest.Wait()
}

func TestPowerFollowsTheProcess(t *testing.T) {
	n, l := newNode(t)
	wantPower(t, n, metal.PowerOff)
	power(t, n, true)
	wantPower(t, n, metal.PowerOn)
	power(t, n, true)
	if len(l.started) != 1 {
		t.Errorf("on twice started %d processes; want 1", len(l.started))
	}
	power(t, n, false)
	wantPower(t, n, metal.PowerOff)
	power(t, n, false)
	wantPower(t, n, metal.PowerOff)
}

func TestAGuestThatPowersOffIsOffAtOnce(t *testing.T) {
	n, l := newNode(t)
	power(t, n, true)
	l.last().exit()
	wantPower(t, n, metal.PowerOff)
	power(t, n, true)
	wantPower(t, n, metal.PowerOn)
}

func TestAQEMUThatDoesNotStartIsToldOf(t *testing.T) {
	n, l := newNode(t)
	l.fail = errors.New("no memory")
	if err := n.SetPower(t.Context(), true); !errors.Is(err, l.fail) {
		t.Errorf("got %v; want %v", err, l.fail)
	}
	wantPower(t, n, metal.PowerOff)
}

func TestAClosedMachineStaysOff(t *testing.T) {
	n, _ := newNode(t)
	power(t, n, true)
	n.close()
	wantPower(t, n, metal.PowerOff)
	if err := n.SetPower(t.Context(), true); metal.CodeOf(err) != metal.Conflict {
		t.Errorf("power on: got %v; want a %s error", err, metal.Conflict)
	}
}

func TestButtonsReachTheMachineOnlyWhenItIsOn(t *testing.T) {
	n, l := newNode(t)
	for range 2 {
		reset(t, n)
		if err := n.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		power(t, n, true)
	}
	got := l.last().commands()
	if want := []string{"qmp_capabilities", "system_reset", "system_powerdown"}; !slices.Equal(got, want) {
		t.Errorf("got %v; want %v", got, want)
	}
}

func TestAOneTimeOverrideSetWhileOffIsForTheNextStartAlone(t *testing.T) {
	n, l := newNode(t)
	setBoot(t, n, metal.BootDisk, true)
	wantBoot(t, n, metal.BootDisk, true)
	power(t, n, true)
	wantBoot(t, n, "", false)
	wantIndex(t, n, nicFirst) // for a reset; the firmware has read its list
	power(t, n, false)
	power(t, n, true)
	if want := []metal.BootDevice{metal.BootDisk, metal.BootNetwork}; !slices.Equal(l.firsts, want) {
		t.Errorf("started from %v; want %v", l.firsts, want)
	}
}

func TestALastingOverrideStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, l := newNode(t)
		setBoot(t, n, metal.BootDisk, false)
		power(t, n, true)
		reset(t, n)
		settle()
		wantBoot(t, n, metal.BootDisk, false)
		wantIndex(t, n, nicLast)
		power(t, n, false)
		power(t, n, true)
		if want := []metal.BootDevice{metal.BootDisk, metal.BootDisk}; !slices.Equal(l.firsts, want) {
			t.Errorf("started from %v; want %v", l.firsts, want)
		}
		setBoot(t, n, "", false)
		wantIndex(t, n, nicFirst)
		wantBoot(t, n, "", false)
	})
}

func TestAOneTimeOverrideSetWhileOnIsUsedByTheNextReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, l := newNode(t)
		power(t, n, true)
		setBoot(t, n, metal.BootDisk, true)
		wantIndex(t, n, nicLast)
		settle()
		wantBoot(t, n, metal.BootDisk, true) // time alone does not use it
		l.last().reset()                     // the guest reboots
		settle()
		wantBoot(t, n, "", false)
		wantIndex(t, n, nicFirst)
		wantPower(t, n, metal.PowerOn)
		if len(l.started) != 1 {
			t.Errorf("a reboot took %d processes; want the same one", len(l.started))
		}
	})
}

func TestSeaBIOSsSecondResetFindsTheOverrideToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, l := newNode(t)
		power(t, n, true)
		setBoot(t, n, metal.BootDisk, true)
		reset(t, n)
		time.Sleep(40 * time.Millisecond) // of the bubble's clock
		wantIndex(t, n, nicLast)
		l.last().reset()
		time.Sleep(settleTime - time.Millisecond)
		synctest.Wait()
		wantIndex(t, n, nicLast) // the count starts again with the second
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		wantIndex(t, n, nicFirst)
	})
}

func TestAnOverrideSetAfterAResetWaitsForTheNextOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := newNode(t)
		power(t, n, true)
		reset(t, n)
		setBoot(t, n, metal.BootDisk, true)
		settle()
		wantBoot(t, n, metal.BootDisk, true)
		wantIndex(t, n, nicLast)
	})
}

func TestPowerOffBeforeAResetKeepsTheOverride(t *testing.T) {
	n, l := newNode(t)
	power(t, n, true)
	setBoot(t, n, metal.BootDisk, true)
	power(t, n, false)
	wantBoot(t, n, metal.BootDisk, true)
	power(t, n, true)
	if got := l.firsts[1]; got != metal.BootDisk {
		t.Errorf("started from %s; want %s", got, metal.BootDisk)
	}
}

func TestPowerOffSoonAfterAResetDoesNotKeepTheOverride(t *testing.T) {
	n, l := newNode(t)
	power(t, n, true)
	setBoot(t, n, metal.BootDisk, true)
	reset(t, n)
	power(t, n, false)
	wantBoot(t, n, "", false)
	power(t, n, true)
	if got := l.firsts[1]; got != metal.BootNetwork {
		t.Errorf("started from %s; want %s", got, metal.BootNetwork)
	}
}

func TestAnUnknownBootDeviceIsRefused(t *testing.T) {
	n, _ := newNode(t)
	if err := n.SetBoot(t.Context(), "floppy", true, false); metal.CodeOf(err) != metal.Invalid {
		t.Errorf("got %v; want an %s error", err, metal.Invalid)
	}
	wantBoot(t, n, "", false)
}
