package hardware

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/inventory"
	"github.com/metalform/terraform-provider-metal/server/internal/agentapi"
	"github.com/metalform/terraform-provider-metal/server/internal/image/chunk"
)

func TestEraseLeavesRemovableAndReadOnlyDisksAlone(t *testing.T) {
	d := &fakeDisks{all: []metal.Disk{{Name: "sda"}, {Name: "sdb", Removable: true}, {Name: "sr0", ReadOnly: true}, {Name: "nvme0n1"}}}
	m := newMachine(d, nil)
	var last float64
	wiped, err := m.Erase(t.Context(), agentapi.Erase{Mode: metal.EraseQuick}, func(f float64) { last = f })
	if err != nil || len(wiped) != 2 || wiped[0].Name != "sda" || wiped[1].Name != "nvme0n1" {
		t.Errorf("got %+v, %v; want sda and nvme0n1", wiped, err)
	}
	slices.Sort(d.did)
	if diff := cmp.Diff([]string{"erase /dev/nvme0n1 quick", "erase /dev/sda quick"}, d.did); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if last != 1 {
		t.Errorf("got progress %v at the end; want 1", last)
	}
}

func TestEraseGoesOnWithOtherDisksWhenOneFails(t *testing.T) {
	broken := errors.New("medium error")
	d := &fakeDisks{all: []metal.Disk{{Name: "sda"}, {Name: "sdb"}}, fail: map[string]error{"sda": broken}}
	_, err := newMachine(d, nil).Erase(t.Context(), agentapi.Erase{Mode: metal.EraseZero}, func(float64) {})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "sda") {
		t.Errorf("got %v; want an error that names sda", err)
	}
	if !slices.Contains(d.did, "erase /dev/sdb zero") {
		t.Errorf("got %v; want sdb to be erased all the same", d.did)
	}
}

func TestNothingIsErasedWhenNothingIsAsked(t *testing.T) {
	d := &fakeDisks{all: []metal.Disk{{Name: "sda"}}}
	wiped, err := newMachine(d, nil).Erase(t.Context(), agentapi.Erase{Mode: metal.EraseNone}, func(float64) {})
	if err != nil || wiped == nil || len(wiped) != 0 || len(d.did) != 0 {
		t.Errorf("got %v, %v after %v; want an empty list", wiped, err, d.did)
	}
}

func TestWriteStreamsToTheChosenDisk(t *testing.T) {
	d := &fakeDisks{all: []metal.Disk{{Name: "sda"}, {Name: "sdb"}}}
	m := newMachine(d, nil)
	m.ImagePart = func(_ context.Context, digest string, offset, length int64) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(("content of " + digest)[offset:][:length])), nil
	}
	got, err := m.Write(t.Context(), agentapi.Write{Digest: "abc", Disk: "sdb", StoredBytes: 14}, func(float64) {})
	if err != nil || got.Disk.Name != "sdb" || got.BytesZero != 7 {
		t.Errorf("got %+v, %v; want sdb with 7 bytes saved", got, err)
	}
	if diff := cmp.Diff([]string{"write /dev/sdb content of abc"}, d.did); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhereKexecFailsTheFirmwareStartsTheSystem(t *testing.T) {
	d := &fakeDisks{}
	var c fakeControl
	if err := newMachine(d, &c).Reboot(t.Context(), agentapi.Reboot{Kexec: true, Disk: "sda", KernelParameters: "quiet"}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"kexec /dev/sda quiet"}, d.did); diff != "" || c.did != "restart" {
		t.Errorf("got %q and (-want +got):\n%s; want a kexec, then a restart", c.did, diff)
	}
}

func TestTheClockIsSetWhereItIsOff(t *testing.T) {
	tests := []struct {
		name   string
		server int64
		set    bool
	}{
		{"a year off", time.Now().Add(365 * 24 * time.Hour).Unix(), true},
		{"in time", time.Now().Unix(), false},
		{"the server does not tell", 0, false},
	}
	for _, tt := range tests {
		var c fakeControl
		if err := newMachine(&fakeDisks{}, &c).SetClock(tt.server); err != nil || (c.did == "clock") != tt.set {
			t.Errorf("%s: got %q, %v; want set %v", tt.name, c.did, err, tt.set)
		}
	}
}

func TestStepsWaitForDrivers(t *testing.T) {
	late := errors.New("drivers are not there")
	m := newMachine(&fakeDisks{}, nil)
	m.Settle = func(context.Context) error { return late }
	if _, err := m.Inventory(t.Context()); !errors.Is(err, late) {
		t.Errorf("inventory: got %v; want it to wait", err)
	}
	if _, err := m.Erase(t.Context(), agentapi.Erase{Mode: metal.EraseQuick}, nil); !errors.Is(err, late) {
		t.Errorf("erase: got %v; want it to wait", err)
	}
}

func TestStreamGoesOnWhereItBroke(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789"), 1000)
	opened := 0
	s := newStream(t.Context(), slog.New(slog.DiscardHandler), int64(len(content)), func(_ context.Context, offset int64) (io.ReadCloser, error) {
		opened++
		if opened%3 == 2 {
			return nil, errors.New("connection refused")
		}
		end := min(offset+2500, int64(len(content)))
		return io.NopCloser(bytes.NewReader(content[offset:end])), nil // ends too soon, as if the server went away
	})
	s.gap = 0
	defer s.Close()
	got, err := io.ReadAll(s)
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("got %d bytes, %v; want the %d bytes of the content", len(got), err, len(content))
	}
	if opened < 4 {
		t.Errorf("opened %d times; want four pieces at least", opened)
	}
}

func TestStreamGivesUpWhatIsNotThere(t *testing.T) {
	s := newStream(t.Context(), slog.New(slog.DiscardHandler), 10, func(context.Context, int64) (io.ReadCloser, error) {
		return nil, metal.Errorf(metal.NotFound, "no such image")
	})
	if _, err := io.ReadAll(s); metal.CodeOf(err) != metal.NotFound {
		t.Errorf("got %v; want a NotFound error", err)
	}
}

func TestStreamEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := newStream(ctx, slog.New(slog.DiscardHandler), 10, func(context.Context, int64) (io.ReadCloser, error) {
		cancel()
		return nil, errors.New("connection refused")
	})
	if _, err := io.ReadAll(s); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v; want the context's error", err)
	}
}

func TestStreamLeavesASilentConnection(t *testing.T) {
	opened := 0
	s := newStream(t.Context(), slog.New(slog.DiscardHandler), 2, func(ctx context.Context, _ int64) (io.ReadCloser, error) {
		if opened++; opened == 1 {
			return silent{ctx}, nil
		}
		return io.NopCloser(strings.NewReader("ok")), nil
	})
	s.stall, s.gap = time.Millisecond, 0
	if got, err := io.ReadAll(s); string(got) != "ok" || err != nil {
		t.Errorf("got %q, %v; want the second connection's content", got, err)
	}
}

// silent says nothing until its connection is given up.
type silent struct{ ctx context.Context }

func (s silent) Read([]byte) (int, error) { <-s.ctx.Done(); return 0, s.ctx.Err() }
func (s silent) Close() error             { return nil }

func TestPartsOfAnImageAreReadAcrossACut(t *testing.T) {
	content := []byte(strings.Repeat("0123456789", 1000))
	var calls [][2]int64
	m := newMachine(&fakeDisks{}, nil)
	m.ImagePart = func(_ context.Context, _ string, offset, length int64) (io.ReadCloser, error) {
		calls = append(calls, [2]int64{offset, length})
		return io.NopCloser(bytes.NewReader(content[offset:][:min(length, 3000)])), nil // and there it is cut
	}
	got := make([]byte, 5000)
	if err := (&Image{machine: m, digest: "abc"}).Read(t.Context(), got, 100); err != nil || !bytes.Equal(got, content[100:5100]) {
		t.Errorf("got %v; want the bytes from 100 on", err)
	}
	if diff := cmp.Diff([][2]int64{{100, 5000}, {3100, 2000}}, calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestChunksAreAskedForUntilTheServerAnswers(t *testing.T) {
	want := chunk.Table{Digest: chunk.Sum{1}}
	for _, tt := range []struct {
		name    string
		answers []error
		code    metal.Code
	}{
		{"a server that comes back", []error{errors.New("connection refused"), metal.Errorf(metal.Internal, "starting"), nil}, ""},
		{"an image that is not there", []error{errors.New("connection refused"), metal.Errorf(metal.NotFound, "no such image")}, metal.NotFound},
		{"an image that is damaged", []error{metal.Errorf(metal.Invalid, "the stored file is damaged")}, metal.Invalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMachine(&fakeDisks{}, nil)
			m.ImageChunks = func(context.Context, string) (chunk.Table, error) {
				err := tt.answers[0]
				tt.answers = tt.answers[1:]
				return want, err
			}
			got, err := (&Image{machine: m}).Chunks(t.Context())
			if metal.CodeOf(err) != tt.code || (err == nil && got.Digest != want.Digest) || len(tt.answers) != 0 {
				t.Errorf("got %v, %v with %d answers left; want code %q", got, err, len(tt.answers), tt.code)
			}
		})
	}
}

func TestWaitingForChunksEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	m := newMachine(&fakeDisks{}, nil)
	m.ImageChunks = func(context.Context, string) (chunk.Table, error) {
		cancel()
		return chunk.Table{}, errors.New("connection refused")
	}
	if _, err := (&Image{machine: m}).Chunks(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v; want the context's error", err)
	}
}

func newMachine(d *fakeDisks, c *fakeControl) *Machine {
	return New(Options{
		Sources: inventory.Sources{Roots: inventory.Roots{Dev: "/dev"}, Disks: d.List}, Disks: d, Control: c,
		Settle: func(context.Context) error { return nil }, Log: slog.New(slog.DiscardHandler),
	})
}

// fakeDisks writes down what is asked of it.
type fakeDisks struct {
	all  []metal.Disk
	fail map[string]error
	mu   sync.Mutex
	did  []string
}

func (d *fakeDisks) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.did = append(d.did, fmt.Sprintf(format, args...))
}

func (d *fakeDisks) List(string, string) ([]metal.Disk, error) { return slices.Clone(d.all), nil }

func (d *fakeDisks) Choose(all []metal.Disk, want string, _ int64) (metal.Disk, error) {
	i := slices.IndexFunc(all, func(d metal.Disk) bool { return d.Name == want })
	return all[i], nil
}

func (d *fakeDisks) Erase(_ context.Context, disk metal.Disk, path string, mode metal.Erase, progress func(float64)) (metal.DiskWiped, error) {
	d.note("erase %s %s", path, mode)
	progress(1)
	return metal.DiskWiped{Name: disk.Name}, d.fail[disk.Name]
}

func (d *fakeDisks) Write(ctx context.Context, path string, image *Image, w agentapi.Write, _ func(float64)) (int64, error) {
	content := make([]byte, w.StoredBytes)
	err := image.Read(ctx, content, 0)
	d.note("write %s %s", path, content)
	return 7, err
}

func (d *fakeDisks) Kexec(_ context.Context, path, parameters string) error {
	d.note("kexec %s %s", path, parameters)
	return errors.New("locked down")
}

type fakeControl struct{ did string }

func (c *fakeControl) Restart() error           { c.did = "restart"; return nil }
func (c *fakeControl) PowerOff() error          { c.did = "power off"; return nil }
func (c *fakeControl) StartLoaded() error       { c.did = "start what is loaded"; return nil }
func (c *fakeControl) SetClock(time.Time) error { c.did = "clock"; return nil }
