package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func (f *fleet) PreviewDeployment(_ context.Context, in api.PreviewDeploymentRequest) (metal.Impact, error) {
	f.note(in)
	return metal.Impact{Action: "deploy", Changes: []string{}, Erases: "the disks", Storage: []string{"disk1 is /dev/sda", "ext4 on root"}}, nil
}

func storageFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAPlanOfStorageIsReadFromFilesAndPrintedLineByLine(t *testing.T) {
	f := &fleet{}
	serve(t, f)
	storage := storageFile(t, "storage.json", `{"layout": "lvm", "disk": {"kind": "ssd"}, "encryption": {}}`)
	key := storageFile(t, "key", "correct horse\n")
	code, out, errOut := metalctl(t, "deployments plan node-1 --image debian --storage "+storage+" --storage-key layout="+key)
	if code != 0 {
		t.Fatalf("got exit code %d, %s; want 0", code, errOut)
	}
	for _, want := range []string{"disk1 is /dev/sda", "ext4 on root"} {
		if !strings.Contains(out, want) {
			t.Errorf("got %q; want %q in it", out, want)
		}
	}
	want := api.PreviewDeploymentRequest{Body: api.CreateDeploymentBody{MachineID: "m-1", DeploymentBody: api.DeploymentBody{
		DeploymentSpec: metal.DeploymentSpec{Image: "debian", Storage: &metal.StorageSpec{
			Layout: "lvm", Disk: &metal.DiskRule{Kind: "ssd"}, Encryption: &metal.StorageEncryption{},
		}},
		StorageKeys: map[string]string{"layout": "correct horse"},
	}}}
	f.mu.Lock()
	defer f.mu.Unlock()
	got, ok := f.created[0].(api.PreviewDeploymentRequest)
	if !ok || got.Body.Storage == nil || got.Body.Image != "debian" {
		t.Fatalf("got %+v; want the preview", f.created)
	}
	if diff := cmp.Diff(want.Body.Storage, got.Body.Storage); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want.Body.StorageKeys, got.Body.StorageKeys); diff != "" {
		t.Error(diff)
	}
}

func TestAStorageFileThatIsNoneIsRefused(t *testing.T) {
	serve(t, &fleet{})
	for text, want := range map[string]string{
		`{"layuot": "flat"}`:               `unknown field "layuot"`,
		`{"layout": "flat"} {}`:            "there is more than one object in it",
		`{"partitions": {"name": "root"}}`: "cannot unmarshal object",
	} {
		code, _, errOut := metalctl(t, "deployments plan node-1 --image debian --storage "+storageFile(t, "storage.json", text))
		if code != 1 || !strings.Contains(errOut, want) {
			t.Errorf("%s: got exit code %d, %s; want 1 and %s", text, code, errOut, want)
		}
	}
}

func FuzzParseStorage(f *testing.F) {
	f.Add([]byte(`{"layout": "flat"}`))
	f.Add([]byte(`{"disks": [{"name": "a", "rule": {}}]} []`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if spec, err := parseStorage(text); (spec == nil) == (err == nil) {
			t.Fatalf("got %v, %v; want one of them", spec, err)
		}
	})
}
