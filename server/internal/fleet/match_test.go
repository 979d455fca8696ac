package fleet

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// box is a machine that constraints are tried on.
func box(change ...func(*metal.Machine)) *metal.Machine {
	m := &metal.Machine{
		ID: "m-1", State: metal.Ready, Settled: true,
		Spec:     metal.MachineSpec{Name: "n1", Arch: metal.AMD64, Pool: "default", Zone: "east", Tags: []string{"gpu", "ssd"}},
		Hardware: metal.Facts{BootMode: metal.UEFI, CPUs: 8, MemoryBytes: 16 << 30, Disks: 2, NICs: 2},
	}
	for _, f := range change {
		f(m)
	}
	return m
}

func TestMismatch(t *testing.T) {
	const largest = 500 << 30
	for _, test := range []struct {
		name string
		c    metal.Constraints
		want []string
	}{
		{"nothing asked for", metal.Constraints{}, nil},
		{"exactly what it has", metal.Constraints{
			Machine: "n1", Arch: metal.AMD64, Zone: "east", MinCPUs: 8, MinMemory: 16 << 30, MinDisk: largest, MinDisks: 2, MinNICs: 2,
			Tags: []string{"gpu", "ssd"}, NotTags: []string{"old"}, BootMode: metal.UEFI, NotMachines: []string{"n2"},
		}, nil},
		{"named by id", metal.Constraints{Machine: "m-1"}, nil},
		{"another machine", metal.Constraints{Machine: "n2"}, []string{"it is not n2"}},
		{"not this one, by id", metal.Constraints{NotMachines: []string{"m-1"}}, []string{"it is one of not_machines"}},
		{"not this one, by name", metal.Constraints{NotMachines: []string{"n1"}}, []string{"it is one of not_machines"}},
		{"architecture", metal.Constraints{Arch: metal.ARM64}, []string{"architecture is amd64, asked for arm64"}},
		{"firmware", metal.Constraints{BootMode: metal.BIOS}, []string{"it boots by uefi, asked for bios"}},
		{"zone", metal.Constraints{Zone: "west"}, []string{`zone is "east", asked for "west"`}},
		{"CPUs", metal.Constraints{MinCPUs: 9}, []string{"8 CPUs, asked for 9"}},
		{"memory", metal.Constraints{MinMemory: 16<<30 + 1}, []string{"16 GiB of memory, asked for 16 GiB"}},
		{"disk", metal.Constraints{MinDisk: 1 << 40}, []string{"largest disk is 500 GiB, asked for 1 TiB"}},
		{"number of disks", metal.Constraints{MinDisks: 3}, []string{"2 disks, asked for 3"}},
		{"NICs", metal.Constraints{MinNICs: 4}, []string{"2 NICs, asked for 4"}},
		{"a tag it lacks", metal.Constraints{Tags: []string{"gpu", "tape"}}, []string{"it has no tag tape"}},
		{"a tag it may not have", metal.Constraints{NotTags: []string{"gpu"}}, []string{"it has the tag gpu"}},
		{"several at once", metal.Constraints{MinCPUs: 9, MinNICs: 4}, []string{"8 CPUs, asked for 9", "2 NICs, asked for 4"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, mismatch(box(), largest, test.c)); diff != "" {
				t.Errorf("reasons (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnavailable(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*metal.Machine)
		want   []string
	}{
		{"free", func(*metal.Machine) {}, nil},
		{"in another pool", func(m *metal.Machine) { m.Spec.Pool = "lab" }, []string{"it is in pool lab"}},
		{"taken", func(m *metal.Machine) { m.State = metal.Allocated }, []string{"it is allocated"}},
		{"being switched", func(m *metal.Machine) { m.Settled = false }, []string{"an operation works on it"}},
		{"locked", func(m *metal.Machine) { m.Locked = true }, []string{"it is locked"}},
		{"all of it", func(m *metal.Machine) { m.Spec.Pool, m.State, m.Locked = "lab", metal.Broken, true }, []string{"it is in pool lab", "it is broken", "it is locked"}},
	} {
		if diff := cmp.Diff(test.want, unavailable(box(test.change), "default")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestTheBestMachineIsTakenWhateverTheOrder(t *testing.T) {
	named := func(name string, change func(*metal.Machine)) *metal.Machine {
		return box(change, func(m *metal.Machine) { m.Spec.Name = name })
	}
	want := []*metal.Machine{
		named("warm", func(m *metal.Machine) { m.Power = metal.PowerOn; m.Hardware.MemoryBytes = 1 << 40 }),
		named("small", func(m *metal.Machine) { m.Hardware.MemoryBytes = 1 << 30 }),
		named("few-cpus", func(m *metal.Machine) { m.Hardware.CPUs = 2 }),
		named("a", func(*metal.Machine) {}),
		named("b", func(*metal.Machine) {}),
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, func(a, b *metal.Machine) int {
		if better(a, b) {
			return -1
		}
		return 1
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	if better(want[0], want[0]) {
		t.Error("a machine is better than itself")
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 1 << 30: "1 GiB", 1 << 40: "1 TiB", 1<<63 - 1: "8192 PiB",
	} {
		if got := size(n); got != want {
			t.Errorf("%d: got %s; want %s", n, got, want)
		}
	}
}

func TestDecide(t *testing.T) {
	base := metal.DeploymentSpec{Image: "a", RedeployOn: []string{"image", "disk", "trigger"}}
	with := func(f func(*metal.DeploymentSpec)) metal.DeploymentSpec { s := base; f(&s); return s }
	for _, test := range []struct {
		name    string
		machine func(*metal.Machine)
		spec    metal.DeploymentSpec
		action  string
		changes []string
		problem string
	}{
		{"nothing changes", nil, base, "none", nil, ""},
		{"the image changes", nil, with(func(s *metal.DeploymentSpec) { s.Image = "b" }), "deploy", []string{"image"}, ""},
		{"the trigger changes", nil, with(func(s *metal.DeploymentSpec) { s.Trigger = "2" }), "deploy", []string{"trigger"}, ""},
		{"the hostname changes", nil, with(func(s *metal.DeploymentSpec) { s.Hostname = "x" }), "store", []string{"hostname"}, ""},
		{"the hostname changes, and that redeploys", nil, with(func(s *metal.DeploymentSpec) { s.Hostname, s.RedeployOn = "x", []string{"hostname"} }), "deploy", []string{"hostname"}, ""},
		{"only protection changes", nil, with(func(s *metal.DeploymentSpec) { s.Protected = true }), "store", nil, ""},
		{"it is protected", nil, with(func(s *metal.DeploymentSpec) { s.Protected, s.Image = true, "b" }), "deploy", []string{"image"}, "redeploy_protection is on, and image changed"},
		{"it is locked", func(m *metal.Machine) { m.Locked = true }, with(func(s *metal.DeploymentSpec) { s.Image = "b" }), "deploy", []string{"image"}, "it is locked"},
		{"it failed, with the same spec", func(m *metal.Machine) { m.State = metal.FailedDeployment }, base, "deploy", nil, ""},
		{"it failed, and is protected", func(m *metal.Machine) { m.State = metal.FailedDeployment }, with(func(s *metal.DeploymentSpec) { s.Protected = true }), "deploy", nil, ""},
		{"it is under way with the same spec", func(m *metal.Machine) { m.State, m.Settled = metal.Deploying, false }, base, "none", nil, ""},
		{"it is under way with another", func(m *metal.Machine) { m.State, m.Settled, m.OperationID = metal.Deploying, false, "o-1" },
			with(func(s *metal.DeploymentSpec) { s.Image = "b" }), "deploy", []string{"image"}, "operation o-1 works on it"},
		{"it is broken", func(m *metal.Machine) { m.State = metal.Broken }, with(func(s *metal.DeploymentSpec) { s.Image = "b" }), "deploy", []string{"image"}, "cannot deploy a machine that is broken"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := box(func(m *metal.Machine) { m.State = metal.Deployed })
			if test.machine != nil {
				test.machine(m)
			}
			applied := base
			got := decide(m, &metal.Deployment{Spec: base, Applied: &applied}, test.spec)
			if got.Action != test.action || strings.Join(got.Changes, " ") != strings.Join(test.changes, " ") {
				t.Errorf("got %s of %v; want %s of %v", got.Action, got.Changes, test.action, test.changes)
			}
			if (got.Problem == "") != (test.problem == "") || !strings.Contains(got.Problem, test.problem) {
				t.Errorf("problem: got %q; want %q", got.Problem, test.problem)
			}
		})
	}
}

func TestChanges(t *testing.T) {
	a := metal.DeploymentSpec{Image: "a", SSHKeys: []string{"x", "y"}, Protected: true}
	b := metal.DeploymentSpec{Image: "a", SSHKeys: []string{"y", "x"}, RedeployOn: []string{"image"}}
	if got := changes(a, b); len(got) != 0 {
		t.Errorf("keys in another order, and what is only of the server: got %v; want none", got)
	}
	all := metal.DeploymentSpec{Image: "b", Hostname: "h", SSHKeys: []string{"z"}, UserDataSHA256: "1", Network: metal.NetworkSpec{Mode: "dhcp"},
		KernelParameters: "quiet", Disk: "sda", Boot: "kexec", Trigger: "1"}
	want := []string{"boot", "disk", "hostname", "image", "kernel_parameters", "network", "ssh_keys", "trigger", "user_data"}
	if diff := cmp.Diff(want, changes(a, all)); diff != "" {
		t.Errorf("everything (-want +got):\n%s", diff)
	}
}
