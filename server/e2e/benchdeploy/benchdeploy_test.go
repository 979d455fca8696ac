package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestMain lets the test's program be the agent, as this command is: it starts itself for that.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == agentCommand {
		if err := runAgent(context.Background(), os.Args[2:], os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestTheDiskIsHalfEmptyAndHasABootSector(t *testing.T) {
	const size = 4*stripe + 5*mebibyte
	path := filepath.Join(t.TempDir(), "disk.img")
	if err := makeDisk(path, size); err != nil {
		t.Fatal(err)
	}
	disk, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(disk) != size || disk[510] != 0x55 || disk[511] != 0xaa {
		t.Errorf("got %d bytes with %x at 510; want %d with a boot sector", len(disk), disk[510:512], size)
	}
	for i := range 5 {
		part := disk[i*stripe : min((i+1)*stripe, size)]
		if empty := len(bytes.Trim(part, "\x00")) == 0; empty != (i%2 == 1) {
			t.Errorf("stripe %d: got empty %v; want every second one to be", i, empty)
		}
	}
}

func TestFilesAreWrittenAcrossGaps(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := &striped{f: f, size: 3 * stripe}
	n, err := io.Copy(w, io.LimitReader(letters{}, 5*stripe))
	if n != 2*stripe || err == nil || !strings.Contains(err.Error(), "full") {
		t.Errorf("got %d bytes, %v; want two stripes of three, and then that the disk is full", n, err)
	}
}

// letters are a file without end.
type letters struct{}

func (letters) Read(p []byte) (int, error) { return copy(p, bytes.Repeat([]byte("x"), len(p))), nil }

func TestComparisonsAreChosenByName(t *testing.T) {
	if all, err := choose(""); err != nil || len(all) != len(names()) {
		t.Errorf("got %d, %v; want all", len(all), err)
	}
	if some, err := choose("tftp,stream-2g"); err != nil || len(some) != 2 || some[0].name != "tftp" {
		t.Errorf("got %v, %v; want tftp and stream-2g", some, err)
	}
	if _, err := choose("stream-9g"); err == nil || !strings.Contains(err.Error(), "fanout-8") {
		t.Errorf("got %v; want an error that names what there is", err)
	}
}

// TestEveryComparisonIsPrinted runs all of them on a small image. What they find is not judged here.
func TestEveryComparisonIsPrinted(t *testing.T) {
	programs, peers := os.Getenv("METAL_PROGRAMS"), os.Getenv("METAL_PEERS")
	if testing.Short() {
		t.Skip("starts servers")
	}
	if os.Geteuid() != 0 || programs == "" || peers == "" {
		const needs = "needs root, the built programs (METAL_PROGRAMS) and the unpacked peers (METAL_PEERS)"
		if os.Getenv("CI") != "" {
			t.Fatal(needs)
		}
		t.Skip(needs)
	}
	var out bytes.Buffer
	err := run(t.Context(), []string{"-rounds", "1", "-size", "64", "-dir", t.TempDir(), "-programs", programs, "-peers", peers}, &out)
	if err != nil {
		t.Fatalf("%v\n%s", err, out.Bytes())
	}
	for _, name := range append(names(), "agent-memory") {
		if !regexp.MustCompile(`(?m)^ratio\t` + name + `\t[0-9.e+]+\t[0-9.e+]+\t[A-Za-z/]+\t[0-9.]+$`).Match(out.Bytes()) {
			t.Errorf("there is no line of %s:\n%s", name, out.Bytes())
		}
	}
}
