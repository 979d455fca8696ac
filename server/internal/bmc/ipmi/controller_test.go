package ipmi

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

// run runs a service until the returned function is called, or else until the test ends.
func run(t *testing.T, service func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- service(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run ended with %v; want nil", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// start starts a virtual BMC at an address; "127.0.0.1:0" for any port.
func start(t *testing.T, hw bmctest.Hardware, addr string) (b *bmctest.IPMI, stop func()) {
	t.Helper()
	conn, err := net.ListenPacket("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	b, err = bmctest.NewIPMI(conn, hw, bmctest.Identity{UUID: "4c4c4544-0051-3010-8053-b7c04f4e3732"}, account, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return b, run(t, b.Run)
}

func endpoint(addr string) bmc.Endpoint {
	return bmc.Endpoint{Address: addr, Username: account.Username, Password: account.Password, Timeout: 10 * time.Second}
}

func dial(t *testing.T, e bmc.Endpoint) bmc.Controller {
	t.Helper()
	c, err := Dial(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// hasty dials with a controller that sends again after a few milliseconds, so that tests with losses end soon.
func hasty(t *testing.T, e bmc.Endpoint) bmc.Controller {
	t.Helper()
	c, err := newController(e)
	if err != nil {
		t.Fatal(err)
	}
	c.link.firstWait = 10 * time.Millisecond
	if err := c.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

// expectPower asks for the power state.
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
		OnPowerOn: func(b bmctest.Boot) {
			log.add(fmt.Sprintf("on %s once=%t uefi=%t", b.Device, b.Once, b.UEFI))
		},
		OnPowerOff: func() { log.add("off") },
	}
	b, _ := start(t, hw, "127.0.0.1:0")
	c := dial(t, endpoint(b.Addr()))
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

func TestDialPrefersCipherSuite17(t *testing.T) {
	b, _ := start(t, &bmctest.Fake{}, "127.0.0.1:0")
	c := dial(t, endpoint(b.Addr())).(*controller)
	defer c.Close()
	if c.session.suite != suites()[0] {
		t.Errorf("suite: got %+v; want %+v", c.session.suite, suites()[0])
	}
}

func TestControllerFails(t *testing.T) {
	const timeout = 400 * time.Millisecond
	hw := &bmctest.Fake{}
	b, _ := start(t, hw, "127.0.0.1:0")
	closed, err := net.ListenPacket("udp", "127.0.0.1:0")
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
		e := endpoint(b.Addr())
		change(&e)
		return e
	}
	quick := with(func(e *bmc.Endpoint) { e.Timeout = timeout })
	for _, c := range []struct {
		name   string
		e      bmc.Endpoint
		faults bmctest.Faults // after the login, if there is an act
		act    func(context.Context, bmc.Controller) error
		want   error
		text   string
	}{
		{"with a wrong password", with(func(e *bmc.Endpoint) { e.Password = metal.NewSecret("hunter2!") }), bmctest.Faults{}, nil, bmc.ErrRefused, "proof of the password"},
		{"with an unknown user", with(func(e *bmc.Endpoint) { e.Username = "root" }), bmctest.Faults{}, nil, bmc.ErrRefused, ""},
		{"when the BMC is silent", quick, bmctest.Faults{Silent: true}, nil, bmc.ErrUnreachable, ""},
		{"when nobody listens", with(func(e *bmc.Endpoint) { e.Address, e.Timeout = closed.LocalAddr().String(), timeout }), bmctest.Faults{}, nil, bmc.ErrUnreachable, "refused"},
		{"when the BMC falls silent", with(func(*bmc.Endpoint) {}), bmctest.Faults{Silent: true}, hurried(on), bmc.ErrUnreachable, ""},
		{"when power is refused", with(func(*bmc.Endpoint) {}), bmctest.Faults{RefusePower: true}, on, nil, "Chassis Control with completion code D5h"},
		{"with a boot device that there is not", with(func(*bmc.Endpoint) {}), bmctest.Faults{},
			func(ctx context.Context, c bmc.Controller) error { return c.BootOnce(ctx, "tape", metal.BIOS) }, nil, `"tape" is not a boot device`},
		{"with a power state that there is not", with(func(*bmc.Endpoint) {}), bmctest.Faults{},
			func(ctx context.Context, c bmc.Controller) error { return c.SetPower(ctx, metal.PowerUnknown) }, nil, "on or off"},
		{"with a name that is too long", with(func(e *bmc.Endpoint) { e.Username = strings.Repeat("x", 17) }), bmctest.Faults{}, nil, nil, "17 bytes"},
		{"with a password that is too long", with(func(e *bmc.Endpoint) { e.Password = metal.NewSecret("hunter2!" + strings.Repeat("x", 13)) }), bmctest.Faults{}, nil, nil, "21 bytes"},
		{"with a URL", with(func(e *bmc.Endpoint) { e.Address = "https://" + e.Address }), bmctest.Faults{}, nil, nil, "not the address of an IPMI BMC"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.act == nil {
				b.SetFaults(c.faults)
			}
			defer b.SetFaults(bmctest.Faults{})
			opened, err := Dial(t.Context(), c.e)
			if err == nil && c.act != nil {
				b.SetFaults(c.faults)
				err = c.act(t.Context(), opened)
				b.SetFaults(bmctest.Faults{})
				_ = opened.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.text) || strings.Contains(err.Error(), "hunter2!") {
				t.Fatalf("got error %v; want one with %q and without the password", err, c.text)
			}
			for _, sentinel := range []error{bmc.ErrRefused, bmc.ErrUnreachable, bmc.ErrUnsupported} {
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
	b, _ := start(t, &bmctest.Fake{}, "127.0.0.1:0")
	c := dial(t, endpoint(b.Addr()))
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

func TestControllerLogsInAgainWhenTheBMCWasReset(t *testing.T) {
	hw := &bmctest.Fake{}
	b, stop := start(t, hw, "127.0.0.1:0")
	e := endpoint(b.Addr())
	e.Timeout = 2 * time.Second
	c := dial(t, e)
	stop()
	start(t, hw, b.Addr()) // knows nothing of the session
	expectPower(t, c, metal.PowerOff)
	if err := c.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestControllerWaitsForASlowBMC(t *testing.T) {
	b, _ := start(t, &bmctest.Fake{}, "127.0.0.1:0")
	b.SetFaults(bmctest.Faults{SlowBy: 60 * time.Millisecond}) // several transmissions are under way before the first answer
	c := hasty(t, endpoint(b.Addr()))
	expectPower(t, c, metal.PowerOff)
	if err := c.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}
