package agent

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agentapi"
)

func TestAgentDoesStepsInOrder(t *testing.T) {
	r := newRack(t,
		agentapi.Step{ID: "1", Kind: agentapi.StepInventory},
		agentapi.Step{ID: "2", Kind: agentapi.StepErase, Erase: &agentapi.Erase{Mode: metal.EraseQuick}},
		agentapi.Step{ID: "3", Kind: agentapi.StepWrite, Write: &agentapi.Write{Digest: "d"}},
		agentapi.Step{ID: "4", Kind: agentapi.StepReboot, Reboot: &agentapi.Reboot{Kexec: true}},
	)
	r.run(t)
	want := []string{"hello", "clock", "inventory", "result 1", "erase", "result 2", "write", "result 3", "result 4", "reboot"}
	if got := r.seen(); !slices.Equal(got, want) {
		t.Errorf("got %v; want %v", got, want)
	}
	var inv metal.Inventory
	if err := json.Unmarshal(r.results["1"].Output, &inv); err != nil || inv.Kernel != "6.1" {
		t.Errorf("inventory: got %s, %v; want the machine's", r.results["1"].Output, err)
	}
	if len(r.results["1"].Log) == 0 {
		t.Error("got no log lines with the result; want the agent's own")
	}
}

func TestAgentOutlivesARestartOfTheServer(t *testing.T) {
	r := newRack(t, agentapi.Step{ID: "1", Kind: agentapi.StepInventory}, agentapi.Step{ID: "2", Kind: agentapi.StepPowerOff})
	// While the step runs the server goes away, and comes back without any session.
	r.machine.inventory = func(context.Context) (metal.Inventory, error) {
		r.down.Store(10)
		r.forget()
		return metal.Inventory{Kernel: "6.1"}, nil
	}
	r.run(t)
	want := []string{"hello", "clock", "inventory", "hello", "clock", "result 1", "result 2", "power off"}
	if got := r.seen(); !slices.Equal(got, want) {
		t.Errorf("got %v; want %v", got, want)
	}
}

func TestAStepGivenAgainIsNotDoneAgain(t *testing.T) {
	r := newRack(t, agentapi.Step{ID: "1", Kind: agentapi.StepInventory}, agentapi.Step{ID: "2", Kind: agentapi.StepPowerOff})
	r.lose = 1 // the result arrives, the server crashes before it has stored it
	r.run(t)
	want := []string{"hello", "clock", "inventory", "result 1", "result 1", "result 2", "power off"}
	if got := r.seen(); !slices.Equal(got, want) {
		t.Errorf("got %v; want %v", got, want)
	}
}

func TestAgentGetsThroughALossyNetwork(t *testing.T) {
	var steps []agentapi.Step
	for id := range strings.SplitSeq("1 2 3 4 5 6 7 8", " ") {
		steps = append(steps, agentapi.Step{ID: id, Kind: agentapi.StepInventory})
	}
	r := newRack(t, append(steps, agentapi.Step{ID: "9", Kind: agentapi.StepPowerOff})...)
	r.lossy = true
	r.run(t)
	done := 0
	for _, what := range r.seen() {
		if what == "inventory" {
			done++
		}
	}
	if done != len(steps) {
		t.Errorf("got %d inventories; want %d: each step once", done, len(steps))
	}
}

func TestTheServerCallsAStepOff(t *testing.T) {
	r := newRack(t, agentapi.Step{ID: "1", Kind: agentapi.StepErase, Erase: &agentapi.Erase{}}, agentapi.Step{ID: "2", Kind: agentapi.StepPowerOff})
	r.cancel.Store(true)
	r.machine.erase = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	r.run(t)
	if f := r.results["1"].Failure; f == nil || f.Step != "erase" || f.Message != errCancelled.Error() {
		t.Errorf("got %+v; want a failure of erase that says it was called off", f)
	}
}

func TestAnAgentWithoutUseSwitchesTheMachineOff(t *testing.T) {
	tests := []struct {
		name string
		path string
	}{
		{"at hello", agentapi.PathHello},
		{"at the next step", agentapi.PathNext},
		{"in the middle of a step", agentapi.PathProgress},
		{"at the result", agentapi.PathResult},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRack(t, agentapi.Step{ID: "1", Kind: agentapi.StepErase, Erase: &agentapi.Erase{}})
			r.gone = tt.path
			if tt.path == agentapi.PathProgress {
				r.machine.erase = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
			}
			r.run(t)
			if got := r.seen(); !slices.Contains(got, "power off") {
				t.Errorf("got %v; want the machine to be switched off", got)
			}
		})
	}
}

func TestAPanicInAStepIsItsFailure(t *testing.T) {
	r := newRack(t, agentapi.Step{ID: "1", Kind: agentapi.StepInventory}, agentapi.Step{ID: "2", Kind: agentapi.StepPowerOff})
	r.machine.inventory = func(context.Context) (metal.Inventory, error) { panic("no such luck") }
	r.run(t)
	f := r.results["1"].Failure
	if f == nil || !strings.Contains(f.Message, "no such luck") || !strings.Contains(f.Detail, "agent_test.go") {
		t.Errorf("got %+v; want a failure with the panic and its stack", f)
	}
	if got := r.seen(); got[len(got)-1] != "power off" {
		t.Errorf("got %v; want the agent to go on", got)
	}
}

func TestFailuresTellTheirMessage(t *testing.T) {
	tests := []struct {
		name    string
		step    agentapi.Step
		message string
	}{
		{"an error of the machine", agentapi.Step{ID: "1", Kind: agentapi.StepErase, Erase: &agentapi.Erase{}}, "vda is on fire"},
		{"a step that is not known", agentapi.Step{ID: "1", Kind: "firmware"}, `does not know how to do step "firmware"`},
		{"a step without its order", agentapi.Step{ID: "1", Kind: agentapi.StepWrite}, `does not know how to do step "write"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRack(t, tt.step, agentapi.Step{ID: "2", Kind: agentapi.StepPowerOff})
			r.machine.erase = func(context.Context) error {
				e := metal.Errorf(metal.Internal, "vda is on fire")
				e.Detail = "smoke"
				return e
			}
			r.run(t)
			if f := r.results["1"].Failure; f == nil || !strings.Contains(f.Message, tt.message) {
				t.Errorf("got %+v; want %q", f, tt.message)
			}
		})
	}
}

func TestAResultThatTheServerRefusesIsDropped(t *testing.T) {
	r := newRack(t, agentapi.Step{ID: "1", Kind: agentapi.StepInventory}, agentapi.Step{ID: "2", Kind: agentapi.StepPowerOff})
	r.refuse = "1"
	r.run(t)
	if got := r.seen(); got[len(got)-1] != "power off" {
		t.Errorf("got %v; want the agent to go on with the next step", got)
	}
}

func TestThePauseGrowsAndIsBounded(t *testing.T) {
	tests := []struct {
		failures int
		jitter   float64
		want     time.Duration
	}{
		{1, 0, 125 * time.Millisecond},
		{1, 1, 250 * time.Millisecond},
		{2, 1, 500 * time.Millisecond},
		{4, 0.5, 1500 * time.Millisecond},
		{7, 1, 10 * time.Second},
		{1000, 0, 5 * time.Second},
		{1000, 1, 10 * time.Second},
	}
	for _, tt := range tests {
		if got := pauseAfter(tt.failures, tt.jitter); got != tt.want {
			t.Errorf("pauseAfter(%d, %v): got %v; want %v", tt.failures, tt.jitter, got, tt.want)
		}
	}
}

// rack is a server and a machine that write down what happens to them. Its server is reached over real HTTP.
type rack struct {
	*Agent
	steps   []agentapi.Step
	machine *fakeMachine
	stop    context.CancelFunc

	down   atomic.Int32 // calls to break off
	cancel atomic.Bool
	lossy  bool
	lose   int    // results to forget
	refuse string // step whose result is refused
	gone   string // path that answers 410

	mu      sync.Mutex
	events  []string
	session string
	calls   int
	results map[string]agentapi.Result
}

func newRack(t *testing.T, steps ...agentapi.Step) *rack {
	t.Helper()
	r := &rack{steps: steps, results: map[string]agentapi.Result{}}
	r.machine = &fakeMachine{rack: r}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	client, err := agentapi.NewClient(server.URL, server.Client())
	if err != nil {
		t.Fatal(err)
	}
	ring := &LogRing{}
	r.Agent = New(Options{
		Server: client, Machine: r.machine, Token: metal.NewSecret("t"), BootID: "b", Ring: ring, Log: NewLogger(io.Discard, ring),
		Pause: func(ctx context.Context, _ time.Duration) bool { return ctx.Err() == nil },
		Every: time.Millisecond,
	})
	return r
}

// run lets the agent work until its machine is off or restarted.
func (r *rack) run(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	r.stop = stop
	if err := r.Run(ctx); err != nil {
		t.Errorf("run: got %v; want nil", err)
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Errorf("the agent did not come to an end: %v", r.seen())
	}
}

func (r *rack) note(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, what)
}

func (r *rack) seen() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

func (r *rack) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.session = ""
}

func (r *rack) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if r.down.Add(-1) >= 0 {
		panic(http.ErrAbortHandler) // the connection ends without an answer
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	if r.lossy && r.calls%3 == 0 {
		panic(http.ErrAbortHandler)
	}
	if r.lossy && r.calls%3 == 1 {
		http.Error(w, "try again", http.StatusInternalServerError)
		return
	}
	if req.URL.Path == r.gone {
		w.WriteHeader(http.StatusGone)
		return
	}
	if req.URL.Path == agentapi.PathHello {
		r.session = "s"
		r.events = append(r.events, "hello")
		json.NewEncoder(w).Encode(agentapi.Session{Token: r.session, UnixTime: 1700000000})
		return
	}
	if r.session == "" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	r.serve(w, req)
}

func (r *rack) serve(w http.ResponseWriter, req *http.Request) {
	switch req.URL.Path {
	case agentapi.PathNext:
		for _, s := range r.steps {
			if _, done := r.results[s.ID]; !done {
				json.NewEncoder(w).Encode(s)
				return
			}
		}
		w.WriteHeader(http.StatusNoContent)
	case agentapi.PathProgress:
		json.NewEncoder(w).Encode(agentapi.ProgressReply{Cancel: r.cancel.Load()})
	case agentapi.PathResult:
		var result agentapi.Result
		json.NewDecoder(req.Body).Decode(&result)
		r.events = append(r.events, "result "+result.StepID)
		if r.lose > 0 {
			r.lose--
		} else {
			r.results[result.StepID] = result
		}
		if result.StepID == r.refuse {
			w.WriteHeader(http.StatusConflict)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

// fakeMachine does nothing, and says so.
type fakeMachine struct {
	rack      *rack
	inventory func(context.Context) (metal.Inventory, error)
	erase     func(context.Context) error
}

func (m *fakeMachine) Hello() agentapi.Hello { return agentapi.Hello{BootMAC: "52:54:00:00:00:01"} }

func (m *fakeMachine) SetClock(int64) error { m.rack.note("clock"); return nil }

func (m *fakeMachine) Inventory(ctx context.Context) (metal.Inventory, error) {
	m.rack.note("inventory")
	if m.inventory != nil {
		return m.inventory(ctx)
	}
	return metal.Inventory{Kernel: "6.1"}, nil
}

func (m *fakeMachine) Erase(ctx context.Context, _ agentapi.Erase, progress func(float64)) ([]metal.DiskWiped, error) {
	m.rack.note("erase")
	progress(0.5)
	if m.erase != nil {
		return nil, m.erase(ctx)
	}
	return []metal.DiskWiped{}, nil
}

func (m *fakeMachine) Write(context.Context, agentapi.Write, func(float64)) (agentapi.Written, error) {
	m.rack.note("write")
	return agentapi.Written{}, nil
}

func (m *fakeMachine) Install(context.Context, agentapi.Install, func(float64)) (agentapi.Written, error) {
	m.rack.note("install")
	return agentapi.Written{}, nil
}

func (m *fakeMachine) Reboot(context.Context, agentapi.Reboot) error {
	m.rack.note("reboot")
	m.rack.stop()
	return nil
}

func (m *fakeMachine) PowerOff() error {
	m.rack.note("power off")
	m.rack.stop()
	return nil
}
