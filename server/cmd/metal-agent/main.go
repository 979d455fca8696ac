// Command metal-agent is the first process of the RAM environment (/init). It brings the machine on the network,
// says hello to metald, and does the steps it is given: inventory, erase, write, restart.
//
// Under the name metal-start it is the first process of a system that runs from memory, until it goes over to that.
// Under the name modprobe it loads a kernel module, for the kernel itself. As an ordinary process it can be tried out
// with -server and -token: it then reports the inventory of the machine it runs on and refuses every other step.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agent"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/hardware"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/install"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/inventory"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/program"
	"github.com/metalform/terraform-provider-metal/server/internal/agentapi"
)

// version is set by the linker.
var version = "devel"

func main() {
	switch {
	case filepath.Base(os.Args[0]) == "modprobe":
		if err := modprobe(os.Args[len(os.Args)-1]); err != nil {
			fmt.Fprintln(os.Stderr, "modprobe:", err)
			os.Exit(1)
		}
	case filepath.Base(os.Args[0]) == install.StartProgram && os.Getpid() == 1:
		enterSystem()
	case os.Getpid() == 1:
		boot()
	default:
		if err := tryOut(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, "metal-agent:", err)
			os.Exit(1)
		}
	}
}

// tryOut runs the agent as an ordinary process until it is interrupted.
func tryOut(args []string) error {
	flags := flag.NewFlagSet("metal-agent", flag.ContinueOnError)
	server := flags.String("server", "", "base `URL` of metald")
	token := flags.String("token", "", "boot token")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if *server == "" || *token == "" {
		return metal.Errorf(metal.Invalid, "this program is the first process of a machine that metald boots over the network; to try it out as an ordinary process give -server and -token (it then only reports an inventory)")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	ctx, quit := context.WithCancel(ctx)
	defer quit()
	ring := &agent.LogRing{}
	log := agent.NewLogger(os.Stderr, ring)
	return talk(ctx, talking{
		server: *server, token: metal.NewSecret(*token), log: log, ring: ring,
		disks: refusing{}, control: leaving{quit},
		settle: func(context.Context) error { return nil },
	})
}

// talking is what the conversation with the server needs.
type talking struct {
	server   string
	token    metal.Secret
	bootMAC  metal.MAC
	log      *slog.Logger
	ring     *agent.LogRing
	disks    hardware.Disks
	programs program.Runner // zero where nothing is installed
	control  hardware.Control
	settle   func(context.Context) error
	neighbor func(nic string) *metal.Neighbor
}

// talk says hello and does steps until ctx ends.
func talk(ctx context.Context, t talking) error {
	client, err := agentapi.NewClient(t.server, httpClient())
	if err != nil {
		return err
	}
	sources := inventory.Sources{
		Roots: inventory.Roots{Proc: "/proc", Sys: "/sys", Dev: "/dev"},
		Disks: t.disks.List, Neighbor: t.neighbor,
		BootMAC: t.bootMAC, Arch: metal.Arch(runtime.GOARCH), Log: t.log,
	}
	if drivers, err := inventory.OpenDrivers(); err == nil {
		defer drivers.Close()
		sources.NICs = drivers
	}
	return agent.New(agent.Options{
		Server: client,
		Machine: hardware.New(hardware.Options{
			Sources: sources, Disks: t.disks, Control: t.control, Installer: installer{t.programs, client.Tools, t.log}, ImagePart: client.ImagePart, ImageChunks: client.ImageChunks, Settle: t.settle,
			Version: version, Log: t.log,
		}),
		Token: t.token, BootID: rand.Text(), Log: t.log, Ring: t.ring,
		Pause: agent.Sleep, Every: 500 * time.Millisecond,
	}).Run(ctx)
}

// httpClient returns a client for a server on the same network, which may vanish at any time.
func httpClient() *http.Client {
	dialer := &net.Dialer{
		Timeout:         3 * time.Second,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3},
	}
	return &http.Client{Transport: &http.Transport{
		DialContext:         dialer.DialContext,
		MaxIdleConnsPerHost: 16, // as many as chunks of an image are read at once, and the calls besides
		IdleConnTimeout:     30 * time.Second,
		DisableCompression:  true, // images are zstd already, the rest is small
	}}
}
