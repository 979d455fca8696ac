package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/metald"
	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/peers"
	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/stat"
	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/testnet"
)

// bench is what the comparisons share.
type bench struct {
	out        io.Writer
	rounds     int
	imageBytes int64
	program    string // metald
	peers      peers.Dir
	dir        string
	net        *testnet.Net
	metald     *metald.Server
	image      metal.Image // the one that is streamed
}

const (
	mebibyte   = 1 << 20
	bootBytes  = mebibyte // about as large as iPXE
	loaderName = "snponly.efi"
	upTime     = time.Minute // for a server to answer once it runs
)

// Files of a run, below its directory.
func (b *bench) raw() string      { return filepath.Join(b.dir, "files", "disk.img") }
func (b *bench) qcow2() string    { return filepath.Join(b.dir, "files", "disk.qcow2") }
func (b *bench) loader() string   { return filepath.Join(b.dir, "files", loaderName) }
func (b *bench) kernel() string   { return filepath.Join(b.dir, "env", "amd64", "kernel") }
func (b *bench) initrd() string   { return filepath.Join(b.dir, "env", "amd64", "initramfs") }
func (b *bench) dataDir() string  { return filepath.Join(b.dir, "metald") }
func (b *bench) stored() string   { return filepath.Join(b.dataDir(), "images", b.image.Digest+".zst") }
func (b *bench) bootURL() string  { return fmt.Sprintf("http://%s:7080", b.net.Server.Addr) }
func (b *bench) imageURL() string { return b.bootURL() + "/agent/v1/images/" + b.image.Digest }

// raise makes the files and starts metald on them.
func (b *bench) raise(ctx context.Context) error {
	for _, dir := range []string{filepath.Dir(b.raw()), filepath.Dir(b.kernel()), b.dataDir()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := makeDisk(b.raw(), b.imageBytes); err != nil {
		return fmt.Errorf("make a disk image: %w", err)
	}
	if err := command(ctx, "qemu-img", "convert", "-f", "raw", "-O", "qcow2", b.raw(), b.qcow2()); err != nil {
		return err
	}
	for path, size := range map[string]int64{b.loader(): bootBytes, b.kernel(): 14 * mebibyte, b.initrd(): 22 * mebibyte} {
		if err := copyPart(path, b.raw(), size); err != nil {
			return err
		}
	}
	var err error
	b.metald, err = metald.StartWith(ctx, b.net, b.program, b.dataDir(), fmt.Sprintf(
		"boot {\n  loaders = [%q]\n  environments = %q\n}\nimages {\n  directories = [%q]\n}\n",
		filepath.Dir(b.loader()), filepath.Dir(filepath.Dir(b.kernel())), filepath.Dir(b.raw())))
	if err != nil {
		return err
	}
	if b.image, _, err = b.importImage(ctx, "streamed", b.raw()); err != nil {
		return errors.Join(b.metald.Explain(err), b.metald.Stop())
	}
	return nil
}

// importImage has metald import a file and returns how long that took.
func (b *bench) importImage(ctx context.Context, name, path string) (metal.Image, time.Duration, error) {
	start := time.Now()
	named := api.ByName{Name: name}
	image, err := b.metald.Client.PutImage(ctx, api.PutImageRequest{ByName: named, Body: metal.ImageSpec{Source: path, Arch: metal.AMD64}})
	for err == nil && image.State == metal.ImageImporting {
		image, err = b.metald.Client.GetImage(ctx, api.GetImageRequest{ByName: named, Wait: "60s"})
	}
	if err == nil && image.State != metal.ImageReady {
		err = fmt.Errorf("image %s is %s: %+v", name, image.State, image.Failure)
	}
	return image, time.Since(start), err
}

// compare measures ours and the peer's in turns and prints their medians.
func (b *bench) compare(name, unit string, ours, peer func() (float64, error)) error {
	var values [2][]float64
	for round := range b.rounds {
		for i, measure := range []func() (float64, error){ours, peer} {
			value, err := measure()
			if err != nil {
				return err
			}
			values[i] = append(values[i], value)
			fmt.Fprintf(b.out, "round %d\t%s\t%.4g\t%s\n", round+1, []string{"ours", "peer"}[i], value, unit)
		}
	}
	b.ratio(name, stat.Median(values[0]), stat.Median(values[1]), unit)
	return nil
}

// ratio prints the line of a comparison.
func (b *bench) ratio(name string, ours, peer float64, unit string) {
	fmt.Fprintf(b.out, "ratio\t%s\t%.6g\t%.6g\t%s\t%.3f\n", name, ours, peer, unit, ours/peer)
}

// shell runs a script on the clients' side and returns how long it took. What it says is an error: it is to be silent.
func (b *bench) shell(ctx context.Context, script string) (time.Duration, error) {
	start := time.Now()
	out, err := b.net.Client.Run(ctx, testnet.Program{Path: "bash", Args: []string{"-c", "set -o pipefail; " + script + " || echo exit code $?"}})
	took := time.Since(start)
	if err == nil && len(out) > 0 {
		err = fmt.Errorf("%s: %s", script, out)
	}
	return took, err
}

// rate is how many MiB a second a script moves that moves so many bytes.
func (b *bench) rate(ctx context.Context, bytes int64, script string) func() (float64, error) {
	return func() (float64, error) {
		took, err := b.shell(ctx, script)
		return float64(bytes) / mebibyte / took.Seconds(), err
	}
}

func command(ctx context.Context, name string, args ...string) error {
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %q: %w: %s", name, args, err, out)
	}
	return nil
}
