package lab

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// openFake returns a monitor of a fake QEMU.
func openFake(t *testing.T) (*monitor, *fakeQEMU) {
	t.Helper()
	near, far := net.Pipe()
	q := newFakeQEMU(far, nicFirst)
	m, err := openMonitor(t.Context(), near)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		q.exit()
		m.close()
		<-q.done
	})
	return m, q
}

func TestBootIndexIsReadAndSet(t *testing.T) {
	m, q := openFake(t)
	if _, err := m.setBootIndex(t.Context(), nicID, nicLast); err != nil {
		t.Fatal(err)
	}
	index, _, err := m.bootIndex(t.Context(), nicID)
	if err != nil || index != nicLast || q.nicIndex() != nicLast {
		t.Errorf("got %d, %v; want %d", index, err, nicLast)
	}
}

func TestSettingTheBootIndexItHasIsNoError(t *testing.T) {
	m, _ := openFake(t)
	if _, err := m.setBootIndex(t.Context(), nicID, nicFirst); err != nil {
		t.Errorf("got %v; want nil, although QEMU refuses an index in use", err)
	}
}

func TestAnErrorOfQEMUIsPassedOn(t *testing.T) {
	m, _ := openFake(t)
	arguments := bootIndexOf(nicID)
	arguments["value"] = nicFirst
	_, err := m.execute(t.Context(), "qom-set", arguments)
	if err == nil || !strings.Contains(err.Error(), "tell QEMU to qom-set: The bootindex 10 has already been used") {
		t.Errorf("got %v; want QEMU's words, and the command", err)
	}
}

func TestAReplyCountsOnlyResetsBeforeIt(t *testing.T) {
	m, q := openFake(t)
	for want := range 3 {
		a, err := m.execute(t.Context(), "query-status", nil)
		if err != nil || a.resets != want {
			t.Errorf("got %d, %v; want %d resets", a.resets, err, want)
		}
		q.reset()
	}
}

func TestAHangUpEndsACommand(t *testing.T) {
	m, q := openFake(t)
	q.exit()
	<-m.ended
	if _, err := m.execute(t.Context(), "system_reset", nil); err == nil {
		t.Error("got no error from a QEMU that is gone")
	}
}

func TestAHangUpWhileACommandWaitsEndsIt(t *testing.T) {
	m, q := openFake(t)
	q.mu.Lock()
	q.mute = true
	q.mu.Unlock()
	failed := make(chan error)
	go func() {
		_, err := m.execute(t.Context(), "system_reset", nil)
		failed <- err
	}()
	q.exit()
	if err := <-failed; err == nil {
		t.Error("got no error from a QEMU that is gone")
	}
}

func TestACommandThatIsNotAnsweredEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, q := openFake(t)
		q.mu.Lock()
		q.mute = true
		q.mu.Unlock()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := m.execute(ctx, "query-status", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v; want %v", err, context.DeadlineExceeded)
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		if len(m.waiting) != 0 {
			t.Errorf("%d callers are still waited for; want none", len(m.waiting))
		}
	})
}

func TestGreetings(t *testing.T) {
	for _, c := range []struct {
		name string
		says string // then it hangs up
		want error
	}{
		{"a QEMU that ends at once", "", io.EOF},
		{"half a greeting", `{"QMP": {"ver`, io.ErrUnexpectedEOF},
		{"something that is no QEMU", "SSH-2.0-OpenSSH_9.2\n", nil},
		{"a message that is no greeting", `{"event": "RESET"}` + "\n", nil},
		{"a QEMU that ends after its greeting", greeting + "\n", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			near, far := net.Pipe()
			go func() {
				_, _ = io.WriteString(far, c.says)
				far.Close()
			}()
			_, err := openMonitor(t.Context(), near)
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("got %v; want an error, like %v", err, c.want)
			}
		})
	}
}

func TestASilentQEMUIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		before := time.Now()
		if _, err := openMonitor(t.Context(), near); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v; want %v", err, context.DeadlineExceeded)
		}
		if waited := time.Since(before); waited != helloTime {
			t.Errorf("gave up after %s; want %s", waited, helloTime)
		}
	})
}

func TestAnswersToNobodyAndUnknownEventsAreIgnored(t *testing.T) {
	near, far := net.Pipe()
	go func() {
		_, _ = io.WriteString(far, greeting+"\n")
		lines := bufio.NewScanner(far)
		lines.Scan() // qmp_capabilities is number 1
		_, _ = io.WriteString(far, `{"return": {}, "id": 77}`+"\n"+`{"event": "RTC_CHANGE", "data": {}}`+"\n"+
			`{"return": {}}`+"\n"+`{"return": {}, "id": 1}`+"\n")
	}()
	m, err := openMonitor(t.Context(), near)
	if err != nil {
		t.Fatal(err)
	}
	defer m.close()
	if got := m.resetsSeen(); got != 0 {
		t.Errorf("got %d resets; want 0", got)
	}
}
