package servertest

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// patience bounds every wait of a test: far above what a loaded machine needs.
const patience = 2 * time.Minute

// Declare declares a simulated machine, with the password of its BMC.
func (s *Server) Declare(t testing.TB, name string, m *Machine) metal.Machine {
	t.Helper()
	password := BMCPassword
	out, err := s.Client.CreateMachine(t.Context(), api.CreateMachineRequest{Body: api.MachineBody{
		MachineSpec: metal.MachineSpec{Name: name, MACs: []metal.MAC{m.MAC}, BMC: &m.BMC}, Password: &password,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Commission commissions a machine and waits until it is ready.
func (s *Server) Commission(t testing.TB, id string) metal.Machine {
	t.Helper()
	op, err := s.Client.CommissionMachine(t.Context(), api.CommandRequest{ByID: api.ByID{ID: id}})
	if err != nil {
		t.Fatal(err)
	}
	s.Await(t, op)
	return s.Settled(t, id)
}

// Await waits until an operation is over.
func (s *Server) Await(t testing.TB, op metal.Operation) metal.Operation {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := s.Client.WaitOperation(ctx, op.ID, nil)
	if err != nil && !out.Ended() {
		t.Fatalf("wait for %s %s: %v", op.Kind, op.ID, err)
	}
	return out
}

// Settled waits until nothing works on a machine.
func (s *Server) Settled(t testing.TB, id string) metal.Machine {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		m, err := s.Client.GetMachine(ctx, api.GetMachineRequest{ByID: api.ByID{ID: id}, Wait: "10s"})
		if err == nil && m.Settled {
			return m
		}
		if ctx.Err() != nil {
			t.Fatalf("machine %s did not settle: %v\n%s", id, err, s.last(id))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// last tells how far the latest operation on a machine came.
func (s *Server) last(machine string) string {
	l, err := s.Client.ListOperations(context.Background(), api.ListOperationsRequest{Machine: machine, Page: api.Page{Limit: 1}})
	if err != nil || len(l.Items) == 0 {
		return fmt.Sprintf("its operations cannot be read: %v", err)
	}
	op := l.Items[0]
	return fmt.Sprintf("%s is %s at step %s:\n%s", op.Kind, op.Status, op.Step, strings.Join(op.LogTail, "\n"))
}

// Image imports a small disk image that differs by its name.
func (s *Server) Image(t testing.TB, name string, reports bool) metal.Image {
	t.Helper()
	path := filepath.Join(s.Images, name+".raw")
	if err := os.WriteFile(path, Disk(name), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := s.Client.PutImage(t.Context(), api.PutImageRequest{ByName: api.ByName{Name: name}, Body: metal.ImageSpec{Source: path, Reports: reports}})
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); time.Now().Before(end); {
		i, err := s.Client.GetImage(t.Context(), api.GetImageRequest{ByName: api.ByName{Name: name}, Wait: "10s"})
		if err != nil {
			t.Fatal(err)
		}
		switch i.State {
		case metal.ImageReady:
			return i
		case metal.ImageFailed:
			t.Fatalf("image %s: %+v", name, i.Failure)
		}
	}
	t.Fatalf("image %s was not imported in time", name)
	return metal.Image{}
}

// Disk returns a raw disk of one MiB with an MBR, told apart by what is written on it.
func Disk(text string) []byte {
	disk := make([]byte, 1<<20)
	copy(disk[4096:], text)
	disk[446+4] = 0x83                                    // one Linux partition
	copy(disk[446+8:], []byte{8, 0, 0, 0, 0xf8, 7, 0, 0}) // from sector 8 on, 2040 sectors
	disk[510], disk[511] = 0x55, 0xaa
	return bytes.Clone(disk)
}

// Root returns a root archive, a tar that no machine could start.
func Root() []byte {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, dir := range []string{"etc/", "usr/", "boot/"} {
		if err := w.WriteHeader(&tar.Header{Name: dir, Mode: 0o755, Typeflag: tar.TypeDir}); err != nil {
			panic(err) // it is written to memory
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return archive.Bytes()
}

// Allocate claims a machine.
func (s *Server) Allocate(t testing.TB, name string, spec metal.AllocationSpec) metal.Allocation {
	t.Helper()
	a, err := s.Client.PutAllocation(t.Context(), api.PutAllocationRequest{ByName: api.ByName{Name: name}, Body: spec})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Deploy deploys an image to a claimed machine, and waits until that is over.
func (s *Server) Deploy(t testing.TB, machine, image string) metal.Deployment {
	t.Helper()
	d, err := s.Client.CreateDeployment(t.Context(), api.CreateDeploymentRequest{Body: api.CreateDeploymentBody{
		MachineID: machine, DeploymentBody: api.DeploymentBody{DeploymentSpec: metal.DeploymentSpec{Image: image}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	s.Settled(t, machine)
	d, err = s.Client.GetDeployment(t.Context(), api.GetDeploymentRequest{ByID: api.ByID{ID: d.ID}})
	if err != nil {
		t.Fatal(err)
	}
	return d
}
