package osimage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// cacheKey names what an image is made of: builder, recipe, and the versions of its packages and of the loaders.
func cacheKey(ctx context.Context, o Options, r recipe) (string, error) {
	packages := append([]string{"grub-pc-bin", "grub-efi-amd64-signed", "shim-signed"}, r.packages...)
	policy, err := output(ctx, "", "apt-cache", append([]string{"policy"}, packages...)...)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	fmt.Fprintln(sum, generation, r.name, r.megabytes, r.cmdline, o.version())
	for _, line := range append(candidates(policy), r.inputs...) {
		fmt.Fprintln(sum, line)
	}
	return hex.EncodeToString(sum.Sum(nil))[:16], nil
}

// candidates picks "package version" from the output of apt-cache policy, sorted.
func candidates(policy string) []string {
	var found []string
	name := ""
	for line := range strings.Lines(policy) {
		line = strings.TrimRight(line, "\n")
		if p, ok := strings.CutSuffix(line, ":"); ok && !strings.HasPrefix(line, " ") {
			name = p
		}
		if v, ok := strings.CutPrefix(line, "  Candidate: "); ok {
			found = append(found, name+" "+v)
		}
	}
	slices.Sort(found)
	return found
}

// place puts a cached build where it is wanted: a hard link when it can, else a copy. Out is never seen half done.
func place(cached, out string) error {
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	tmp := out + ".new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if os.Link(cached, tmp) != nil {
		if err := copyFile(cached, tmp, 0o644); err != nil {
			return err
		}
	}
	if err := os.Rename(tmp, out); err != nil {
		return err
	}
	// A rename between two names of one file does nothing, and leaves both (rename(2)).
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// copyFile copies content; links are followed.
func copyFile(from, to string, mode os.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
