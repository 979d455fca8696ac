// Command metal-lab is a virtual rack on one Linux computer: QEMU machines with virtual BMCs on a network of their
// own, to try metald with. It needs root.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/lab"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM, unix.SIGHUP)
	root := newCommand(os.Stdin, os.Stdout, os.Stderr)
	root.SetArgs(longFlags(os.Args[1:]))
	err := root.ExecuteContext(ctx)
	stop()
	if err != nil {
		explain(os.Stderr, err)
		os.Exit(1)
	}
}

// longFlags lets flags be written with one dash, as Go programs and Terraform have them: -machines is --machines.
// What follows "--" is somebody else's.
func longFlags(args []string) []string {
	out := slices.Clone(args)
	for i, a := range out {
		if a == "--" {
			break
		}
		if len(a) > 2 && a[0] == '-' && a[1] != '-' {
			out[i] = "-" + a
		}
	}
	return out
}

// explain prints an error and the evidence it brings.
func explain(w io.Writer, err error) {
	fmt.Fprintf(w, "metal-lab: %v\n", err)
	var e *metal.Error
	if errors.As(err, &e) && e.Detail != "" {
		fmt.Fprintln(w, "  "+strings.ReplaceAll(e.Detail, "\n", "\n  "))
	}
}

// place says which lab a command is about.
type place struct{ name, dir string }

// path is the lab's directory, absolute.
func (p place) path() (string, error) {
	if p.dir == "" {
		return lab.DefaultDir(p.name), nil
	}
	return filepath.Abs(p.dir)
}

// newCommand returns the whole command tree.
func newCommand(in io.Reader, out, errs io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:   "metal-lab",
		Short: "A virtual rack: QEMU machines with virtual BMCs on a network of their own",
		Long: `A virtual rack: QEMU machines with virtual BMCs on a network of their own.

The rack lives in a network namespace. Run metald, Terraform and ssh inside it:

  metal-lab up --machines 3
  metal-lab exec -- metald serve -interface br0
  metal-lab status
  metal-lab down

Every machine starts from the network first and then from its disk, unless its BMC is told otherwise.`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	p := &place{}
	root.PersistentFlags().StringVar(&p.name, "name", lab.DefaultName, "name of the lab, and of its network namespace")
	root.PersistentFlags().StringVar(&p.dir, "dir", "", "directory of the lab's files (default "+lab.DefaultDir("NAME")+")")
	root.AddCommand(
		upCommand(p), downCommand(p), superviseCommand(),
		statusCommand(p), powerCommand(p), plugCommand(p), consoleCommand(p), execCommand(p),
		demoCommand(), imageCommand(),
	)
	return root
}
