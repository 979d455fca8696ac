package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func (a *app) imagesCommand() *cobra.Command {
	return noun("images", "Operating systems to deploy", []string{"image"},
		a.imagesList(), a.imagesShow(), a.imagesImport(), a.imagesDelete())
}

func (a *app) imagesList() *cobra.Command {
	return a.command(verb{
		use: "list", short: "List images", args: cobra.NoArgs,
		run: func(ctx context.Context, c *client.Client, _ []string) error {
			list, err := everything(func(page api.Page) (api.List[metal.Image], error) {
				return c.ListImages(ctx, api.ListByNamesRequest{Page: page})
			})
			if err != nil {
				return err
			}
			return printList(a, list, table.Row{"name", "state", "arch", "os", "size", "digest", "source"}, func(i metal.Image) table.Row {
				return table.Row{i.Name, i.State, i.Spec.Arch, i.Spec.OS, size(i.RawBytes), fmt.Sprintf("%.12s", i.Digest), i.Spec.Source}
			})
		},
	})
}

func (a *app) imagesShow() *cobra.Command {
	return a.command(verb{
		use: "show IMAGE", short: "Show an image", args: cobra.ExactArgs(1), complete: imageNames(),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			i, err := c.GetImage(ctx, api.GetImageRequest{ByName: api.ByName{Name: args[0]}})
			if err != nil {
				return err
			}
			fields := []field{
				{"name", i.Name},
				{"state", i.State},
				{"arch", i.Spec.Arch},
				{"OS", i.Spec.OS},
				{"version", i.Spec.Version},
				{"kind", i.Spec.Kind},
				{"format", i.Spec.Format},
				{"boots on", words(i.Spec.Boot)},
				{"reports", yes(i.Spec.Reports)},
				{"source", i.Spec.Source},
				{"mirrors", words(i.Spec.Mirrors)},
				{"SHA-256", i.Spec.SHA256},
				{"SHA-512", i.Spec.SHA512},
				{"digest", i.Digest},
				{"on the disk", size(i.RawBytes)},
				{"stored", size(i.StoredBytes)},
				{"operation", i.OperationID},
			}
			return a.printObject(i, append(fields, failureFields(i.Failure)...)...)
		},
	})
}

func (a *app) imagesImport() *cobra.Command {
	var spec metal.ImageSpec
	var file, arch, kind string
	var boot []string
	cmd := a.long(a.command(verb{
		use: "import NAME", short: "Make an image from a URL, or from a file on this computer", args: cobra.ExactArgs(1),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			spec.Arch, spec.Kind = metal.Arch(arch), metal.ImageKind(kind)
			for _, mode := range boot {
				spec.Boot = append(spec.Boot, metal.BootMode(mode))
			}
			if file != "" {
				return a.upload(ctx, c, args[0], file, spec)
			}
			i, err := c.PutImage(ctx, api.PutImageRequest{ByName: api.ByName{Name: args[0]}, Body: spec})
			if err != nil {
				return err
			}
			if i.State == metal.ImageImporting {
				return a.finish(ctx, c, i.OperationID, i.Name)
			}
			return a.printDone(i, "%s is %s", i.Name, i.State)
		},
	}))
	flags := cmd.Flags()
	flags.StringVar(&spec.Source, "source", "", "http(s) URL, or a path on the server that its configuration allows")
	flags.StringVar(&file, "file", "", "file on this computer")
	flags.StringVar(&spec.SHA256, "sha256", "", "SHA-256 of the file in hex, as its publisher states it")
	flags.StringVar(&spec.Format, "format", "", "auto, raw, qcow2, vmdk, vhd, vhdx, tar or squashfs")
	flags.StringVar(&kind, "kind", "", "disk, a whole disk, or root, the files of a root file system; default: what the format says")
	flags.StringVar(&spec.SHA512, "sha512", "", "SHA-512 of the file in hex, as its publisher states it")
	flags.StringArrayVar(&spec.Mirrors, "mirror", nil, "another URL of the same file; can be repeated; needs --sha256 or --sha512")
	flags.StringVar(&arch, "arch", "", "amd64 or arm64")
	flags.StringVar(&spec.OS, "os", "", "operating system, as in debian")
	flags.StringVar(&spec.Version, "version", "", "version of the operating system, as in 12")
	flags.StringSliceVar(&boot, "boot", nil, "firmware it boots on, bios or uefi; can be repeated; default: both")
	flags.BoolVar(&spec.Reports, "reports", false, "the system inside runs cloud-init and calls back when it is up")
	cmd.MarkFlagsMutuallyExclusive("source", "file")
	cmd.MarkFlagsOneRequired("source", "file")
	return cmd
}

// upload opens the file before anything is made on the server.
func (a *app) upload(ctx context.Context, c *client.Client, name, file string, spec metal.ImageSpec) error {
	f, err := os.Open(file)
	if err != nil {
		return metal.Errorf(metal.Invalid, "open the image: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return metal.Errorf(metal.Invalid, "open the image: %w", err)
	}
	if _, err := c.PutImage(ctx, api.PutImageRequest{ByName: api.ByName{Name: name}, Body: spec}); err != nil {
		return err
	}
	sent := &sending{Reader: f, w: a.errOut, live: a.live, name: name, total: info.Size()}
	i, err := c.UploadImage(ctx, api.UploadImageRequest{ByName: api.ByName{Name: name}, Body: sent})
	sent.end()
	if err != nil {
		return err
	}
	if i.State == metal.ImageImporting {
		return a.finish(ctx, c, i.OperationID, name)
	}
	return a.printDone(i, "%s is %s", name, i.State)
}

// sending shows how much of a file was read: on a terminal as a bar, elsewhere as a line for each quarter.
type sending struct {
	io.Reader
	w     io.Writer
	live  bool
	name  string
	total int64
	done  int64
	shown int64 // in hundredths on a terminal, in quarters elsewhere
	drawn bool
}

// Read reads, and shows.
func (s *sending) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	s.done += int64(n)
	steps := int64(4)
	if s.live {
		steps = 100
	}
	if s.total == 0 || s.done*steps/s.total == s.shown {
		return n, err
	}
	s.shown = s.done * steps / s.total
	text := fmt.Sprintf("%s: %s of %s sent", s.name, size(s.done), size(s.total))
	if s.live {
		fmt.Fprintf(s.w, "%s%s %s", eraseLine, bar(float64(s.done)/float64(s.total)), text)
		s.drawn = true
	} else {
		fmt.Fprintln(s.w, text)
	}
	return n, err
}

func (s *sending) end() {
	if s.drawn {
		fmt.Fprint(s.w, eraseLine)
	}
}

func (a *app) imagesDelete() *cobra.Command {
	return a.deleteCommand("IMAGE", "Delete an image that no deployment names", imageNames(), (*client.Client).DeleteImage)
}
