package main

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		name  string
		times []time.Duration
		want  time.Duration
	}{
		{"one time is its own median", []time.Duration{7}, 7},
		{"the order of the runs does not matter", []time.Duration{9, 1, 5}, 5},
		{"of an even number it is between the middle two", []time.Duration{8, 2, 4, 100}, 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := median(c.times); got != c.want {
				t.Errorf("got %d; want %d", got, c.want)
			}
		})
	}
}

func TestAComparisonIsOneLineOfTabs(t *testing.T) {
	var b strings.Builder
	comparison{ours: []time.Duration{3 * time.Second}, peer: []time.Duration{2 * time.Second}}.print(&b, "deploy")
	if got, want := b.String(), "ratio\tdeploy\t3.000\t2.000\ts\t1.500\n"; got != want {
		t.Errorf("got %q; want %q", got, want)
	}
}

func TestResidentMemoryOfThisProcess(t *testing.T) {
	kib, err := residentKiB(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if kib < 1024 || kib > 1<<22 {
		t.Errorf("got %d KiB; want what a test process needs", kib)
	}
}
