package fleet_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/fleet"
	"github.com/metalform/terraform-provider-metal/server/internal/lifecycle"
	"github.com/metalform/terraform-provider-metal/server/internal/seal"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// rig is a fleet on a real database. Its engine does not run: operations stay where they began.
type rig struct {
	*fleet.Fleet
	db   *store.DB
	path string
}

func start(t testing.TB, change ...func(*fleet.Config)) *rig {
	t.Helper()
	r := &rig{path: filepath.Join(t.TempDir(), "metald.db")}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	sealer, err := seal.New(bytes.Repeat([]byte{7}, 32))
	must(t, err)
	r.db, err = store.Open(t.Context(), r.path, store.Options{Sealer: sealer, Now: time.Now, Log: log})
	must(t, err)
	t.Cleanup(func() { must(t, r.db.Close()) })
	engine, err := lifecycle.New(t.Context(), lifecycle.Config{DB: r.db, Now: time.Now, Log: log})
	must(t, err)
	cfg := fleet.Config{DB: r.db, Engine: engine, Zone: "fleet.test", CheckOptions: tellable, Caller: func(context.Context) string { return "me" }, Log: log}
	for _, c := range change {
		c(&cfg)
	}
	r.Fleet, err = fleet.New(t.Context(), cfg)
	must(t, err)
	must(t, r.EnsureDefaults(t.Context()))
	return r
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ready declares the n-th machine and makes it ready, with a disk of 100 GiB.
func (r *rig) ready(t *testing.T, n int, pool string) metal.Machine {
	t.Helper()
	m, err := r.CreateMachine(t.Context(), api.CreateMachineRequest{Body: api.MachineBody{MachineSpec: metal.MachineSpec{
		Name: fmt.Sprintf("n%d", n), MACs: []metal.MAC{metal.MACOf([]byte{0x52, 0x54, 0, 0x77, 0, byte(n)})}, Pool: pool,
	}}})
	must(t, err)
	must(t, r.db.Update(t.Context(), func(tx *store.Tx) error {
		now, err := tx.Machine(m.ID)
		if err != nil {
			return err
		}
		now.State = metal.Ready
		now.Hardware = metal.Facts{CPUs: n, BootMode: metal.BIOS}
		return errors.Join(tx.SaveMachine(now), tx.SetInventory(m.ID, &metal.Inventory{Disks: []metal.Disk{{Name: "vda", Bytes: 100 << 30}, {Name: "usb", Bytes: 1 << 50, Removable: true}}}))
	}))
	return m
}

func (r *rig) image(t *testing.T, i metal.Image) {
	t.Helper()
	must(t, r.db.Update(t.Context(), func(tx *store.Tx) error { return tx.PutImage(&i) }))
}

func wantRefusal(t *testing.T, what string, err error, code metal.Code, message string) {
	t.Helper()
	if metal.CodeOf(err) != code || !strings.Contains(err.Error(), message) {
		t.Errorf("%s: got %v; want %s with %q", what, err, code, message)
	}
}

func claim(name string, spec metal.AllocationSpec) api.PutAllocationRequest {
	return api.PutAllocationRequest{ByName: api.ByName{Name: name}, Body: spec}
}

func TestThePreviewIsWhatTheClaimThenTakes(t *testing.T) {
	r := start(t)
	_, err := r.PutPool(t.Context(), api.PutPoolRequest{ByName: api.ByName{Name: "lab"}})
	must(t, err)
	small, large, elsewhere := r.ready(t, 2, ""), r.ready(t, 4, ""), r.ready(t, 1, "lab")
	spec := metal.AllocationSpec{Constraints: metal.Constraints{MinCPUs: 2}}
	p, err := r.PreviewAllocation(t.Context(), api.PreviewAllocationRequest{Body: spec})
	must(t, err)
	if p.Machine == nil || p.Machine.MachineID != small.ID {
		t.Fatalf("preview: got %+v; want the smallest that will do, n2", p.Machine)
	}
	why := map[string]string{}
	for _, o := range p.Others {
		why[o.MachineID] = strings.Join(o.Reasons, "; ")
	}
	if !strings.Contains(why[large.ID], "n2 fits better") || !strings.Contains(why[elsewhere.ID], "it is in pool lab") {
		t.Errorf("the others: got %v", why)
	}
	a, err := r.PutAllocation(t.Context(), claim("web", spec))
	must(t, err)
	if a.MachineID != p.Machine.MachineID {
		t.Errorf("claimed: got %s; want %s, as the preview said", a.MachineID, p.Machine.MachineID)
	}
	spec.Constraints.MinCPUs = 3
	p, err = r.PreviewAllocation(t.Context(), api.PreviewAllocationRequest{Name: "web", Body: spec})
	must(t, err)
	if p.Machine.MachineID != small.ID || strings.Join(p.Machine.Reasons, "; ") != "2 CPUs, asked for 3" {
		t.Errorf("preview of the claim that is held: got %+v", p.Machine)
	}
	_, err = r.PutAllocation(t.Context(), claim("web", spec))
	wantRefusal(t, "a change that its machine does not meet", err, metal.Conflict, "2 CPUs, asked for 3; release it and claim another")
	spec.Constraints.MinCPUs = 99
	_, err = r.PutAllocation(t.Context(), claim("db", spec))
	wantRefusal(t, "a claim that nothing meets", err, metal.Exhausted, "none of 3 machines")
	var e *metal.Error
	if !errors.As(err, &e) || !strings.Contains(e.Detail, "n4: 4 CPUs, asked for 99") || !strings.Contains(e.Detail, "n2: it is allocated") {
		t.Errorf("its detail: got %+v; want the reason of each machine", e)
	}
}

func TestWhatCannotBeDeployedIsRefusedBeforeAnythingIsTouched(t *testing.T) {
	r := start(t)
	m := r.ready(t, 1, "")
	ready := metal.Image{State: metal.ImageReady, Spec: metal.ImageSpec{Arch: metal.AMD64}, Digest: "d", RawBytes: 1 << 30}
	named := func(name string, change func(*metal.Image)) { i := ready; i.Name = name; change(&i); r.image(t, i) }
	named("good", func(*metal.Image) {})
	named("large", func(i *metal.Image) { i.RawBytes = 200 << 30 })
	named("arm", func(i *metal.Image) { i.Spec.Arch = metal.ARM64 })
	named("uefi", func(i *metal.Image) { i.Spec.Boot = []metal.BootMode{metal.UEFI} })
	named("importing", func(i *metal.Image) { i.State = metal.ImageImporting })
	named("failed", func(i *metal.Image) {
		i.State, i.Failure = metal.ImageFailed, &metal.Failure{Message: "its checksum differs"}
	})
	deploy := func(spec metal.DeploymentSpec) (metal.Deployment, error) {
		return r.CreateDeployment(t.Context(), api.CreateDeploymentRequest{Body: api.CreateDeploymentBody{MachineID: m.ID, DeploymentBody: api.DeploymentBody{DeploymentSpec: spec}}})
	}
	_, err := deploy(metal.DeploymentSpec{Image: "good"})
	wantRefusal(t, "a machine that nobody claimed", err, metal.Conflict, "claim it first")
	_, err = r.PutAllocation(t.Context(), claim("web", metal.AllocationSpec{}))
	must(t, err)
	for _, test := range []struct {
		spec metal.DeploymentSpec
		code metal.Code
		want string
	}{
		{metal.DeploymentSpec{Image: "large"}, metal.Invalid, "the image is 200 GiB and the machine's largest disk is 100 GiB"},
		{metal.DeploymentSpec{Image: "arm"}, metal.Invalid, "the image is for arm64, the machine is amd64"},
		{metal.DeploymentSpec{Image: "uefi"}, metal.Invalid, "the machine boots by bios"},
		{metal.DeploymentSpec{Image: "importing"}, metal.Conflict, "wait until it is ready"},
		{metal.DeploymentSpec{Image: "failed"}, metal.Conflict, "its import failed: its checksum differs"},
		{metal.DeploymentSpec{Image: "good", SSHKeys: []string{"nobody"}}, metal.Invalid, "neither the name of a stored SSH key"},
		{metal.DeploymentSpec{Image: "good", RedeployOn: []string{"weather"}}, metal.Invalid, `redeploy_on has "weather"`},
		{metal.DeploymentSpec{Image: "good", KernelParameters: "a\nb"}, metal.Invalid, "line break"},
	} {
		_, err := deploy(test.spec)
		wantRefusal(t, fmt.Sprintf("%+v", test.spec), err, test.code, test.want)
	}
	got, err := r.GetMachine(t.Context(), api.GetMachineRequest{ByID: api.ByID{ID: m.ID}})
	if err != nil || got.State != metal.Allocated || got.DeploymentID != "" {
		t.Errorf("the machine afterwards: got %s with %q, %v; want it as it was", got.State, got.DeploymentID, err)
	}
	d, err := deploy(metal.DeploymentSpec{Image: "good"})
	must(t, err)
	if again, err := deploy(metal.DeploymentSpec{Image: "good"}); err != nil || again.ID != d.ID {
		t.Errorf("the same again: got %s, %v; want %s", again.ID, err, d.ID)
	}
	_, err = r.DeleteImage(t.Context(), api.DeleteByNameRequest{ByName: api.ByName{Name: "good"}})
	wantRefusal(t, "deleting an image that is used", err, metal.Conflict, d.ID)
	_, err = r.DeletePool(t.Context(), api.DeleteByNameRequest{ByName: api.ByName{Name: "default"}})
	wantRefusal(t, "deleting the default pool", err, metal.Conflict, "cannot be deleted")
}

func TestADeclarationThatCannotBeIsRefused(t *testing.T) {
	r := start(t)
	r.ready(t, 1, "")
	r.ready(t, 2, "")
	a, b := metal.MAC("52:54:00:77:00:01"), metal.MAC("52:54:00:77:00:02")
	for name, test := range map[string]struct {
		spec metal.MachineSpec
		code metal.Code
		want string
	}{
		"no MAC address":             {metal.MachineSpec{Name: "x"}, metal.Invalid, "has no MAC address"},
		"an empty one":               {metal.MachineSpec{Name: "x", MACs: []metal.MAC{""}}, metal.Invalid, "is not a MAC address"},
		"one twice":                  {metal.MachineSpec{Name: "x", MACs: []metal.MAC{"52:54:00:77:00:09", "52-54-00-77-00-09"}}, metal.Invalid, "twice"},
		"one of a declared machine":  {metal.MachineSpec{Name: "x", MACs: []metal.MAC{a}}, metal.Conflict, "declared as machine n1"},
		"those of two":               {metal.MachineSpec{Name: "n1", MACs: []metal.MAC{a, b}}, metal.Conflict, "belong to two machines, n1 and n2"},
		"a name in use":              {metal.MachineSpec{Name: "n1", MACs: []metal.MAC{"52:54:00:77:00:09"}}, metal.Conflict, "the name n1 belongs to machine"},
		"a pool that is not there":   {metal.MachineSpec{Name: "x", MACs: []metal.MAC{"52:54:00:77:00:09"}, Pool: "none"}, metal.Invalid, "there is no such pool"},
		"a BMC without an address":   {metal.MachineSpec{Name: "x", MACs: []metal.MAC{"52:54:00:77:00:09"}, BMC: &metal.BMC{Type: "ipmi"}}, metal.Invalid, "has no address"},
		"a kernel's own initrd file": {metal.MachineSpec{Name: "x", MACs: []metal.MAC{"52:54:00:77:00:09"}, KernelParameters: "initrd=x"}, metal.Invalid, "initrd="},
	} {
		_, err := r.CreateMachine(t.Context(), api.CreateMachineRequest{Body: api.MachineBody{MachineSpec: test.spec}})
		wantRefusal(t, name, err, test.code, test.want)
	}
}

func TestAWriteOnAnotherRevisionIsRefused(t *testing.T) {
	r := start(t)
	m := r.ready(t, 1, "")
	put := func(etag string) error {
		_, err := r.UpdateMachine(t.Context(), api.UpdateMachineRequest{ByID: api.ByID{ID: m.ID}, Precondition: api.Precondition{IfMatch: etag}, Body: api.MachineBody{MachineSpec: m.Spec}})
		return err
	}
	wantRefusal(t, "an old ETag", put(`"1"`), metal.Conflict, "was changed since you read it")
	now, err := r.GetMachine(t.Context(), api.GetMachineRequest{ByID: api.ByID{ID: m.ID}})
	must(t, err)
	for _, etag := range []string{"", "*", fmt.Sprintf(`"%d"`, now.Revision)} {
		if err := put(etag); err != nil {
			t.Errorf("ETag %q: got %v", etag, err)
		}
	}
}

func TestTokensAreKeptHashedAndWorkUntilRevoked(t *testing.T) {
	r := start(t)
	made, err := r.CreateToken(t.Context(), api.CreateTokenRequest{ByName: api.ByName{Name: "ci"}})
	must(t, err)
	if name, err := r.Authenticate(t.Context(), made.Secret); err != nil || name != "ci" {
		t.Errorf("with the token: got %q, %v; want ci", name, err)
	}
	for _, wrong := range []string{"", made.Secret + "x", made.Secret[1:], "metal_"} {
		if _, err := r.Authenticate(t.Context(), wrong); metal.CodeOf(err) != metal.Unauthorized {
			t.Errorf("with %q: got %v; want unauthorized", wrong, err)
		}
	}
	files, err := filepath.Glob(r.path + "*")
	must(t, err)
	for _, f := range files {
		content, err := os.ReadFile(f)
		must(t, err)
		if bytes.Contains(content, []byte(made.Secret)) || bytes.Contains(content, []byte(strings.TrimPrefix(made.Secret, "metal_"))) {
			t.Errorf("%s has the token in it", f)
		}
	}
	_, err = r.CreateToken(t.Context(), api.CreateTokenRequest{ByName: api.ByName{Name: "ci"}})
	wantRefusal(t, "the name again", err, metal.Conflict, "there is a token ci already")
	_, err = r.DeleteToken(t.Context(), api.ByName{Name: "me"})
	wantRefusal(t, "revoking one's own", err, metal.Conflict, "the one you are using")
	_, err = r.DeleteToken(t.Context(), api.ByName{Name: "ci"})
	must(t, err)
	if _, err := r.Authenticate(t.Context(), made.Secret); metal.CodeOf(err) != metal.Unauthorized {
		t.Errorf("after it was revoked: got %v; want unauthorized", err)
	}
}

func TestADeploymentStaysPinnedToTheContentItWasMadeWith(t *testing.T) {
	r := start(t)
	m := r.ready(t, 1, "")
	r.image(t, metal.Image{Name: "a", State: metal.ImageReady, Digest: "old", RawBytes: 1000, StoredBytes: 100})
	_, err := r.PutAllocation(t.Context(), claim("web", metal.AllocationSpec{}))
	must(t, err)
	spec := metal.DeploymentSpec{Image: "a"}
	d, err := r.CreateDeployment(t.Context(), api.CreateDeploymentRequest{Body: api.CreateDeploymentBody{MachineID: m.ID, DeploymentBody: api.DeploymentBody{DeploymentSpec: spec}}})
	must(t, err)
	must(t, r.db.Update(t.Context(), func(tx *store.Tx) error { // as if it had been deployed
		now, err := tx.Deployment(d.ID)
		if err != nil {
			return err
		}
		now.Applied = &now.Spec
		return tx.SaveDeployment(now)
	}))
	r.image(t, metal.Image{Name: "a", State: metal.ImageReady, Digest: "new", RawBytes: 2000, StoredBytes: 200})
	r.image(t, metal.Image{Name: "b", State: metal.ImageReady, Digest: "other", RawBytes: 3000, StoredBytes: 300})
	for _, test := range []struct {
		spec    metal.DeploymentSpec
		digest  string
		content [2]int64
	}{
		{metal.DeploymentSpec{Image: "a", Hostname: "x"}, "old", [2]int64{1000, 100}},
		{metal.DeploymentSpec{Image: "b", Hostname: "x", RedeployOn: []string{"disk"}}, "other", [2]int64{3000, 300}},
	} {
		got, err := r.UpdateDeployment(t.Context(), api.UpdateDeploymentRequest{ByID: api.ByID{ID: d.ID}, Body: api.DeploymentBody{DeploymentSpec: test.spec}})
		must(t, err)
		if size := [2]int64{got.RawBytes, got.StoredBytes}; got.Digest != test.digest || size != test.content {
			t.Errorf("%+v: got %s of %v bytes; want %s of %v", test.spec, got.Digest, size, test.digest, test.content)
		}
	}
}

func tellable(metal.DHCPOptions) error { return nil }
