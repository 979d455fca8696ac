package netns

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func TestWhatRunsInANamespaceSeesThatOnly(t *testing.T) {
	a, b := New(t, "a"), New(t, "b").WithoutDAD(t)
	if a == b {
		t.Fatalf("got %s twice", a)
	}
	Wire(t, a, "left", b, "right")
	b.UntilLinkLocal(t, "right")
	if out := a.Run(t, "ip -o link"); !strings.Contains(out, "left") || strings.Contains(out, "right") {
		t.Errorf("got %s; want this end of the wire only", out)
	}
	b.Must(t, func() error {
		_, err := net.InterfaceByName("right")
		return err
	})
	if _, err := net.InterfaceByName("right"); err == nil {
		t.Error("the rest of the test is in the namespace as well")
	}
	if err := a.In(func() error { return context.Canceled }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v; want what went wrong in it", err)
	}
	if err := Space("nosuch").In(func() error { return nil }); err == nil {
		t.Error("a namespace that is not there: got no error")
	}
}

func TestAProgramIsHeardAndEndsWithTheTest(t *testing.T) {
	var p *Program
	t.Run("with a program", func(t *testing.T) {
		p = New(t, "p").Start(t, "env", "GREETING=hello", "sh", "-c", `trap 'echo bye' USR1; echo $GREETING; while :; do sleep 0.1; done`)
		p.Says(t, "hello")
		p.Signal(unix.SIGUSR1)
		p.Says(t, "bye")
	})
	if err := p.process.Signal(unix.Signal(0)); err == nil {
		t.Error("the program runs on")
	}
}

func TestAServiceIsStoppedOnce(t *testing.T) {
	var mu sync.Mutex
	stopped := 0
	t.Run("with a service", func(t *testing.T) {
		end := Keep(t, "the service", func(ctx context.Context) error {
			<-ctx.Done()
			mu.Lock()
			defer mu.Unlock()
			stopped++
			return nil
		})
		end()
	})
	if stopped != 1 {
		t.Errorf("got it stopped %d times; want once", stopped)
	}
}
