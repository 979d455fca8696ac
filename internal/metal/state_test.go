package metal_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func commands() []metal.Command {
	return []metal.Command{metal.Commission, metal.Allocate, metal.Deploy, metal.Undeploy, metal.Release, metal.Break, metal.Fix, metal.Retire}
}

// after returns every state that a machine in s can be in next, by command or by the end of the work.
func after(s metal.State) []metal.State {
	var next []metal.State
	for _, cmd := range commands() {
		if to, err := metal.Next(s, cmd); err == nil {
			next = append(next, to)
		}
	}
	if w, ok := metal.Working(s); ok {
		next = append(next, w.Done, w.Failed)
		if w.Aborted == metal.Back {
			next = append(next, w.From...)
		} else {
			next = append(next, w.Aborted)
		}
	}
	return next
}

func reachable(from metal.State) map[metal.State]bool {
	seen := map[metal.State]bool{from: true}
	for queue := []metal.State{from}; len(queue) > 0; queue = queue[1:] {
		for _, s := range after(queue[0]) {
			if !seen[s] {
				seen[s] = true
				queue = append(queue, s)
			}
		}
	}
	return seen
}

func TestEveryStateIsReachableFromNew(t *testing.T) {
	seen := reachable(metal.New)
	for _, s := range metal.States() {
		if !seen[s] {
			t.Errorf("no way leads from new to %s", s)
		}
	}
	if got, want := len(seen), len(metal.States()); got != want {
		t.Errorf("states that the tables lead to: got %d; want the %d of States", got, want)
	}
}

func TestReadyIsReachableFromEveryStateButRetired(t *testing.T) {
	for _, s := range metal.States() {
		if got, want := reachable(s)[metal.Ready], s != metal.Retired; got != want {
			t.Errorf("from %s to ready: got %t; want %t", s, got, want)
		}
	}
	if next := after(metal.Retired); len(next) != 0 {
		t.Errorf("after retired: got %v; want nothing", next)
	}
}

func TestEveryWorkingStateHasALimitAndThreeEnds(t *testing.T) {
	known := metal.States()
	for _, w := range metal.Works() {
		if w.Limit <= 0 {
			t.Errorf("%s has no limit", w.State)
		}
		for end, s := range map[string]metal.State{"success": w.Done, "failure": w.Failed, "abort": w.Aborted} {
			if s != metal.Back && !slices.Contains(known, s) {
				t.Errorf("%s ends by %s in %q, which is no state", w.State, end, s)
			}
		}
		if _, working := metal.Working(w.Failed); working {
			t.Errorf("%s fails into %s, where something works", w.State, w.Failed)
		}
		if w.Command != "" && len(w.From) == 0 {
			t.Errorf("%s is entered by %s from nowhere", w.State, w.Command)
		}
	}
}

func TestAWorkingStateHasOneRowAndARestingOneNone(t *testing.T) {
	rows := map[metal.State]int{}
	for _, w := range metal.Works() {
		rows[w.State]++
	}
	for _, s := range metal.States() {
		_, working := metal.Working(s)
		if want := rows[s] == 1; rows[s] > 1 || working != want {
			t.Errorf("%s: got %d rows, working %t", s, rows[s], working)
		}
	}
}

func TestACommandLeadsToOneState(t *testing.T) {
	for _, s := range metal.States() {
		for _, cmd := range commands() {
			var to []metal.State
			for _, w := range metal.Works() {
				if w.Command == cmd && slices.Contains(w.From, s) {
					to = append(to, w.State)
				}
			}
			for _, m := range metal.Moves() {
				if m.Command == cmd && slices.Contains(m.From, s) {
					to = append(to, m.To)
				}
			}
			got, err := metal.Next(s, cmd)
			switch {
			case len(to) > 1:
				t.Errorf("%s of a machine that is %s leads to all of %v", cmd, s, to)
			case len(to) == 1 && (err != nil || got != to[0]):
				t.Errorf("%s of a machine that is %s: got %q, %v; want %s", cmd, s, got, err, to[0])
			case len(to) == 0 && metal.CodeOf(err) != metal.Conflict:
				t.Errorf("%s of a machine that is %s: got %q, %v; want a conflict", cmd, s, got, err)
			}
		}
	}
}

func TestARefusalSaysWhereTheCommandIsAllowed(t *testing.T) {
	for _, test := range []struct {
		state metal.State
		cmd   metal.Command
		want  string
	}{
		{metal.New, metal.Deploy, "cannot deploy a machine that is new: it must be allocated, deployed or failed_deployment"},
		{metal.Deployed, metal.Allocate, "cannot allocate a machine that is deployed: it must be ready"},
		{metal.Ready, metal.Fix, "cannot fix a machine that is ready: it must be broken"},
		{metal.Retired, metal.Commission, "cannot commission a machine that is retired: it must be new, ready, failed_commissioning or broken"},
	} {
		if _, err := metal.Next(test.state, test.cmd); err == nil || err.Error() != test.want {
			t.Errorf("%s of %s: got %v; want %s", test.cmd, test.state, err, test.want)
		}
	}
	if _, err := metal.Next(metal.Ready, "dance"); metal.CodeOf(err) != metal.Conflict || !strings.Contains(err.Error(), "dance") {
		t.Errorf("a command that is none: got %v; want a conflict that names it", err)
	}
}
