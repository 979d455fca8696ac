package pid1

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Console writes log lines for people: on the console with the kernel's kind of time stamp, and into the kernel's
// log, where they stand among its own messages. Each Write must be whole lines.
type Console struct {
	console, kernel io.Writer
	now             func() float64 // seconds since the kernel began
}

// OpenConsole returns a Console on out, which the kernel opened for the first process.
func OpenConsole(out io.Writer) *Console {
	c := &Console{console: out, kernel: io.Discard, now: uptime}
	if f, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0); err == nil {
		c.kernel = f // for the life of the process
	}
	return c
}

// Write never fails: a machine without a console works as well.
func (c *Console) Write(p []byte) (int, error) {
	for line := range bytes.Lines(p) {
		fmt.Fprintf(c.console, "[%12.6f] metal-agent: %s", c.now(), line)
		// Level 7 keeps the kernel from showing the line on the console a second time.
		fmt.Fprintf(c.kernel, "<7>metal-agent: %s", line)
	}
	return len(p), nil
}

func uptime() float64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return 0
	}
	return float64(t.Nano()) / 1e9
}

// Parameters reads the kernel command line: "key=value" words, the last of a key wins. A value may be quoted, and
// then has blanks.
func Parameters(cmdline string) map[string]string {
	quoted := false
	words := strings.FieldsFunc(cmdline, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return !quoted && (r == ' ' || r == '\n' || r == '\t')
	})
	all := map[string]string{}
	for _, word := range words {
		key, value, _ := strings.Cut(strings.ReplaceAll(word, `"`, ""), "=")
		all[key] = value
	}
	return all
}
