package redfish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/bmc"
	"github.com/metalform/terraform-provider-metal/server/internal/bmc/bmctest"
)

var account = bmctest.Account{Username: "admin", Password: metal.NewSecret("secret123")}

// start starts a virtual BMC for the length of the test.
func start(t *testing.T, hw bmctest.Hardware) *bmctest.Redfish {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	id := bmctest.Identity{UUID: "4c4c4544-0051-3010-8053-b7c04f4e3732", Name: "n1"}
	b, err := bmctest.NewRedfish(ln, hw, id, account, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run ended with %v; want nil", err)
		}
	})
	return b
}

// pinned returns the endpoint of b with its certificate pinned.
func pinned(b *bmctest.Redfish) bmc.Endpoint {
	return bmc.Endpoint{
		Address: b.Addr(), Username: account.Username, Password: account.Password,
		TLS: metal.BMCTLS{Fingerprint: b.Fingerprint()}, Timeout: 10 * time.Second,
	}
}

func dial(t *testing.T, e bmc.Endpoint) bmc.Controller {
	t.Helper()
	c, err := Dial(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func expectPower(t *testing.T, c bmc.Controller, want metal.Power) {
	t.Helper()
	if got, err := c.Power(t.Context()); got != want || err != nil {
		t.Errorf("Power: got %s, %v; want %s", got, err, want)
	}
}

// A journal is what a machine did, written by the goroutines of its BMC.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

func (j *journal) read() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.lines)
}

func TestControllerDrivesTheMachine(t *testing.T) {
	var log journal
	hw := &bmctest.Fake{
		OnPowerOn:  func(b bmctest.Boot) { log.add(fmt.Sprintf("on %s once=%t uefi=%t", b.Device, b.Once, b.UEFI)) },
		OnPowerOff: func() { log.add("off") },
	}
	c := dial(t, pinned(start(t, hw)))
	for _, step := range []struct {
		boot  metal.BootDevice
		mode  metal.BootMode
		power metal.Power
	}{
		{"", "", metal.PowerOff}, // as it is
		{metal.BootNetwork, metal.UEFI, metal.PowerOn},
		{"", "", metal.PowerOn},
		{"", "", metal.PowerOff},
		{metal.BootDisk, metal.BIOS, metal.PowerOn},
	} {
		if step.boot != "" {
			if err := c.BootOnce(t.Context(), step.boot, step.mode); err != nil {
				t.Errorf("BootOnce(%s, %s): %v", step.boot, step.mode, err)
			}
		}
		if err := c.SetPower(t.Context(), step.power); err != nil {
			t.Errorf("SetPower(%s): %v", step.power, err)
		}
		expectPower(t, c, step.power)
	}
	if err := c.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	want := []string{"on network once=true uefi=true", "off", "on disk once=true uefi=false"}
	if diff := cmp.Diff(want, log.read()); diff != "" {
		t.Errorf("what the machine did (-want +got):\n%s", diff)
	}
}

func TestCloseFreesTheSession(t *testing.T) {
	b := start(t, &bmctest.Fake{})
	for range 40 { // the BMC has room for 16 sessions
		if err := dial(t, pinned(b)).Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
}

func TestDialTrustsOneWay(t *testing.T) {
	b := start(t, &bmctest.Fake{})
	wrong := strings.Repeat("ab", 32)
	for _, c := range []struct {
		name string
		tls  metal.BMCTLS
		want error
	}{
		{"the pinned certificate", metal.BMCTLS{Fingerprint: strings.ToUpper(b.Fingerprint())}, nil},
		{"not another than the pinned", metal.BMCTLS{Fingerprint: wrong}, bmc.ErrUntrusted},
		{"not another than the pinned, insecure or not", metal.BMCTLS{Fingerprint: wrong, Insecure: true}, bmc.ErrUntrusted},
		{"not a self-signed one", metal.BMCTLS{}, bmc.ErrUntrusted},
		{"any where it is insecure", metal.BMCTLS{Insecure: true}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := pinned(b)
			e.TLS = c.tls
			controller, err := Dial(t.Context(), e)
			if err == nil {
				err = controller.Close()
			}
			if !errors.Is(err, c.want) || errors.Is(err, bmc.ErrUnreachable) {
				t.Errorf("got %v; want %v", err, c.want)
			}
		})
	}
}

func TestControllerFails(t *testing.T) {
	hw := &bmctest.Fake{}
	b := start(t, hw)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	on := func(ctx context.Context, c bmc.Controller) error { return c.SetPower(ctx, metal.PowerOn) }
	hurried := func(act func(context.Context, bmc.Controller) error) func(context.Context, bmc.Controller) error {
		return func(ctx context.Context, c bmc.Controller) error {
			c.(*controller).timeout = 300 * time.Millisecond
			return act(ctx, c)
		}
	}
	with := func(change func(*bmc.Endpoint)) bmc.Endpoint {
		e := pinned(b)
		change(&e)
		return e
	}
	quick := func(e *bmc.Endpoint) { e.Timeout = 700 * time.Millisecond }
	for _, c := range []struct {
		name     string
		e        bmc.Endpoint
		faults   bmctest.Faults // after the login, if there is an act
		hardware error
		act      func(context.Context, bmc.Controller) error
		want     error
		text     string
	}{
		{"with a wrong password", with(func(e *bmc.Endpoint) { e.Password = metal.NewSecret("hunter2!") }), bmctest.Faults{}, nil, nil, bmc.ErrRefused, "The user name or password is wrong."},
		{"with an unknown user", with(func(e *bmc.Endpoint) { e.Username = "root" }), bmctest.Faults{}, nil, nil, bmc.ErrRefused, "401"},
		{"when the BMC is silent", with(quick), bmctest.Faults{Silent: true}, nil, nil, bmc.ErrUnreachable, ""},
		{"when nobody listens", with(func(e *bmc.Endpoint) { e.Address = closed.Addr().String() }), bmctest.Faults{}, nil, nil, bmc.ErrUnreachable, "refused"},
		{"when the BMC falls silent", pinned(b), bmctest.Faults{Silent: true}, nil, hurried(on), bmc.ErrUnreachable, ""},
		{"when the BMC is too slow", pinned(b), bmctest.Faults{SlowBy: 20 * time.Second}, nil, hurried(on), bmc.ErrUnreachable, ""},
		{"when power is refused", pinned(b), bmctest.Faults{RefusePower: true}, nil, on, nil, "500 Internal Server Error: The chassis refused to change the power state."},
		{"when the hardware fails", pinned(b), bmctest.Faults{}, errors.New("the relay is stuck"), on, nil, "the relay is stuck"},
		{"with a boot device that there is not", pinned(b), bmctest.Faults{}, nil,
			func(ctx context.Context, c bmc.Controller) error { return c.BootOnce(ctx, "tape", metal.BIOS) }, nil, `"tape" is not a boot device`},
		{"with a power state that there is not", pinned(b), bmctest.Faults{}, nil,
			func(ctx context.Context, c bmc.Controller) error { return c.SetPower(ctx, metal.PowerUnknown) }, nil, "on or off"},
		{"with a system that there is not", with(func(e *bmc.Endpoint) { e.Address += "/redfish/v1/Systems/7" }), bmctest.Faults{}, nil, on, bmc.ErrUnsupported, "/redfish/v1/Systems/7"},
		{"with an address that cannot be", with(func(e *bmc.Endpoint) { e.Address = "https://bmc/rest" }), bmctest.Faults{}, nil, nil, nil, "leave it out"},
		{"with a fingerprint that cannot be", with(func(e *bmc.Endpoint) { e.TLS.Fingerprint = "12" }), bmctest.Faults{}, nil, nil, nil, "64 hex digits"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.act == nil {
				b.SetFaults(c.faults)
			}
			defer b.SetFaults(bmctest.Faults{})
			opened, err := Dial(t.Context(), c.e)
			if err == nil && c.act != nil {
				b.SetFaults(c.faults)
				hw.SetFault(c.hardware)
				err = c.act(t.Context(), opened)
				b.SetFaults(bmctest.Faults{})
				hw.SetFault(nil)
				_ = opened.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.text) || strings.Contains(err.Error(), "hunter2!") {
				t.Fatalf("got error %v; want one with %q and without the password", err, c.text)
			}
			for _, sentinel := range []error{bmc.ErrRefused, bmc.ErrUnreachable, bmc.ErrUnsupported, bmc.ErrUntrusted} {
				if got := errors.Is(err, sentinel); got != errors.Is(c.want, sentinel) {
					t.Errorf("errors.Is(%v, %q): got %t", err, sentinel, got)
				}
			}
		})
	}
	if power, _ := hw.Power(t.Context()); power != metal.PowerOff {
		t.Errorf("power: got %s; want off", power)
	}
}

func TestCallEndsWhenItsContextIsCancelled(t *testing.T) {
	b := start(t, &bmctest.Fake{})
	c := dial(t, pinned(b))
	b.SetFaults(bmctest.Faults{Silent: true})
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := c.Power(ctx)
		failed <- err
	}()
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) || errors.Is(err, bmc.ErrUnreachable) {
		t.Errorf("got %v; want %v", err, context.Canceled)
	}
	b.SetFaults(bmctest.Faults{})
	if err := c.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}
