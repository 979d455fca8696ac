package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agentapi"
	"github.com/metalform/terraform-provider-metal/server/internal/bootenv"
)

const eraseBytes = 48 << 20

// noisyDisk makes a disk that is full of noise.
func noisyDisk(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.CopyN(f, rand.Reader, eraseBytes); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestErasedDisksAreEmptySeenFromOutside wipes emulated disks of three kinds, and reads the files behind them.
func TestErasedDisksAreEmptySeenFromOutside(t *testing.T) {
	if testing.Short() {
		t.Skip("boots machines")
	}
	needTools(t, "qemu-system-x86_64", "dnsmasq", "ip", "apt-get")
	dir := t.TempDir()
	cloud, generic := buildEnvironment(t, dir, bootenv.Cloud), buildEnvironment(t, dir, bootenv.Generic)
	ns := newNamespace(t)
	startDNSMasq(t, ns, dir)
	server := &fakeServer{}
	server.listen(t, ns)

	virtio := func(file string) []string {
		return []string{"-drive", "if=none,id=d0,format=raw,file=" + file, "-device", "virtio-blk-pci,drive=d0,serial=V1"}
	}
	nvme := func(file string) []string {
		return []string{"-drive", "if=none,id=d0,format=raw,file=" + file, "-device", "nvme,drive=d0,serial=N1"}
	}
	sata := func(file string) []string {
		return []string{"-drive", "if=none,id=d0,format=raw,file=" + file, "-device", "ide-hd,drive=d0,serial=S1,model=EMULATED"}
	}
	for _, c := range []struct {
		name    string
		env     string
		disk    func(string) []string
		mode    metal.Erase
		method  string // how it was done
		refused string
		empty   bool // all of it; otherwise only where signatures are
	}{
		{"a quick wipe of virtio", cloud, virtio, metal.EraseQuick, "signatures", "", false},
		{"zeros on virtio", cloud, virtio, metal.EraseZero, "zero", "", true},
		{"the own format of NVMe", cloud, nvme, metal.EraseSecure, "nvme-format", "", true},
		{"zeros on SATA", generic, sata, metal.EraseZero, "zero", "", true},
		{"SATA that has no command for it", generic, sata, metal.EraseSecure, "", "neither the sanitize nor the security feature set", false},
	} {
		if !t.Run(c.name, func(t *testing.T) {
			file := noisyDisk(t, "disk.raw")
			server.begin(agentapi.Step{ID: "1", Kind: agentapi.StepErase, Erase: &agentapi.Erase{Mode: c.mode}}, agentapi.Step{ID: "2", Kind: agentapi.StepPowerOff})
			console := powerOn(t, ns, c.env, c.disk(file)...)
			defer func() {
				if t.Failed() {
					t.Logf("console:\n%s", console)
				}
			}()
			if len(server.results) != 2 {
				t.Fatalf("results: got %+v; want two", server.results)
			}
			got := server.results[0]
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if c.refused != "" {
				if got.Failure == nil || !strings.Contains(got.Failure.Message, c.refused) {
					t.Errorf("got %+v; want a refusal with %q", got.Failure, c.refused)
				}
				if bytes.Count(content, []byte{0}) > eraseBytes/128 {
					t.Error("the disk was wiped in another way instead")
				}
				return
			}
			var wiped []metal.DiskWiped
			if got.Failure != nil || json.Unmarshal(got.Output, &wiped) != nil || len(wiped) != 1 {
				t.Fatalf("got %+v, %s; want one disk wiped", got.Failure, got.Output)
			}
			w := wiped[0]
			if !strings.Contains(w.Method, c.method) || w.Bytes != eraseBytes || w.Serial == "" || w.StartedAt.IsZero() || w.EndedAt.Before(w.StartedAt) {
				t.Errorf("got %+v; want a record of %s", w, c.method)
			}
			if c.empty && w.Result != metal.WipeVerified {
				t.Errorf("result: got %s; want verified", w.Result)
			}
			clean := content
			if !c.empty {
				clean = append(content[:1<<20:1<<20], content[len(content)-1<<20:]...)
			}
			if left := len(clean) - bytes.Count(clean, []byte{0}); left > 0 {
				t.Errorf("%d of %d bytes are not zero, seen from outside", left, len(clean))
			}
		}) {
			return
		}
	}
}

// begin gives the next boot its steps.
func (s *fakeServer) begin(steps ...agentapi.Step) { s.steps, s.results = steps, nil }
