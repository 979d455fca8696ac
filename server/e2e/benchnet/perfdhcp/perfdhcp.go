// Package perfdhcp runs Kea's load generator and reads its report.
package perfdhcp

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/testnet"
)

// Clients is how many different clients the load comes from.
const Clients = 20_000

// Load is what is sent.
type Load struct {
	V6   bool // SOLICIT to REPLY by multicast, instead of DISCOVER to ACK as a relay agent by unicast
	Rate int  // exchanges begun a second
	For  time.Duration
}

// Result counts exchanges.
type Result struct {
	Begun     int // first messages sent
	Completed int // last answers received
	For       time.Duration
}

// Loss is the part of the exchanges that were begun and not completed, 0 to 1.
func (r Result) Loss() float64 {
	if r.Begun == 0 {
		return 1
	}
	return 1 - float64(r.Completed)/float64(r.Begun)
}

// Done is how many exchanges were completed.
func (r Result) Done() int { return r.Completed }

// Rate is how many exchanges were completed a second.
func (r Result) Rate() float64 { return float64(r.Completed) / r.For.Seconds() }

// Run loads the server of the network from its other side.
func Run(ctx context.Context, net *testnet.Net, l Load) (Result, error) {
	// -W: wait so long (in microseconds) for the last answers.
	args := []string{"-r", strconv.Itoa(l.Rate), "-R", strconv.Itoa(Clients), "-p", strconv.Itoa(int(l.For.Seconds())), "-W", "300000"}
	if l.V6 {
		args = append([]string{"-6", "-l", net.Client.Interface}, append(args, "all")...)
	} else {
		args = append([]string{"-4", "-l", net.Client.Addr.String()}, append(args, net.Server.Addr.String())...)
	}
	out, err := net.Client.Run(ctx, testnet.Program{Path: "perfdhcp", Args: args})
	if err != nil {
		return Result{}, err
	}
	r, err := parse(out)
	if err != nil {
		return Result{}, err
	}
	r.For = l.For
	return r, nil
}

// parse reads the report. It has a section for each half of the exchange, the first one first.
func parse(out []byte) (Result, error) {
	sections := bytes.Split(out, []byte("***Statistics for: "))
	if len(sections) != 3 {
		return Result{}, fmt.Errorf("read perfdhcp's report: it has %d sections of statistics, want 2:\n%s", len(sections)-1, out)
	}
	begun, err := count(sections[1], "sent packets: ")
	if err != nil {
		return Result{}, err
	}
	completed, err := count(sections[2], "received packets: ")
	return Result{Begun: begun, Completed: completed}, err
}

func count(section []byte, label string) (int, error) {
	_, rest, found := bytes.Cut(section, []byte("\n"+label))
	number, _, _ := bytes.Cut(rest, []byte("\n"))
	n, err := strconv.Atoi(string(number))
	if !found || err != nil {
		return 0, fmt.Errorf("read perfdhcp's report: no number after %q in:\n%s", label, section)
	}
	return n, nil
}
