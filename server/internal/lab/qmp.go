package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// helloTime bounds how long a QEMU may take from start to greeting; on a loaded host that can be seconds.
const helloTime = 30 * time.Second

// A monitor is a connection to QEMU's machine protocol (QMP specification, QEMU 7.2). It is safe for concurrent use.
type monitor struct {
	conn  net.Conn
	read  *json.Decoder
	ended chan struct{} // closed when QEMU hung up
	reset chan struct{} // holds one token when the machine was reset since the token was last taken

	mu      sync.Mutex
	next    int
	waiting map[int]chan answer
	resets  int
}

// answer is what QEMU said to a command.
type answer struct {
	value json.RawMessage
	err   error
	// resets is how many resets of the machine QEMU had told of before: replies and events come in one order.
	resets int
}

// qmpMessage is any message from QEMU: a greeting, a reply or an event.
type qmpMessage struct {
	QMP    json.RawMessage `json:"QMP"`
	ID     *int            `json:"id"`
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Class string `json:"class"`
		Desc  string `json:"desc"`
	} `json:"error"`
	Event string `json:"event"`
}

// openMonitor waits for the greeting on conn, which it owns from now on, and starts to listen.
func openMonitor(ctx context.Context, conn net.Conn) (*monitor, error) {
	m := &monitor{
		conn:    conn,
		read:    json.NewDecoder(conn),
		ended:   make(chan struct{}),
		reset:   make(chan struct{}, 1),
		waiting: make(map[int]chan answer),
	}
	ctx, cancel := context.WithTimeout(ctx, helloTime)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })
	var hello qmpMessage
	err := m.read.Decode(&hello)
	if !stop() {
		err = errors.Join(ctx.Err(), err)
	}
	if err == nil && hello.QMP == nil {
		err = errors.New("the first message is no greeting")
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("wait for QEMU's monitor: %w", err)
	}
	go m.listen()
	if _, err := m.execute(ctx, "qmp_capabilities", nil); err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

// close hangs up and waits until nobody listens any more.
func (m *monitor) close() {
	m.conn.Close()
	<-m.ended
}

// listen hands out replies and counts resets until QEMU hangs up.
func (m *monitor) listen() {
	defer close(m.ended)
	for {
		var msg qmpMessage
		if err := m.read.Decode(&msg); err != nil {
			return
		}
		m.take(msg)
	}
}

func (m *monitor) take(msg qmpMessage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case msg.Event == "RESET":
		m.resets++
		select {
		case m.reset <- struct{}{}:
		default: // one token says it already
		}
	case msg.ID != nil:
		waiter, ok := m.waiting[*msg.ID]
		if !ok {
			return // its caller gave up
		}
		delete(m.waiting, *msg.ID)
		a := answer{value: msg.Return, resets: m.resets}
		if msg.Error != nil {
			a.err = fmt.Errorf("%s (%s)", msg.Error.Desc, msg.Error.Class)
		}
		waiter <- a // has room for it
	}
}

// execute runs one command and waits for its reply.
func (m *monitor) execute(ctx context.Context, command string, arguments map[string]any) (answer, error) {
	waiter := make(chan answer, 1)
	id, err := m.send(command, arguments, waiter)
	if err != nil {
		return answer{}, fmt.Errorf("tell QEMU to %s: %w", command, err)
	}
	select {
	case a := <-waiter:
		if a.err != nil {
			return answer{}, fmt.Errorf("tell QEMU to %s: %w", command, a.err)
		}
		return a, nil
	case <-m.ended:
		return answer{}, fmt.Errorf("tell QEMU to %s: %w", command, io.ErrUnexpectedEOF)
	case <-ctx.Done():
		m.forget(id)
		return answer{}, fmt.Errorf("tell QEMU to %s: %w", command, ctx.Err())
	}
}

// send writes a command whose reply goes to waiter.
func (m *monitor) send(command string, arguments map[string]any, waiter chan answer) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.next++
	message := map[string]any{"execute": command, "id": m.next}
	if arguments != nil {
		message["arguments"] = arguments
	}
	data, err := json.Marshal(message)
	if err != nil {
		return 0, err
	}
	m.waiting[m.next] = waiter
	if _, err := m.conn.Write(append(data, '\n')); err != nil {
		delete(m.waiting, m.next)
		return 0, err
	}
	return m.next, nil
}

func (m *monitor) forget(id int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.waiting, id)
}

// resetsSeen is how many resets of the machine QEMU told of.
func (m *monitor) resetsSeen() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.resets
}

// bootIndex reads the boot index of a device. It also returns how many resets had happened before.
func (m *monitor) bootIndex(ctx context.Context, device string) (index, resets int, err error) {
	a, err := m.execute(ctx, "qom-get", bootIndexOf(device))
	if err != nil {
		return 0, 0, err
	}
	if err := json.Unmarshal(a.value, &index); err != nil {
		return 0, 0, fmt.Errorf("read boot index of %s: %w", device, err)
	}
	return index, a.resets, nil
}

// setBootIndex changes the boot index of a device. Firmware sees it after the next reset, when QEMU makes the fw_cfg
// file "bootorder" anew. It returns how many resets had happened before.
func (m *monitor) setBootIndex(ctx context.Context, device string, index int) (resets int, err error) {
	// QEMU refuses an index that is in use, even when it is the device's own.
	now, resets, err := m.bootIndex(ctx, device)
	if err != nil || now == index {
		return resets, err
	}
	arguments := bootIndexOf(device)
	arguments["value"] = index
	a, err := m.execute(ctx, "qom-set", arguments)
	return a.resets, err
}

func bootIndexOf(device string) map[string]any {
	return map[string]any{"path": "/machine/peripheral/" + device, "property": "bootindex"}
}
