package agent

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
)

// ringLines bounds the log lines that wait for the server: an agent that cannot reach it for a night must not fill
// the machine's memory.
const ringLines = 1000

// LogRing keeps the agent's latest log lines until the server has them. It is an io.Writer for a slog.Handler that
// writes one line per record.
type LogRing struct {
	mu      sync.Mutex
	lines   []string
	dropped int
}

// Write keeps the lines in p.
func (r *LogRing) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for line := range bytes.Lines(p) {
		if text := strings.TrimRight(string(line), "\r\n"); text != "" {
			r.lines = append(r.lines, text)
		}
	}
	if over := len(r.lines) - ringLines; over > 0 {
		r.lines = append(r.lines[:0], r.lines[over:]...)
		r.dropped += over
	}
	return len(p), nil
}

// Pending returns at most maxLogLines lines that wait, and how many to forget once they were delivered.
func (r *LogRing) Pending() (lines []string, take Delivered) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(len(r.lines), maxLogLines)
	lines = append(lines, r.lines[:n]...)
	if r.dropped > 0 {
		lines = append([]string{fmt.Sprintf("(%d earlier lines were lost)", r.dropped)}, lines...)
	}
	return lines, Delivered{lines: n, lost: r.dropped}
}

// maxLogLines bounds what one message carries.
const maxLogLines = 200

// Delivered names the lines that one message carried.
type Delivered struct{ lines, lost int }

// Forget drops what a message carried. Lines that fell out of the ring while the message was under way are counted
// once: as delivered, not as lost.
func (r *LogRing) Forget(d Delivered) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fell := r.dropped - d.lost // since Pending
	r.dropped = max(0, fell-d.lines)
	r.lines = r.lines[min(max(0, d.lines-fell), len(r.lines)):]
}

// NewLogger returns a logger that writes each record as one line to console and into ring.
func NewLogger(console io.Writer, ring *LogRing) *slog.Logger {
	plain := &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		// The server stamps lines as they come, and before the first hello the machine's clock may be anything.
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}
	return slog.New(slog.NewMultiHandler(
		slog.NewTextHandler(console, plain),
		slog.NewTextHandler(ring, plain),
	))
}
