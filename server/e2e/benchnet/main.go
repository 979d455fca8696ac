// Command benchnet measures metald's network services against the servers that they replace, side by side in one run:
// Kea and dnsmasq (DHCP), BIND and Knot (DNS), chrony (NTP). Each runs alone on one processor core, and is loaded from
// another one through a veth between two network namespaces.
//
// Every comparison is one line of fields that are separated by tabs: the word ratio, its name, our median, the peer's,
// the unit, and ours divided by the peer's. Units are things a second, or a second of a core's time (core-s), so more is
// better; except where they are times.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/peers"
	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/testnet"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "benchnet:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("benchnet", flag.ContinueOnError)
	b := &bench{out: out, scale: full}
	flags.IntVar(&b.rounds, "rounds", 3, "how often each thing is measured; the median counts")
	only := flags.String("only", "", "names of comparisons, separated by commas; empty: all of "+strings.Join(names(), ", "))
	programs := flags.String("programs", valueOr(os.Getenv("METAL_PROGRAMS"), "bin"), "directory with metald")
	unpacked := flags.String("peers", valueOr(os.Getenv("METAL_PEERS"), ".cache/peers"), "directory that .ci/peers unpacked the peers in")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if b.rounds < 1 {
		return fmt.Errorf("%d rounds: there must be at least one", b.rounds)
	}
	chosen, err := choose(*only)
	if err != nil {
		return err
	}
	if b.program, err = filepath.Abs(filepath.Join(*programs, "metald")); err != nil {
		return err
	}
	if *unpacked, err = filepath.Abs(*unpacked); err != nil {
		return err
	}
	b.peers = peers.Dir(*unpacked)
	return b.all(ctx, chosen)
}

func valueOr(value, other string) string {
	if value == "" {
		return other
	}
	return value
}

// choose returns the comparisons that are named; of no names, all.
func choose(only string) ([]comparison, error) {
	if only == "" {
		return comparisons(), nil
	}
	var chosen []comparison
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(comparisons(), func(c comparison) bool { return c.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no comparison %q: there are %s", name, strings.Join(names(), ", "))
		}
		chosen = append(chosen, comparisons()[i])
	}
	return chosen, nil
}

func names() []string {
	var all []string
	for _, c := range comparisons() {
		all = append(all, c.name)
	}
	return all
}

// all makes the network and runs the comparisons in it, one after the other. Nothing of it is left when it returns. A
// comparison that cannot be made does not keep the others from it.
func (b *bench) all(ctx context.Context, chosen []comparison) (err error) {
	if b.dir, err = os.MkdirTemp("", "metal-benchnet-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if b.net, err = testnet.Up(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.net.Close()) }()
	if b.net.Server.Core == b.net.Client.Core {
		fmt.Fprintln(b.out, "there is one processor core: servers share it with their load, and every figure is too low")
	}
	release, err := testnet.Claim(b.net.Client.Core)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	var missing []string
	for _, c := range chosen {
		fmt.Fprintf(b.out, "# %s: %s\n", c.name, c.about)
		if err := c.run(b, ctx); err != nil {
			fmt.Fprintf(b.out, "# %s could not be measured: %s\n", c.name, err)
			missing = append(missing, c.name)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%s could not be measured, for reasons told above", strings.Join(missing, ", "))
	}
	return nil
}
