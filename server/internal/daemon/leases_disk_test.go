package daemon

import (
	"runtime"
	"testing"
)

func TestGoCodeRunsWhileATransactionWaitsForTheDisk(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
	for has, want := range map[int]int{1: 2, 2: 2, 3: 3} {
		runtime.GOMAXPROCS(has)
		if spareProcessor(); runtime.GOMAXPROCS(0) != want {
			t.Errorf("of %d: got %d; want %d", has, runtime.GOMAXPROCS(0), want)
		}
	}
}
