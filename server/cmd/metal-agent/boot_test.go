package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agentapi"
	"github.com/metalform/terraform-provider-metal/server/internal/bootenv"
)

const (
	testMAC   = "52:54:00:12:34:01"
	testToken = "boot-token-1"
)

// TestAgentBootsAndReports boots a virtual machine straight into the RAM environment, with a real DHCP server, and
// plays metald: hello, an inventory, power off.
func TestAgentBootsAndReports(t *testing.T) {
	if testing.Short() {
		t.Skip("boots a machine")
	}
	needTools(t, "qemu-system-x86_64", "dnsmasq", "ip", "apt-get", "qemu-img")
	dir := t.TempDir()
	env := buildEnvironment(t, dir, bootenv.Cloud)
	ns := newNamespace(t)
	startDNSMasq(t, ns, dir)
	server := &fakeServer{steps: []agentapi.Step{{ID: "1", Kind: agentapi.StepInventory}, {ID: "2", Kind: agentapi.StepPowerOff}}}
	server.listen(t, ns)

	disk := filepath.Join(dir, "disk.qcow2")
	run(t, "qemu-img", "create", "-q", "-f", "qcow2", disk, "1G")
	console := powerOn(t, ns, env,
		"-device", "virtio-net-pci,romfile=,mac=52:54:00:12:34:02", // a second NIC without a cable
		"-drive", "if=none,id=d0,format=qcow2,file="+disk, "-device", "virtio-blk-pci,drive=d0,serial=DISK1")
	for _, what := range []string{"Run /init", "metal-agent begins", "on the network", "session opened", "step ends", "drivers loaded"} {
		t.Logf("%-20s at %s s", what, at(console, what))
	}
	if regexp.MustCompile(`metal-agent: .*` + testToken).Match(console) {
		t.Error("the agent's log shows the boot token")
	}
	server.check(t)
	if t.Failed() {
		t.Logf("console:\n%s", console)
	}
}

// powerOn runs a machine with further devices in the RAM environment until the agent powers it off, and returns its
// console.
func powerOn(t *testing.T, ns, env string, devices ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	vm := exec.CommandContext(ctx, "ip", append([]string{
		"netns", "exec", ns, "qemu-system-x86_64",
		"-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "512",
		"-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot",
		"-smbios", "type=1,manufacturer=Acme,product=Anvil,serial=SN42,uuid=11111111-2222-3333-4444-555555555555",
		"-netdev", "tap,id=n0,ifname=tap0,script=no,downscript=no",
		"-device", "virtio-net-pci,netdev=n0,romfile=,mac=" + testMAC,
		"-kernel", filepath.Join(env, bootenv.KernelFile), "-initrd", filepath.Join(env, bootenv.InitramfsFile),
		"-append", fmt.Sprintf("console=ttyS0 %s=http://172.31.0.1:7080 %s=%s %s=%s",
			agentapi.ParamServer, agentapi.ParamToken, testToken, agentapi.ParamMAC, testMAC),
	}, devices...)...)
	console, err := vm.CombinedOutput()
	if err != nil {
		t.Fatalf("machine: %v; console:\n%s", err, console) // it powers itself off, so that QEMU ends well
	}
	return console
}

// check looks at what the machine told.
func (s *fakeServer) check(t *testing.T) {
	t.Helper()
	if s.hello.Token != testToken || s.hello.BootMAC != testMAC || s.hello.Arch != metal.AMD64 || s.hello.BootMode != metal.BIOS ||
		s.hello.BootID == "" || s.hello.SMBIOS.Serial != "SN42" || !slices.Contains(s.hello.MACs, testMAC) {
		t.Errorf("hello: got %+v; want it to tell token, boot NIC, serial number", s.hello)
	}
	if len(s.results) != 2 || s.results[0].Failure != nil || s.results[1].Failure != nil {
		t.Fatalf("results: got %+v; want two without failure", s.results)
	}
	var inv metal.Inventory
	if err := json.Unmarshal(s.results[0].Output, &inv); err != nil {
		t.Fatalf("inventory: %v: %s", err, s.results[0].Output)
	}
	if inv.CPU.Threads != 2 || inv.CPU.Model == "" || inv.CPU.Sockets == 0 {
		t.Errorf("cpu: got %+v; want two threads and a model", inv.CPU)
	}
	if inv.Memory.Bytes != 512<<20 {
		t.Errorf("memory: got %+v; want 512 MiB", inv.Memory)
	}
	if len(inv.Disks) != 1 || inv.Disks[0].Name != "vda" || inv.Disks[0].Bytes != 1<<30 || inv.Disks[0].Serial != "DISK1" {
		t.Errorf("disks: got %+v; want vda with 1 GiB and serial DISK1", inv.Disks)
	}
	if len(inv.NICs) != 2 {
		t.Fatalf("NICs: got %+v; want two", inv.NICs)
	}
	if n := inv.NICs[0]; n.MAC != testMAC || !n.Boot || !n.Carrier || n.Driver != "virtio_net" || n.PCI == "" {
		t.Errorf("first NIC: got %+v; want the one it booted from, with carrier, driver and PCI address", n)
	}
	if inv.SMBIOS.Product != "Anvil" || inv.SMBIOS.UUID != "11111111-2222-3333-4444-555555555555" {
		t.Errorf("SMBIOS: got %+v; want Anvil and its UUID", inv.SMBIOS)
	}
	if len(inv.PCI) < 3 || inv.Kernel == "" {
		t.Errorf("got %d PCI functions, kernel %q; want some", len(inv.PCI), inv.Kernel)
	}
}

// at returns the time stamp of the first console line with a text.
func at(console []byte, what string) string {
	m := regexp.MustCompile(`\[ *([0-9.]+)\][^\n]*` + regexp.QuoteMeta(what)).FindSubmatch(console)
	if m == nil {
		return "?"
	}
	return string(m[1])
}

// fakeServer plays the server's half of the wire for one machine.
type fakeServer struct {
	steps   []agentapi.Step
	hello   agentapi.Hello
	results []agentapi.Result
	// files answers what is no call; nil: nothing is there.
	files http.HandlerFunc
}

// listen serves inside a namespace. The listening socket belongs to the namespace that it was opened in, so that
// only its opening has to happen there.
func (s *fakeServer) listen(t *testing.T, ns string) {
	t.Helper()
	var listener net.Listener
	inNamespace(t, ns, func() (err error) {
		listener, err = net.Listen("tcp", "172.31.0.1:7080")
		return err
	})
	server := &http.Server{Handler: s}
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve(listener) // ends with the test
	}()
	t.Cleanup(func() {
		server.Close()
		<-done
	})
}

// ServeHTTP is called by one machine, one call at a time but for progress, which it does not keep.
func (s *fakeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case agentapi.PathHello:
		json.NewDecoder(r.Body).Decode(&s.hello)
		json.NewEncoder(w).Encode(agentapi.Session{Token: "s1", MachineID: "m1", Name: "node1", UnixTime: time.Now().Unix()})
	case agentapi.PathNext:
		if len(s.results) >= len(s.steps) {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		json.NewEncoder(w).Encode(s.steps[len(s.results)])
	case agentapi.PathProgress:
		w.Write([]byte("{}"))
	case agentapi.PathResult:
		var result agentapi.Result
		json.NewDecoder(r.Body).Decode(&result)
		s.results = append(s.results, result)
		w.WriteHeader(http.StatusNoContent)
	default:
		if s.files != nil {
			s.files(w, r)
			return
		}
		w.WriteHeader(http.StatusNotFound)
	}
}

// buildEnvironment builds the agent and the RAM environment. The kernel package is kept for the next run.
func buildEnvironment(t *testing.T, dir string, flavour bootenv.Flavour) string {
	t.Helper()
	agent := filepath.Join(dir, "metal-agent")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", agent, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the agent: %v: %s", err, said)
	}
	folder, names := "kernel-amd64", "linux-image-*-cloud-amd64_*.deb"
	if flavour == bootenv.Generic {
		folder, names = "kernel-amd64-generic", "linux-image-*-amd64_*.deb"
	}
	cache := filepath.Join("..", "..", "..", ".cache", folder)
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	kernel, err := filepath.Glob(filepath.Join(cache, names))
	if err != nil {
		t.Fatal(err)
	}
	if len(kernel) == 0 {
		fetched, err := bootenv.FetchKernel(t.Context(), metal.AMD64, flavour, cache)
		if err != nil {
			t.Fatal(err)
		}
		kernel = []string{fetched}
	}
	env := filepath.Join(dir, "env-"+string(flavour))
	m, err := bootenv.Build(t.Context(), bootenv.Options{Arch: metal.AMD64, KernelDeb: kernel[len(kernel)-1], AgentPath: agent, OutDir: env})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("RAM environment: kernel %s, initramfs %d bytes, %d modules", m.Kernel, m.InitramfsBytes, len(m.Modules))
	return env
}
