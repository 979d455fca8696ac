package ipmi

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"

	reference "github.com/bougou/go-ipmi/pkg/bmc"
	"github.com/bougou/go-ipmi/pkg/hal/mock"
	"github.com/bougou/go-ipmi/pkg/handlers"
	"github.com/bougou/go-ipmi/pkg/server"
	"github.com/bougou/go-ipmi/pkg/types"
	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/bmc"
)

// scripted is a BMC that answers with completion codes as a test says. It is go-ipmi's reference server.
type scripted struct {
	addr string

	mu    sync.Mutex
	codes map[string][]types.CompletionCode // by command or by "boot option n"; used up from the front, then 00h
	heard []string
}

// startScripted starts one, whose account has a privilege level.
func startScripted(t *testing.T, level reference.PrivilegeLevel, codes map[string][]types.CompletionCode) *scripted {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &scripted{addr: conn.LocalAddr().String(), codes: codes}
	state := reference.New(reference.DeviceInfo{}, [16]byte{1}, mock.New())
	user, err := state.Users.Add(2, account.Username)
	if err != nil {
		t.Fatal(err)
	}
	err = state.Users.Update(user.ID, func(u *reference.User) error {
		u.SetPassword([]byte(account.Password.Reveal()))
		u.Enabled = true
		u.ChannelAccess = map[uint8]reference.UserChannelAccess{1: {MaxPrivilege: level, Enabled: true}}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	registry := handlers.NewRegistry()
	handlers.RegisterAllHandlers(registry)
	for name, cmd := range map[string]types.Command{
		"status": types.CommandGetChassisStatus, "control": types.CommandChassisControl, "boot option": types.CommandSetSystemBootOptions,
	} {
		registry.RegisterFunc(cmd, func(_ context.Context, _ *handlers.HandlerContext, data []byte) ([]byte, types.CompletionCode, error) {
			return []byte{0, 0, 0}, b.next(name, data), nil
		})
	}
	s := server.NewServer(state, conn, server.WithHandlerRegistry(registry))
	done := make(chan error, 1)
	go func() { done <- s.Serve(context.Background()) }()
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), <-done); err != nil {
			t.Errorf("end the scripted BMC: %v", err)
		}
	})
	return b
}

func (b *scripted) next(name string, data []byte) types.CompletionCode {
	b.mu.Lock()
	defer b.mu.Unlock()
	if name == "boot option" {
		name += " " + string('0'+rune(data[0]))
	}
	b.heard = append(b.heard, name)
	left := b.codes[name]
	if len(left) == 0 {
		return types.CodeOK
	}
	b.codes[name] = left[1:]
	return left[0]
}

// log returns what was heard since it was last asked.
func (b *scripted) log() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	heard := b.heard
	b.heard = nil
	return heard
}

func TestControllerHeedsCompletionCodes(t *testing.T) {
	on := func(ctx context.Context, c bmc.Controller) error { return c.SetPower(ctx, metal.PowerOn) }
	boot := func(ctx context.Context, c bmc.Controller) error {
		return c.BootOnce(ctx, metal.BootNetwork, metal.UEFI)
	}
	type script = map[string][]types.CompletionCode
	whole := []string{"boot option 0", "boot option 4", "boot option 5", "boot option 0"}
	for _, c := range []struct {
		name  string
		codes script
		act   func(context.Context, bmc.Controller) error
		want  error
		fails bool
		heard []string
	}{
		{"a busy BMC is asked again", script{"status": {0xc0, 0xc3}}, on, nil, false, []string{"status", "status", "status", "control"}},
		{"an unknown command is unsupported", script{"control": {0xc1}}, on, bmc.ErrUnsupported, true, []string{"status", "control"}},
		{"a disabled command is unsupported", script{"control": {0xd6}}, on, bmc.ErrUnsupported, true, []string{"status", "control"}},
		{"too low a privilege level is refused", script{"control": {0xd4}}, on, bmc.ErrRefused, true, []string{"status", "control"}},
		{"an unspecified error is an error", script{"control": {0xff}}, on, nil, true, []string{"status", "control"}},
		{"boot flags are written between claim and release", nil, boot, nil, false, whole},
		{"without set-in-progress there is nothing to release", script{"boot option 0": {0x80}}, boot, nil, false, whole[:3]},
		{"a BMC may refuse set-in-progress in its own way", script{"boot option 0": {0xcc}}, boot, nil, false, whole[:3]},
		{"the claim of another is taken over", script{"boot option 0": {0x81}}, boot, nil, false, whole},
		{"the acknowledgement is optional", script{"boot option 4": {0x80}}, boot, nil, false, whole},
		{"a BMC without boot options is unsupported", script{"boot option 0": {0xc1}, "boot option 4": {0xc1}, "boot option 5": {0xc1}}, boot, bmc.ErrUnsupported, true, whole[:3]},
		{"without boot flags there is no booting", script{"boot option 5": {0x80}}, boot, bmc.ErrUnsupported, true, whole},
		{"a failed write is released", script{"boot option 5": {0xcc}}, boot, nil, true, whole},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := startScripted(t, reference.PrivilegeLevelAdministrator, c.codes)
			controller := dial(t, endpoint(b.addr))
			defer controller.Close()
			err := c.act(t.Context(), controller)
			if (err != nil) != c.fails || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("got error %v; want %v", err, c.want)
			}
			if c.want == nil && (errors.Is(err, bmc.ErrUnsupported) || errors.Is(err, bmc.ErrRefused) || errors.Is(err, bmc.ErrUnreachable)) {
				t.Errorf("got error %v; want none of the sentinels", err)
			}
			if diff := cmp.Diff(c.heard, b.log()); diff != "" {
				t.Errorf("what the BMC heard (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOperatorMayDrive(t *testing.T) {
	b := startScripted(t, reference.PrivilegeLevelOperator, nil)
	c := dial(t, endpoint(b.addr))
	defer c.Close()
	if err := c.SetPower(t.Context(), metal.PowerOn); err != nil {
		t.Errorf("SetPower: %v", err)
	}
	if heard := b.log(); !slices.Equal(heard, []string{"status", "control"}) {
		t.Errorf("heard %q; want status, control", heard)
	}
}

func TestUserMayNotDrive(t *testing.T) {
	b := startScripted(t, reference.PrivilegeLevelUser, nil)
	if _, err := Dial(t.Context(), endpoint(b.addr)); !errors.Is(err, bmc.ErrRefused) {
		t.Errorf("got %v; want %v", err, bmc.ErrRefused)
	}
}
