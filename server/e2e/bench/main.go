// Command bench measures metald on a virtual rack against the least that would do: the same virtual machine, booted
// or installed by the plainest means there are. Both run in turns, on the same computer, in the same run.
//
// Every comparison is one line of fields that are separated by tabs: the word ratio, its name, our median, the
// peer's, the unit, and ours divided by the peer's.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/metalform/terraform-provider-metal/server/internal/lab"
	"github.com/metalform/terraform-provider-metal/server/internal/lab/demo"
	"github.com/metalform/terraform-provider-metal/server/internal/lab/rack"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// roundTime bounds one round, which takes a minute on a quiet computer.
const roundTime = 10 * time.Minute

// A bench is both racks, ours and the peer's.
type bench struct {
	ours ours
	peer *peer
	runs int
	out  io.Writer
	log  *slog.Logger
}

func run(ctx context.Context, args []string, out io.Writer, log *slog.Logger) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	runs := flags.Int("runs", 3, "how often each thing is measured; the median counts")
	programs := flags.String("programs", valueOr(os.Getenv("METAL_PROGRAMS"), "bin"), "directory with metald and metal-agent")
	cache := flags.String("cache", valueOr(os.Getenv("METAL_CACHE"), ".cache"), "directory of what is built once")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *runs < 1 {
		return fmt.Errorf("%d runs: there must be at least one", *runs)
	}
	dir, err := os.MkdirTemp("", "metal-bench-")
	if err != nil {
		return err
	}
	b := &bench{runs: *runs, out: out, log: log}
	return errors.Join(b.in(ctx, dir, *programs, *cache), os.RemoveAll(dir))
}

func valueOr(value, other string) string {
	if value == "" {
		return other
	}
	return value
}

// in raises both racks below dir, and measures. Nothing of them is left when it returns.
func (b *bench) in(ctx context.Context, dir, programs, cache string) (err error) {
	if programs, err = filepath.Abs(programs); err != nil {
		return err
	}
	if cache, err = filepath.Abs(cache); err != nil {
		return err
	}
	assets, err := demo.Build(ctx, cache, programs, "tiny", b.log)
	if err != nil {
		return err
	}
	b.peer, err = raisePeer(ctx, filepath.Join(dir, "peer"), assets, b.log)
	if err != nil {
		return fmt.Errorf("raise the peer's rack: %w", err)
	}
	defer func() { err = errors.Join(err, b.peer.close()) }()
	r, err := rack.Start(ctx, rack.Options{
		Lab:      lab.Config{Dir: filepath.Join(dir, "ours"), Name: fmt.Sprintf("bench-%d-ours", os.Getpid())},
		Programs: programs, Env: assets.Env, Images: filepath.Dir(assets.ImageA), Log: b.log,
	})
	if err != nil {
		return fmt.Errorf("raise our rack: %w", err)
	}
	b.ours = ours{Rack: r, node: r.Lab.State().Machines[0]}
	defer func() {
		if err != nil && ctx.Err() == nil {
			err = fmt.Errorf("%w\nthe end of metald's log:\n%s", err, r.LogTail())
		}
		err = errors.Join(err, r.Close())
	}()
	return b.measure(ctx, assets)
}

func (b *bench) measure(ctx context.Context, assets demo.Assets) error {
	if err := b.resident("metald resident memory after its first start"); err != nil {
		return err
	}
	if err := b.startUp(ctx); err != nil {
		return err
	}
	if err := b.ours.importImage(ctx, assets.ImageA); err != nil {
		return err
	}
	var boot, deploy comparison
	for i := range b.runs {
		if err := b.round(ctx, assets, &boot, &deploy); err != nil {
			return fmt.Errorf("run %d: %w", i+1, err)
		}
	}
	boot.print(b.out, "power-on-to-ready")
	deploy.print(b.out, "deploy")
	return b.resident("metald resident memory after the last run")
}

// round measures everything once, ours and the peer's. Meanwhile the other one's machine is off.
func (b *bench) round(ctx context.Context, assets demo.Assets, boot, deploy *comparison) error {
	ctx, cancel := context.WithTimeout(ctx, roundTime)
	defer cancel()
	machine, err := b.ours.declare(ctx)
	if err != nil {
		return err
	}
	for _, part := range []struct {
		into *[]time.Duration
		run  func() error
	}{
		{&boot.ours, func() error { return b.ours.commission(ctx, machine.ID) }},
		{&deploy.ours, func() error { return b.ours.deploy(ctx) }},
		{nil, func() error { return b.ours.forget(ctx, machine.ID) }},
		{&boot.peer, func() error { return b.peer.boot(ctx) }},
		{nil, func() error { return b.peer.off(ctx) }},
		{&deploy.peer, func() error { return b.peer.install(ctx, assets.ImageA) }},
		{nil, b.peer.uninstall},
	} {
		begun := time.Now()
		if err := part.run(); err != nil {
			return err
		}
		if part.into != nil {
			*part.into = append(*part.into, time.Since(begun))
		}
	}
	return nil
}

// startUp measures the time from the start of metald's process to the first answer of its API. It is asked every 50 ms.
func (b *bench) startUp(ctx context.Context) error {
	var times []time.Duration
	for range b.runs {
		if err := b.ours.StopServer(); err != nil {
			return err
		}
		begun := time.Now()
		if err := b.ours.StartServer(ctx); err != nil {
			return err
		}
		times = append(times, time.Since(begun))
	}
	fmt.Fprintf(b.out, "metald start-up, from exec to an answer of its API\t%.3f\ts\n", median(times).Seconds())
	return nil
}

func (b *bench) resident(what string) error {
	kib, err := residentKiB(b.ours.ServerPID())
	if err != nil {
		return err
	}
	fmt.Fprintf(b.out, "%s\t%.1f\tMiB\n", what, float64(kib)/1024)
	return nil
}
