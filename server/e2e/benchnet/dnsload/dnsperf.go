package dnsload

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/peers"
	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/testnet"
)

// Result is dnsperf's.
type Result struct {
	Completed int
	Lost      int
	Rate      float64        // queries answered a second
	Codes     map[string]int // answers by response code
}

// Share is the part of the answers with a response code, 0 to 1.
func (r Result) Share(code string) float64 {
	return float64(r.Codes[code]) / float64(max(r.Completed, 1))
}

// Run has dnsperf ask the server of the network for a time, of whole seconds and one at least, what is in a file of
// queries.
func Run(ctx context.Context, n *testnet.Net, d peers.Dir, queries string, length time.Duration) (Result, error) {
	path, err := d.Find("dnsperf")
	if err != nil {
		return Result{}, err
	}
	out, err := n.Client.Run(ctx, testnet.Program{
		Path: path, Env: d.Env(),
		Args: []string{"-s", n.Server.Addr.String(), "-d", queries, "-l", strconv.Itoa(max(1, int(length.Seconds()))), "-T", "1", "-c", "8"},
	})
	if err != nil {
		return Result{}, err
	}
	return parse(out)
}

var (
	completed = regexp.MustCompile(`Queries completed:\s+(\d+)`)
	lost      = regexp.MustCompile(`Queries lost:\s+(\d+)`)
	perSecond = regexp.MustCompile(`Queries per second:\s+([\d.]+)`)
	codes     = regexp.MustCompile(`Response codes:\s+(.*)`)
	code      = regexp.MustCompile(`([A-Z]+) (\d+) \(`)
)

// parse reads dnsperf's report.
func parse(out []byte) (Result, error) {
	r := Result{Codes: map[string]int{}}
	var rate string
	for _, f := range []struct {
		what *regexp.Regexp
		into any
	}{{completed, &r.Completed}, {lost, &r.Lost}, {perSecond, &rate}} {
		found := f.what.FindSubmatch(out)
		if found == nil {
			return Result{}, fmt.Errorf("read dnsperf's report: nothing matches %s in:\n%s", f.what, out)
		}
		if _, err := fmt.Sscan(string(found[1]), f.into); err != nil {
			return Result{}, fmt.Errorf("read dnsperf's report: %w", err)
		}
	}
	var err error
	if r.Rate, err = strconv.ParseFloat(rate, 64); err != nil {
		return Result{}, fmt.Errorf("read dnsperf's report: %w", err)
	}
	if line := codes.FindSubmatch(out); line != nil { // absent when nothing was answered
		for _, c := range code.FindAllSubmatch(line[1], -1) {
			n, err := strconv.Atoi(string(c[2]))
			if err != nil {
				return Result{}, fmt.Errorf("read dnsperf's report: %w", err)
			}
			r.Codes[string(c[1])] = n
		}
	}
	return r, nil
}
