package main

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

var update = flag.Bool("update", false, "write the golden files")

func TestWhatCommandsPrint(t *testing.T) {
	serve(t, &fleet{script: []metal.Operation{{ID: "o-1", Kind: metal.OpDeploy, MachineID: "m-1", Status: metal.OpFailed, Step: "write", Progress: 0.4, StartedAt: at,
		Failure: &metal.Failure{Step: "write", Message: "the disk is full", Detail: "sda: 0 bytes left"}}}})
	for golden, line := range map[string]string{
		"machines_list":      "machines list",
		"machines_list.json": "machines list -o json",
		"machines_show":      "machines show node-1",
		"machines_inventory": "machines inventory node-1",
		"operations_show":    "operations show o-1",
		"operations_log":     "operations log o-1",
		"console_log":        "console log node-1 -f",
		"events":             "events",
		"preview":            "allocations preview --min-memory 64",
		"subnets_show":       "subnets show boot",
	} {
		t.Run(line, func(t *testing.T) {
			code, out, errOut := metalctl(t, line)
			if code != 0 || errOut != "" {
				t.Fatalf("got exit code %d, %s; want 0", code, errOut)
			}
			path := filepath.Join("testdata", golden)
			if *update {
				if err := os.WriteFile(path, []byte(out), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), out); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
		})
	}
}

func TestErrorsArePrintedOnceWithTheirEvidence(t *testing.T) {
	serve(t, &fleet{})
	cases := []struct{ line, want string }{
		{"machines show nobody", "error: there is no machine nobody\n    looked for an id\n    and for a name\n"},
		{"machines list -o yaml", "error: there is no output \"yaml\": use table or json\n"},
		{"machines list --colour", "error: unknown flag: --colour: see metalctl machines list --help\n"},
		{"machines show", "error: accepts 1 arg(s), received 0\n"},
		{"machines add n1 --mac hello", "error: \"hello\" is not a MAC address: write six pairs of hex digits, as in 52:54:00:12:34:56\n"},
		{"subnets set boot --range 10.0.0.1", "error: invalid argument \"10.0.0.1\" for \"--range\" flag: \"10.0.0.1\" is not a range: write it as in 10.0.0.100-10.0.0.200: see metalctl subnets set --help\n"},
	}
	for _, c := range cases {
		t.Run(c.line, func(t *testing.T) {
			code, out, errOut := metalctl(t, c.line)
			if code != 1 || out != "" || errOut != c.want {
				t.Errorf("got exit code %d, output %q, errors\n%s\nwant 1 and\n%s", code, out, errOut, c.want)
			}
		})
	}
}

func TestALongCommandShowsStepsAndWaits(t *testing.T) {
	step := func(n int, name string, progress float64) metal.Operation {
		return metal.Operation{ID: "o-1", Kind: metal.OpCommission, Status: metal.OpOpen, Step: name, Progress: progress, StartedAt: at, ChangedAt: at.Add(time.Duration(n))}
	}
	done := step(9, "done", 1)
	done.Status, done.EndedAt = metal.OpDone, at.Add(95*time.Second)
	f := &fleet{script: []metal.Operation{step(0, "boot", 0), step(1, "boot", 0), step(2, "inspect", 0.11), step(3, "inspect", 0.12), step(4, "inspect", 0.55), done}}
	serve(t, f)
	code, out, errOut := metalctl(t, "machines commission node-1")
	if code != 0 {
		t.Fatalf("got exit code %d, %s; want 0", code, errOut)
	}
	if want := "node-1: commission, boot\nnode-1: commission, inspect 10 %\nnode-1: commission, inspect 50 %\n"; errOut != want {
		t.Errorf("progress: got\n%s\nwant\n%s", errOut, want)
	}
	if want := "node-1: commission done in 1m35s\n"; out != want {
		t.Errorf("output: got %q; want %q", out, want)
	}
	if key := f.created[0].(api.CommandRequest).Key; len(key) < 20 {
		t.Errorf("idempotency key: got %q; want one that nobody else has", key)
	}
}

func TestAnOperationThatFailedFailsTheCommand(t *testing.T) {
	serve(t, &fleet{script: []metal.Operation{{
		ID: "o-1", Kind: metal.OpDeploy, Status: metal.OpFailed,
		Failure: &metal.Failure{Step: "write", Message: "disk sda of node-1 is too small: choose another", Detail: "has 8 GiB\nneeds 10 GiB"},
	}}})
	code, out, errOut := metalctl(t, "operations watch o-1")
	want := "error: deploy (operation o-1) failed at step \"write\": disk sda of node-1 is too small: choose another\n    has 8 GiB\n    needs 10 GiB\n"
	if code != 1 || out != "" || errOut != want {
		t.Errorf("got exit code %d, %q, errors\n%s\nwant 1 and\n%s", code, out, errOut, want)
	}
}

func TestAnInterruptLeavesTheOperationRunning(t *testing.T) {
	serve(t, &fleet{script: []metal.Operation{{ID: "o-1", Kind: metal.OpDeploy, Status: metal.OpOpen, Step: "write", ChangedAt: at}}})
	ctx, cancel := context.WithCancel(t.Context())
	// The first line of progress is the sign that the program waits.
	r, w := io.Pipe()
	var errOut strings.Builder
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buffer := make([]byte, 1024)
		for {
			n, err := r.Read(buffer)
			if err != nil {
				return
			}
			errOut.Write(buffer[:n])
			cancel()
		}
	}()
	code := run(ctx, []string{"operations", "watch", "o-1"}, strings.NewReader(""), io.Discard, w)
	w.Close()
	<-ended
	if want := "stopped waiting for operation o-1, which goes on: follow it with metalctl operations watch o-1"; code != interrupted || !strings.Contains(errOut.String(), want) {
		t.Errorf("got exit code %d, %s; want %d and %q", code, errOut.String(), interrupted, want)
	}
}

func TestATimeoutLeavesTheOperationRunning(t *testing.T) {
	serve(t, &fleet{script: []metal.Operation{{ID: "o-1", Kind: metal.OpDeploy, Status: metal.OpOpen, ChangedAt: at}}})
	code, _, errOut := metalctl(t, "operations watch o-1 --timeout 50ms")
	if code != 1 || !strings.Contains(errOut, "operation o-1, which goes on") {
		t.Errorf("got exit code %d, %s; want 1 and that it goes on", code, errOut)
	}
}

func TestLoginIsRememberedForItsServerOnly(t *testing.T) {
	url := serve(t, &fleet{})
	t.Setenv("METAL_URL", "")
	t.Setenv("METAL_TOKEN", "")
	if code, _, errOut := metalctl(t, "status"); code != 1 || !strings.Contains(errOut, "metalctl login") {
		t.Errorf("before login: got exit code %d, %s; want 1 and how to log in", code, errOut)
	}
	code, out, errOut := metalctl(t, "login "+url+" --token-file -")
	if code != 0 || !strings.Contains(out, "as alice") {
		t.Fatalf("login: got exit code %d, %s%s; want 0", code, out, errOut)
	}
	path := strings.TrimSpace(out[strings.Index(out, "stored in ")+len("stored in "):])
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the stored login: got %v; want 0600", info.Mode().Perm())
	}
	if code, out, errOut := metalctl(t, "status"); code != 0 || !strings.Contains(out, "alice") {
		t.Errorf("after login: got exit code %d, %s%s; want 0", code, out, errOut)
	}
	t.Setenv("METAL_URL", "http://127.0.0.1:1")
	if code, _, errOut := metalctl(t, "status"); code != 1 || !strings.Contains(errOut, "no token") {
		t.Errorf("another server: got exit code %d, %s; want 1, since the token is not its", code, errOut)
	}
}

func TestALoginThatTheServerRefusesIsNotStored(t *testing.T) {
	url := serve(t, &fleet{})
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("wrong\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errOut := metalctl(t, "login "+url+" --token-file "+file); code != 1 || !strings.Contains(errOut, "does not know this token") {
		t.Errorf("got exit code %d, %s; want 1", code, errOut)
	}
	if _, err := os.Stat(filepath.Join(os.Getenv("XDG_CONFIG_HOME"), "metalform", "client.json")); !os.IsNotExist(err) {
		t.Errorf("stored login: got %v; want none", err)
	}
}

func TestAnImageIsUploadedFromAFile(t *testing.T) {
	f := &fleet{}
	serve(t, f)
	content := strings.Repeat("disk", 1<<18)
	file := filepath.Join(t.TempDir(), "debian.raw")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errOut := metalctl(t, "images import debian --os debian --boot uefi --file "+file)
	if code != 0 || out != "debian is ready\n" || f.uploaded != content {
		t.Errorf("got exit code %d, %q, %d bytes; want 0 and %d bytes", code, out, len(f.uploaded), len(content))
	}
	if !strings.HasSuffix(errOut, "debian: 1.0 MiB of 1.0 MiB sent\n") {
		t.Errorf("progress: got\n%s", errOut)
	}
	if got := f.created[0].(api.PutImageRequest).Body; got.OS != "debian" || len(got.Boot) != 1 || got.Source != "" {
		t.Errorf("spec: got %+v", got)
	}
}

func TestSetChangesOnlyWhatFlagsName(t *testing.T) {
	f := &fleet{}
	serve(t, f)
	if code, _, errOut := metalctl(t, "subnets set boot --gateway 10.0.0.1 --dhcp authoritative --range 10.0.0.100-10.0.0.200"); code != 0 {
		t.Fatal(errOut)
	}
	want := metal.SubnetSpec{
		CIDR: netip.MustParsePrefix("10.0.0.0/24"), Fabric: "default", Domain: "lab", Gateway: netip.MustParseAddr("10.0.0.1"),
		DHCP: metal.DHCPSpec{Mode: metal.DHCPAuthoritative, LeaseSeconds: 600, Ranges: []metal.AddrRange{{First: netip.MustParseAddr("10.0.0.100"), Last: netip.MustParseAddr("10.0.0.200")}}},
	}
	equal := []cmp.Option{cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })}
	if diff := cmp.Diff(want, f.subnet.Body, equal...); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
	if f.subnet.IfMatch != `"5"` {
		t.Errorf("precondition: got %q; want the revision that was read", f.subnet.IfMatch)
	}
	if code, _, errOut := metalctl(t, "subnets set other --cidr fd00::/64"); code != 0 || f.subnet.IfMatch != "" {
		t.Errorf("a new one: got exit code %d, %s, precondition %q; want 0 and none", code, errOut, f.subnet.IfMatch)
	}
}

func TestAMachineIsDeclaredWithThePasswordFromStandardInput(t *testing.T) {
	f := &fleet{}
	serve(t, f)
	code, out, errOut := metalctl(t, "machines add node-9 --mac 5254.0012.3456 --bmc-type ipmi --bmc-address 10.9.0.9 --bmc-user admin --bmc-password-file -")
	if code != 0 || out != "node-9 is new (m-9)\n" {
		t.Fatalf("got exit code %d, %s%s; want 0", code, out, errOut)
	}
	body := f.created[0].(api.CreateMachineRequest).Body
	if *body.Password != secret || body.BMC.Username != "admin" || body.MACs[0] != "52:54:00:12:34:56" {
		t.Errorf("got %+v", body)
	}
}

func TestShellsCompleteMachineNames(t *testing.T) {
	serve(t, &fleet{})
	code, out, _ := metalctl(t, "__complete machines show n")
	if code != 0 || !strings.HasPrefix(out, "node-1\nnode-2\n") {
		t.Errorf("got exit code %d, %q; want both machines", code, out)
	}
	t.Setenv("METAL_TOKEN", "wrong")
	if code, out, _ := metalctl(t, "__complete machines show n"); code != 0 || strings.Contains(out, "node") {
		t.Errorf("without a server: got exit code %d, %q; want nothing", code, out)
	}
}

func TestJSONIsTheAPIsDocument(t *testing.T) {
	serve(t, &fleet{})
	_, out, _ := metalctl(t, "machines show node-1 -o json")
	var got metal.Machine
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(node(), got); diff != "" {
		t.Errorf("machine (-want +got):\n%s", diff)
	}
}

func TestALiveBarIsDrawnInPlace(t *testing.T) {
	var out strings.Builder
	p := &progress{w: &out, live: true, subject: "node-1"}
	p.show(metal.Operation{Kind: metal.OpDeploy, Status: metal.OpOpen, Step: "write", Progress: 0.5, Attempts: 2})
	p.end()
	want := eraseLine + "[##########          ] node-1: deploy, write (attempt 2)" + eraseLine
	if out.String() != want {
		t.Errorf("got %q; want %q", out.String(), want)
	}
}
