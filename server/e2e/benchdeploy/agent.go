package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/testnet"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/disk"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/hardware"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/inventory"
	"github.com/metalform/terraform-provider-metal/server/internal/agentapi"
)

// agentCommand makes this program what metal-agent is when it writes an image: the same code without the rest.
const agentCommand = "agent"

const mac = "52:54:00:00:00:01"

var bootToken = regexp.MustCompile(agentapi.ParamToken + `=(\S+)`)

// hello does what a machine does that boots from metald: its script has the token for the first call.
func hello(ctx context.Context, server string) (*agentapi.Client, agentapi.Session, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server+"/boot/script/"+mac, nil)
	if err != nil {
		return nil, agentapi.Session{}, err
	}
	h := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16, DisableCompression: true}}
	res, err := h.Do(req)
	if err != nil {
		return nil, agentapi.Session{}, err
	}
	defer res.Body.Close()
	script, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, agentapi.Session{}, err
	}
	token := bootToken.FindSubmatch(script)
	if token == nil {
		return nil, agentapi.Session{}, errors.New("the boot script of an unknown machine has no token")
	}
	c, err := agentapi.NewClient(server, h)
	if err != nil {
		return nil, agentapi.Session{}, err
	}
	s, err := c.Hello(ctx, agentapi.Hello{
		Token: string(token[1]), BootID: rand.Text(), BootMAC: mac, MACs: []metal.MAC{mac}, Arch: metal.AMD64, BootMode: metal.BIOS,
	})
	return c, s, err
}

// login returns curl's arguments for reading images. Every hello of the machine makes a new session of it and ends the
// one before. The call must come from the machines' side, and the token is for curl's eyes only.
func (b *bench) login(ctx context.Context) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	out, err := b.net.Client.Run(ctx, testnet.Program{Path: self, Args: []string{agentCommand, "-server", b.bootURL()}})
	if err != nil {
		return "", err
	}
	var token string
	if _, err := fmt.Sscanf(string(out), "session %s", &token); err != nil {
		return "", fmt.Errorf("say hello to metald: %s", out)
	}
	path := filepath.Join(b.dir, "curl.config")
	return "-K " + path, os.WriteFile(path, fmt.Appendf(nil, "header = \"Authorization: Bearer %s\"\n", token), 0o600)
}

// runAgent says hello and prints the session's token; with a device it writes an image to it, and prints the seconds
// that took, and how many KiB of memory were used at most.
func runAgent(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet(agentCommand, flag.ContinueOnError)
	var w agentapi.Write
	server := flags.String("server", "", "URL")
	device := flags.String("device", "", "to write to")
	flags.StringVar(&w.Digest, "digest", "", "of the image")
	flags.Int64Var(&w.RawBytes, "raw", 0, "bytes of the disk")
	flags.Int64Var(&w.StoredBytes, "stored", 0, "bytes as stored")
	if err := flags.Parse(args); err != nil {
		return err
	}
	c, session, err := hello(ctx, *server)
	if err != nil {
		return err
	}
	if *device == "" {
		_, err := fmt.Fprintf(out, "session %s\n", session.Token)
		return err
	}
	m := hardware.New(hardware.Options{
		Sources: inventory.Sources{Roots: inventory.Roots{Sys: "/sys", Dev: filepath.Dir(*device)}}, Disks: oneDisk(filepath.Base(*device)),
		ImagePart: c.ImagePart, ImageChunks: c.ImageChunks,
		Settle: func(context.Context) error { return nil }, Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	start := time.Now()
	if _, err := m.Write(ctx, w, func(float64) {}); err != nil {
		return err
	}
	took := time.Since(start)
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "wrote %f %d\n", took.Seconds(), used.Maxrss)
	return err
}

// oneDisk is the one disk of the agent, by name.
type oneDisk string

func (d oneDisk) List(string, string) ([]metal.Disk, error) {
	return []metal.Disk{{Name: string(d)}}, nil
}

func (d oneDisk) Choose(all []metal.Disk, _ string, _ int64) (metal.Disk, error) { return all[0], nil }

func (oneDisk) Write(ctx context.Context, path string, image *hardware.Image, w agentapi.Write, progress func(float64)) (int64, error) {
	return disk.Write(ctx, disk.WriteOptions{Path: path, Image: image, Digest: w.Digest, RawBytes: w.RawBytes, Progress: progress})
}

func (oneDisk) Erase(context.Context, metal.Disk, string, metal.Erase, func(float64)) (metal.DiskWiped, error) {
	return metal.DiskWiped{}, errors.ErrUnsupported
}

func (oneDisk) Kexec(context.Context, string, string) error { return errors.ErrUnsupported }
