package agent

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheRingKeepsLinesUntilTheyAreDelivered(t *testing.T) {
	var r LogRing
	fmt.Fprint(&r, "one\ntwo\n")
	lines, taken := r.Pending()
	if diff := cmp.Diff([]string{"one", "two"}, lines); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	fmt.Fprintln(&r, "three") // while the message is under way
	if again, _ := r.Pending(); len(again) != 3 {
		t.Errorf("got %v before the delivery; want all three lines", again)
	}
	r.Forget(taken)
	if lines, _ := r.Pending(); !cmp.Equal(lines, []string{"three"}) {
		t.Errorf("got %v after the delivery; want three only", lines)
	}
}

func TestTheRingTellsHowMuchItLost(t *testing.T) {
	var r LogRing
	for i := range ringLines + 5 {
		fmt.Fprintln(&r, i)
	}
	lines, taken := r.Pending()
	if len(lines) != maxLogLines+1 || lines[0] != "(5 earlier lines were lost)" || lines[1] != "5" {
		t.Errorf("got %d lines that begin %q; want %d, the first telling of 5 lost ones", len(lines), lines[:2], maxLogLines+1)
	}
	fmt.Fprintln(&r, "late") // pushes out a line that the message carried
	r.Forget(taken)
	if lines, _ := r.Pending(); lines[0] != fmt.Sprint(5+maxLogLines) {
		t.Errorf("got %q first after the delivery; want line %d", lines[0], 5+maxLogLines)
	}
}

func TestTheLogGoesToConsoleAndRing(t *testing.T) {
	var console bytes.Buffer
	var ring LogRing
	NewLogger(&console, &ring).Info("on the network", "nic", "eth0")
	lines, _ := ring.Pending()
	if len(lines) != 1 || lines[0] != strings.TrimSpace(console.String()) || !strings.Contains(lines[0], `msg="on the network" nic=eth0`) {
		t.Errorf("got %v in the ring and %q on the console; want the same line", lines, console.String())
	}
	if strings.Contains(lines[0], "time=") {
		t.Errorf("got %q; want no time: the machine's clock may be anything", lines[0])
	}
}
