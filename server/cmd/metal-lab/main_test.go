package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/lab"
)

// runAsProgram makes the test binary behave as metal-lab, so that tests can start it, and it can start itself.
const runAsProgram = "METAL_LAB_TEST_RUN"

func TestMain(m *testing.M) {
	if os.Getenv(runAsProgram) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// patience bounds waits for real programs on a loaded computer.
const patience = 90 * time.Second

func needRack(t *testing.T) {
	t.Helper()
	_, noQEMU := exec.LookPath("qemu-system-x86_64")
	_, noImg := exec.LookPath("qemu-img")
	if os.Geteuid() == 0 && noQEMU == nil && noImg == nil {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal("a lab needs root, qemu-system-x86_64 and qemu-img")
	}
	t.Skip("a lab needs root, qemu-system-x86_64 and qemu-img")
}

// testLab is a lab of one test: its flags, and its end.
func testLab(t *testing.T) (name, dir string) {
	t.Helper()
	needRack(t)
	root, err := os.MkdirTemp("", "lab") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	name, dir = fmt.Sprintf("cmd-test-%d", os.Getpid()), filepath.Join(root, "lab")
	t.Cleanup(func() {
		if err := lab.Down(context.Background(), dir); err != nil && metal.CodeOf(err) != metal.NotFound {
			t.Error(err)
		}
		os.RemoveAll(root)
	})
	return name, dir
}

// program is metal-lab with arguments, not started.
func program(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), runAsProgram+"=1")
	return cmd
}

// metalLab runs metal-lab to its end.
func metalLab(t *testing.T, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := program(ctx, args...).CombinedOutput()
	return string(out), err
}

// must runs metal-lab, which must succeed and print what is wanted.
func must(t *testing.T, want string, args ...string) {
	t.Helper()
	out, err := metalLab(t, args...)
	if err != nil || !strings.Contains(out, want) {
		t.Fatalf("metal-lab %v: %v\n%swant %q in it", args, err, out, want)
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not after %s: %s", patience, what)
		}
	}
}

// machinesOf counts the QEMU processes of a lab, by the name each has on its command line.
func machinesOf(t *testing.T, name string) int {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, path := range lines {
		line, _ := os.ReadFile(path) // empty for a zombie, and gone for one that was just waited for
		if bytes.Contains(line, []byte("guest="+name+"-node")) {
			count++
		}
	}
	return count
}

func TestUpUseAndDown(t *testing.T) {
	name, dir := testLab(t)
	at := []string{"--name", name, "--dir", dir}
	in := func(args ...string) []string { return slices.Concat(at, args) }

	must(t, "172.31.0.1:6232", in("up", "-n", "2", "--memory", "128")...)
	must(t, "off    network, disk", in("status")...)
	must(t, "", in("plug", "node1")...)
	must(t, "", in("power", "node2", "on")...)
	must(t, `"power": "on"`, in("status", "--json")...)
	if got := machinesOf(t, name); got != 2 {
		t.Errorf("got %d machines running; want 2", got)
	}
	must(t, "", in("power", "node2", "reset")...)
	must(t, "", in("power", "node2", "off")...)
	must(t, "172.31.0.1", in("exec", "cat", "/proc/self/net/fib_trie")...)
	must(t, "", in("console", "node2")...)

	out, err := metalLab(t, in("up")...)
	if err == nil || !strings.Contains(out, "is running: stop it with metal-lab down") {
		t.Errorf("up twice: got %v, %s; want it refused", err, out)
	}
	if _, err := os.Stat(lab.LogPath(dir)); err != nil {
		t.Errorf("the log of the running lab: %v; want it untouched", err)
	}
	state, err := lab.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	must(t, "", in("down")...)
	if state.Owner.Alive() || machinesOf(t, name) != 0 {
		t.Error("after down something still runs")
	}
	wantNothing(t, name, dir)
}

func TestAKilledLabTakesItsMachinesAlongAndCanBeMadeAgain(t *testing.T) {
	name, dir := testLab(t)
	in := func(args ...string) []string { return slices.Concat([]string{"--name", name, "--dir", dir}, args) }
	must(t, "is up", in("up", "-n", "2", "--memory", "128")...)
	must(t, "", in("power", "node1", "on")...)
	must(t, "", in("power", "node2", "on")...)
	state, err := lab.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(state.Owner.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the lab's process and its machines are gone", func() bool {
		return !state.Owner.Alive() && machinesOf(t, name) == 0
	})

	out, err := metalLab(t, in("status")...)
	if err == nil || !strings.Contains(out, "died") {
		t.Errorf("status: got %v, %s; want it to say that the lab died", err, out)
	}
	must(t, "is up: 1 machines", in("up", "--bmc", "redfish", "--memory", "128")...)
	must(t, "https://172.31.0.1:8441", in("status")...)
	must(t, "", in("power", "node1", "on")...)
	must(t, "", in("down")...)
	wantNothing(t, name, dir)
}

func TestCtrlCWhileALabIsMadeLeavesNothingBehind(t *testing.T) {
	name, dir := testLab(t)
	for _, mode := range []string{"--foreground=false", "--foreground=true"} {
		up := program(t.Context(), "--name", name, "--dir", dir, "up", "-n", "100", mode)
		if err := up.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the fifth machine is being made", func() bool {
			_, err := os.Stat(filepath.Join(dir, "machines", "node5"))
			return err == nil
		})
		if err := up.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if err := up.Wait(); err == nil {
			t.Errorf("%s: up succeeded; want it interrupted", mode)
		}
		wantNothing(t, name, dir)
	}
}

func wantNothing(t *testing.T, name, dir string) {
	t.Helper()
	for _, path := range []string{dir, "/run/netns/" + name} {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s is still there; want it gone", path)
		}
	}
}

func TestMistakesAreExplained(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"no lab", []string{"status"}, "no lab in " + dir + ": make one with metal-lab up"},
		{"no lab to stop", []string{"down"}, "no lab in"},
		{"no lab to run in", []string{"exec", "--", "true"}, "no lab in"},
		{"unknown firmware", []string{"up", "--firmware", "coreboot"}, `firmware "coreboot": it is bios or uefi`},
		{"PXE that the firmware has not", []string{"up", "--native-pxe"}, "choose firmware uefi"},
		{"no subnet", []string{"up", "--subnet", "here"}, `--subnet "here" is not a network`},
		{"no machine named", []string{"console"}, "accepts 1 arg(s), received 0"},
		{"a word too much", []string{"up", "now"}, `unknown command "now"`},
		{"an unknown command", []string{"explode"}, `unknown command "explode"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			cmd := newCommand(strings.NewReader(""), &out, &out)
			cmd.SetArgs(append([]string{"--dir", dir}, c.args...))
			err := cmd.ExecuteContext(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v; want %q in it", err, c.want)
			}
		})
	}
}

func TestAnErrorIsPrintedWithItsEvidence(t *testing.T) {
	var out strings.Builder
	explain(&out, fmt.Errorf("power on: %w", &metal.Error{Message: "it did not start", Detail: "line 1\nline 2"}))
	if got, want := out.String(), "metal-lab: power on: it did not start\n  line 1\n  line 2\n"; got != want {
		t.Errorf("got %q; want %q", got, want)
	}
}

func TestBootText(t *testing.T) {
	for _, c := range []struct {
		status lab.MachineStatus
		want   string
	}{
		{lab.MachineStatus{}, "network, disk"},
		{lab.MachineStatus{Boot: metal.BootDisk, Once: true}, "disk once"},
		{lab.MachineStatus{Boot: metal.BootDisk}, "disk"},
	} {
		if got := bootText(c.status); got != c.want {
			t.Errorf("%+v: got %q; want %q", c.status, got, c.want)
		}
	}
}
