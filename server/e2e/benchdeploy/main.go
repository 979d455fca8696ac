// Command benchdeploy measures what a deployment waits for against what people use instead, side by side in one run: an
// image to a disk against curl, zstd and dd; eight machines at once and boot files against nginx; TFTP against
// tftpd-hpa; the import of an image against qemu-img. Servers run on one processor core, clients on another one, with a
// veth between two network namespaces. It needs root.
//
// Every comparison is one line of fields that are separated by tabs: the word ratio, its name, our median, the peer's,
// the unit, and ours divided by the peer's. Less is better where the unit is s or MiB, more where it is MiB/s.
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
	var err error
	if args := os.Args[1:]; len(args) > 0 && args[0] == agentCommand {
		err = runAgent(ctx, args[1:], os.Stdout)
	} else {
		err = run(ctx, args, os.Stdout)
	}
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "benchdeploy:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("benchdeploy", flag.ContinueOnError)
	b := &bench{out: out}
	flags.IntVar(&b.rounds, "rounds", 3, "how often each thing is measured; the median counts")
	mebibytes := flags.Int64("size", 2048, "MiB of the image's disk")
	only := flags.String("only", "", "names of comparisons, separated by commas; empty: all of "+strings.Join(names(), ", "))
	programs := flags.String("programs", valueOr(os.Getenv("METAL_PROGRAMS"), "bin"), "directory with metald")
	unpacked := flags.String("peers", valueOr(os.Getenv("METAL_PEERS"), ".cache/peers"), "directory that .ci/peers unpacked the peers in")
	dir := flags.String("dir", os.TempDir(), "directory for the image, the server's data and the disk: 8 GiB for an image of 2")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if b.rounds < 1 || *mebibytes < 64 {
		return fmt.Errorf("%d rounds with an image of %d MiB: there must be one round, and 64 MiB, at least", b.rounds, *mebibytes)
	}
	b.imageBytes = *mebibytes << 20
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
	return b.all(ctx, *dir, chosen)
}

func valueOr(value, other string) string {
	if value == "" {
		return other
	}
	return value
}

// A comparison measures one thing of ours and the peer's, and prints what it finds.
type comparison struct {
	name, about string
	run         func(b *bench, ctx context.Context) error
}

func comparisons() []comparison {
	return []comparison{
		{"import-qcow2", "a qcow2 file into the image store, against qemu-img convert -c with zstd", (*bench).importQcow2},
		{"stream-2g", "an image from metald to a loop device, half of it zeros, against curl | zstd -d | dd", (*bench).stream},
		{"fanout-8", "a stored image to eight curls at once, against nginx", (*bench).fanout},
		{"http-boot", "kernel and initramfs to eight curls, against nginx", (*bench).httpBoot},
		{"tftp", "a boot file of 1 MiB to curl in blocks of 1468 bytes, against tftpd-hpa", (*bench).tftp},
	}
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

// all makes image, network and server, and runs the comparisons one after the other. Nothing of it is left when it
// returns. A comparison that cannot be made does not keep the others from it.
func (b *bench) all(ctx context.Context, dir string, chosen []comparison) (err error) {
	if b.dir, err = os.MkdirTemp(dir, "metal-benchdeploy-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if b.net, err = testnet.Up(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.net.Close()) }()
	release, err := testnet.Claim(b.net.Client.Core)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	if err := b.raise(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.metald.Stop()) }()
	var missing []string
	for _, c := range chosen {
		fmt.Fprintf(b.out, "# %s: %s\n", c.name, c.about)
		if err := b.metald.Explain(c.run(b, ctx)); err != nil {
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
