package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agentapi"
	"github.com/metalform/terraform-provider-metal/server/internal/bootenv"
	"github.com/metalform/terraform-provider-metal/server/internal/lab/osimage"
)

// patience bounds what an emulated machine may take on a computer that does much else.
const patience = 15 * time.Minute

// TestRootArchivesBecomeSystems installs a real Debian from its root archive in a virtual machine, by the agent in its
// RAM environment, and starts what came of it from the disks alone. The layouts are those of the planner.
func TestRootArchivesBecomeSystems(t *testing.T) {
	if os.Getenv("METAL_NIGHTLY") == "" {
		t.Skip("installs systems, which takes minutes each: METAL_NIGHTLY=1 runs it, and so does make nightly")
	}
	needTools(t, "qemu-system-x86_64", "dnsmasq", "ip", "apt-get", "qemu-img", "mmdebstrap")
	dir := t.TempDir()
	s := site{env: buildEnvironment(t, dir, bootenv.Cloud)}
	s.tools, s.archive = buildTools(t), buildRoot(t)
	s.measure(t)
	tests := []struct {
		name   string
		layout layoutCase
	}{
		{"flat ext4 on a BIOS", flat(metal.BIOS)},
		{"flat ext4 on UEFI", flat(metal.UEFI)},
		{"a volume group on UEFI", lvm(metal.UEFI)},
		{"a mirror on a BIOS that loses a disk", raid1(metal.BIOS)},
		{"a mirror on UEFI that loses a disk", raid1(metal.UEFI)},
		{"an encrypted root on a BIOS", luks(metal.BIOS)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s.try(t, tt.layout)
		})
	}
}

// layoutCase is a layout, and what its system says of itself.
type layoutCase struct {
	plan metal.StoragePlan
	keys map[string]string
	// says are texts of the console; each has to be there.
	says []string
	// unlock is typed where the system asks for a passphrase.
	unlock string
	// degraded starts the system once more without its first disk, and it says this.
	degraded []string
}

// site is what machines install from.
type site struct {
	env, tools, archive string
	digest              string
	raw, stored         int64
}

func buildTools(t *testing.T) string {
	t.Helper()
	cache := filepath.Join("..", "..", "..", ".cache", "tools-amd64")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	kernels, err := filepath.Glob(filepath.Join("..", "..", "..", ".cache", "kernel-amd64", "linux-image-*-cloud-amd64_*.deb"))
	if err != nil || len(kernels) == 0 {
		t.Fatalf("find the kernel package of the RAM environment: %v", err)
	}
	// Kept for the next run by the recipe and the kernel, for it takes a minute.
	recipe, err := os.ReadFile(filepath.Join("..", "..", "internal", "bootenv", "tools.go"))
	if err != nil {
		t.Fatal(err)
	}
	kernel := kernels[len(kernels)-1]
	kept := filepath.Join(cache, fmt.Sprintf("built-%.8x", sha256.Sum256(append(recipe, kernel...))))
	tools := filepath.Join(kept, bootenv.ToolsFile)
	if _, err := os.Stat(tools); err == nil {
		return tools
	}
	if err := bootenv.BuildTools(t.Context(), bootenv.ToolsOptions{Arch: metal.AMD64, KernelDeb: kernel, OutDir: kept, CacheDir: cache}); err != nil {
		t.Fatal(err)
	}
	return tools
}

func buildRoot(t *testing.T) string {
	t.Helper()
	cache := os.Getenv("METAL_CACHE")
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		cache = filepath.Join(user, "metalform")
	}
	out := filepath.Join(t.TempDir(), "root.tar.zst")
	if err := osimage.BuildRoot(t.Context(), osimage.Options{Out: out, CacheDir: cache}); err != nil {
		t.Fatal(err)
	}
	return out
}

func (s *site) measure(t *testing.T) {
	t.Helper()
	f, err := os.Open(s.archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	sum := sha256.New()
	if s.raw, err = io.Copy(sum, z); err != nil {
		t.Fatal(err)
	}
	s.digest = hex.EncodeToString(sum.Sum(nil))
	if info, err := f.Stat(); err == nil {
		s.stored = info.Size()
	}
}

// try installs a layout and starts the system.
func (s *site) try(t *testing.T, l layoutCase) {
	dir := t.TempDir()
	var disks []string
	for i, d := range l.plan.Disks {
		file := filepath.Join(dir, fmt.Sprintf("disk%d.qcow2", i))
		run(t, "qemu-img", "create", "-q", "-f", "qcow2", file, fmt.Sprint(d.Bytes))
		disks = append(disks, file)
	}
	firmware := firmwareArgs(t, l.plan.Boot.Mode, dir)
	s.install(t, l, disks, dir, firmware)
	console := starts(t, disks, firmware, l.unlock)
	want(t, console, append(l.says, "ROOT-MARKER "+t.Name()))
	if l.degraded != nil {
		// The other disk of the mirror: what was written to the variables does not have to know it.
		console = starts(t, disks[1:], firmwareArgs(t, l.plan.Boot.Mode, t.TempDir()), l.unlock)
		want(t, console, append(l.degraded, "ROOT-MARKER "+t.Name()))
	}
}

func want(t *testing.T, console string, says []string) {
	t.Helper()
	for _, text := range says {
		if !strings.Contains(console, text) {
			t.Errorf("the system does not say %q", text)
		}
	}
	if t.Failed() {
		t.Fatalf("console:\n%s", console[max(0, len(console)-6000):])
	}
}

func machineArgs(disks []string) []string {
	args := []string{
		"-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1024",
		"-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot",
	}
	for i, d := range disks {
		serial := strings.TrimSuffix(filepath.Base(d), ".qcow2")
		args = append(args, "-drive", fmt.Sprintf("if=none,id=d%d,format=qcow2,cache=unsafe,discard=unmap,file=%s", i, d),
			"-device", fmt.Sprintf("virtio-blk-pci,drive=d%d,serial=%s,bootindex=%d", i, serial, i+1))
	}
	return args
}

// firmwareArgs gives a machine its firmware; UEFI's variables are kept in dir.
func firmwareArgs(t *testing.T, mode metal.BootMode, dir string) []string {
	t.Helper()
	if mode != metal.UEFI {
		return nil
	}
	raw, err := os.ReadFile("/usr/share/OVMF/OVMF_VARS_4M.fd")
	if err != nil {
		needTools(t, "OVMF")
	}
	vars := filepath.Join(dir, "vars.fd")
	if err := os.WriteFile(vars, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{
		"-drive", "if=pflash,format=raw,unit=0,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd", "-drive", "if=pflash,format=raw,unit=1,file=" + vars,
	}
}

// install boots the RAM environment and has it install.
func (s *site) install(t *testing.T, l layoutCase, disks []string, dir string, firmware []string) {
	t.Helper()
	ns := newNamespace(t)
	startDNSMasq(t, ns, dir)
	server := &fakeServer{steps: []agentapi.Step{{ID: "1", Kind: agentapi.StepInstall, Install: &agentapi.Install{
		Plan: l.plan, Keys: l.keys, Digest: s.digest, RawBytes: s.raw, StoredBytes: s.stored,
		Files: map[string]string{
			"etc/hostname": "installed\n", "etc/marker": t.Name() + "\n",
			// An empty unit is a masked one: a getty would hang the console up while the system tells of itself.
			"etc/systemd/system/serial-getty@ttyS0.service": "",
		},
		// An emulated machine on a loaded computer may miss the ticks that the kernel tries its timer with.
		KernelParameters: "console=tty0 console=ttyS0 no_timer_check",
	}}, {ID: "2", Kind: agentapi.StepPowerOff}}}
	server.files = func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case agentapi.PathTools + "amd64/" + bootenv.ToolsFile:
			http.ServeFile(w, r, s.tools)
		case agentapi.PathImages + s.digest:
			http.ServeFile(w, r, s.archive)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}
	server.listen(t, ns)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	args := append([]string{"netns", "exec", ns, "qemu-system-x86_64"}, machineArgs(disks)...)
	args = append(args, firmware...)
	args = append(args, "-netdev", "tap,id=n0,ifname=tap0,script=no,downscript=no", "-device", "virtio-net-pci,netdev=n0,romfile=,mac="+testMAC,
		"-kernel", filepath.Join(s.env, bootenv.KernelFile), "-initrd", filepath.Join(s.env, bootenv.InitramfsFile),
		"-append", fmt.Sprintf("console=ttyS0 quiet %s=http://172.31.0.1:7080 %s=%s %s=%s",
			agentapi.ParamServer, agentapi.ParamToken, testToken, agentapi.ParamMAC, testMAC))
	began := time.Now()
	out, err := os.Create(filepath.Join(dir, "install.console")) // for whoever looks while it runs
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	machine := exec.CommandContext(ctx, "ip", args...)
	machine.Stdout, machine.Stderr = out, out
	err = machine.Run()
	console, _ := os.ReadFile(out.Name()) // what it tells is looked at below
	if err != nil {
		t.Fatalf("machine: %v; console:\n%s", err, console)
	}
	for _, r := range server.results {
		if r.Failure != nil {
			t.Fatalf("step %s: %s\n%s\nconsole:\n%s", r.StepID, r.Failure.Message, r.Failure.Detail, console)
		}
	}
	if len(server.results) != 2 {
		t.Fatalf("got %d results; want 2; console:\n%s", len(server.results), console)
	}
	for _, secret := range l.keys {
		if strings.Contains(string(console), secret) {
			t.Error("the console shows the passphrase")
		}
	}
	t.Logf("installed in %s:\n%s", time.Since(began).Round(time.Second), console[max(0, len(console)-2500):])
}

// starts starts a machine from its disks alone, and returns what it said until the system was up.
func starts(t *testing.T, disks, firmware []string, unlock string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", append(machineArgs(disks), firmware...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	look, err := os.Create(filepath.Join(t.TempDir(), "start.console")) // for whoever looks while it runs
	if err != nil {
		t.Fatal(err)
	}
	defer look.Close()
	var said strings.Builder
	var line strings.Builder
	for r := bufio.NewReader(io.TeeReader(out, look)); ; {
		b, err := r.ReadByte()
		if err != nil {
			break
		}
		said.WriteByte(b)
		line.WriteByte(b)
		if unlock != "" && strings.Contains(line.String(), "Please unlock disk") && b == ' ' && strings.HasSuffix(line.String(), ": ") {
			fmt.Fprintln(in, unlock) // a machine that ended is noticed below
			line.Reset()
		}
		if b == '\n' {
			if strings.Contains(line.String(), "ROOT-END") {
				break
			}
			line.Reset()
		}
	}
	cancel()
	_, _ = io.Copy(io.Discard, out)
	_ = cmd.Wait() // it was killed
	if !strings.Contains(said.String(), "ROOT-END") {
		text := said.String()
		t.Fatalf("the system did not come up:\n%s", text[max(0, len(text)-6000):])
	}
	return said.String()
}
