package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"sync"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// fakeQEMU speaks QMP as QEMU does, for the few commands the lab uses. Its boot indexes are those of a machine with
// one NIC; like QEMU it refuses an index that is in use.
type fakeQEMU struct {
	conn   net.Conn
	pid    int
	exited chan struct{}
	done   chan struct{}
	exit   func()

	mu    sync.Mutex
	index int      // of the NIC
	said  []string // commands, in order
	mute  bool     // does not answer
}

const greeting = `{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": ""}, "capabilities": ["oob"]}}`

func newFakeQEMU(conn net.Conn, index int) *fakeQEMU {
	q := &fakeQEMU{conn: conn, pid: 1, index: index, exited: make(chan struct{}), done: make(chan struct{})}
	q.exit = sync.OnceFunc(func() {
		conn.Close()
		close(q.exited)
	})
	go func() {
		defer close(q.done)
		q.write(greeting)
		decode := json.NewDecoder(conn)
		for {
			var c struct {
				Execute   string         `json:"execute"`
				ID        int            `json:"id"`
				Arguments map[string]any `json:"arguments"`
			}
			if decode.Decode(&c) != nil {
				return
			}
			q.obey(c.Execute, c.ID, c.Arguments)
		}
	}()
	return q
}

func (q *fakeQEMU) obey(command string, id int, arguments map[string]any) {
	q.mu.Lock()
	q.said = append(q.said, command)
	if q.mute {
		q.mu.Unlock()
		return
	}
	answer := fmt.Sprintf(`{"return": {}, "id": %d}`, id)
	switch command {
	case "qom-get":
		answer = fmt.Sprintf(`{"return": %d, "id": %d}`, q.index, id)
	case "qom-set":
		next := int(arguments["value"].(float64))
		if next == q.index {
			answer = fmt.Sprintf(`{"error": {"class": "GenericError", "desc": "The bootindex %d has already been used"}, "id": %d}`, next, id)
		}
		q.index = next
	}
	q.mu.Unlock()
	if command == "system_reset" {
		q.reset()
	}
	q.write(answer)
}

// reset is what QEMU says when the machine was reset, by whomever.
func (q *fakeQEMU) reset() {
	q.write(`{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "RESET", "data": {"guest": true, "reason": "guest-reset"}}`)
}

func (q *fakeQEMU) write(line string) { _, _ = q.conn.Write([]byte(line + "\n")) }

func (q *fakeQEMU) nicIndex() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.index
}

func (q *fakeQEMU) commands() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return append([]string(nil), q.said...)
}

// launcher starts fake QEMUs for a node and remembers them.
type launcher struct {
	started []*fakeQEMU
	firsts  []metal.BootDevice
	fail    error
}

func (l *launcher) launch(ctx context.Context, first metal.BootDevice) (*process, error) {
	if l.fail != nil {
		return nil, l.fail
	}
	near, far := net.Pipe()
	q := newFakeQEMU(far, nicIndex(first))
	m, err := openMonitor(ctx, near)
	if err != nil {
		return nil, err
	}
	l.started, l.firsts = append(l.started, q), append(l.firsts, first)
	return &process{pid: q.pid, end: q.exit, exited: q.exited, monitor: m}, nil
}

func (l *launcher) last() *fakeQEMU { return l.started[len(l.started)-1] }

// newNode returns a node whose QEMUs are fakes, closed with the test.
func newNode(t *testing.T) (*node, *launcher) {
	t.Helper()
	l := &launcher{}
	n := &node{
		desc: Config{Dir: "/lab"}.withDefaults().describe(1, newPassword()), firmware: metal.BIOS,
		launch: l.launch, log: testLog(t),
	}
	t.Cleanup(n.close)
	return n, l
}
