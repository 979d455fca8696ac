package bootenv

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// tiny is a module set that the kernel of plantKernel can meet.
func tiny() ModuleSet {
	return ModuleSet{Name: "tiny", Required: []string{"virtio_net", "virtio"}, Modules: []string{"vfat", "not_in_this_kernel"}}
}

func TestBuildMakesTheSameBytesTwice(t *testing.T) {
	root, agent := plantKernel(t), plantAgent(t, metal.AMD64)
	var first map[string][]byte
	for range 2 {
		out := t.TempDir()
		m, err := Build(t.Context(), Options{Arch: metal.AMD64, KernelRoot: root, AgentPath: agent, OutDir: out, Modules: tiny()})
		if err != nil {
			t.Fatal(err)
		}
		files := map[string][]byte{}
		for _, name := range []string{KernelFile, InitramfsFile, ManifestFile} {
			raw, err := os.ReadFile(filepath.Join(out, name))
			if err != nil {
				t.Fatal(err)
			}
			files[name] = raw
		}
		var stored Manifest
		if err := json.Unmarshal(files[ManifestFile], &stored); err != nil || !cmp.Equal(stored, m) {
			t.Errorf("manifest: got %+v, %v; want %+v", stored, err, m)
		}
		if m.InitramfsSHA256 != digest(files[InitramfsFile]) || m.KernelSHA256 != digest(files[KernelFile]) {
			t.Errorf("manifest %+v does not tell the digests of the files", m)
		}
		if first == nil {
			first = files
		} else if diff := cmp.Diff(first, files); diff != "" {
			t.Errorf("the second build differs: %s", diff)
		}
	}
}

func TestInitramfsHoldsAgentConsoleAndModules(t *testing.T) {
	needTool(t, "cpio")
	out := t.TempDir()
	m, err := Build(t.Context(), Options{
		Arch: metal.AMD64, KernelRoot: plantKernel(t), AgentPath: plantAgent(t, metal.AMD64), OutDir: out, Modules: tiny(),
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"fat", "vfat", "net_failover", "virtio_net", "failover"}, m.Modules); diff != "" {
		t.Errorf("modules (-want +got):\n%s", diff)
	}
	raw, err := os.ReadFile(filepath.Join(out, InitramfsFile))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "cpio", "-i", "-d", "--no-absolute-filenames", "--quiet")
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(raw)
	if said, err := cmd.CombinedOutput(); err != nil && os.Geteuid() == 0 {
		t.Fatalf("cpio: %v: %s", err, said)
	}
	want := map[string]string{
		"lib/modules/6.1.0-test/modules.dep": "kernel/fs/fat/fat.ko:\n" +
			"kernel/fs/fat/vfat.ko: kernel/fs/fat/fat.ko\n" +
			"kernel/net/net_failover.ko: kernel/net/other/failover.ko\n" +
			"kernel/net/other-a/virtio_net.ko: kernel/net/net_failover.ko kernel/net/other/failover.ko\n" +
			"kernel/net/other/failover.ko:\n",
		"lib/modules/6.1.0-test/modules.alias": "alias fs-vfat vfat\nalias virtio:d00000001v* virtio_net\n",
	}
	for name, text := range want {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
		} else if diff := cmp.Diff(text, string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if target, err := os.Readlink(filepath.Join(dir, "modprobe")); target != "init" || err != nil {
		t.Errorf("modprobe: got %q, %v; want a link to init", target, err)
	}
	info, err := os.Stat(filepath.Join(dir, "dev/console"))
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		t.Errorf("dev/console: got %v, %v; want a character device", info, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "init")); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("init: got %v, %v; want a program", info, err)
	}
}

func TestBuildSaysWhatIsWrong(t *testing.T) {
	agent := plantAgent(t, metal.AMD64)
	root := plantKernel(t)
	with := func(change func(o *Options)) Options {
		o := Options{Arch: metal.AMD64, KernelRoot: root, AgentPath: agent, Modules: tiny()}
		change(&o)
		return o
	}
	notADeb := filepath.Join(t.TempDir(), "kernel.deb")
	plant(t, notADeb, []byte("!<arch>\nrubbish"))
	tests := []struct {
		name    string
		options Options
		want    string
	}{
		{"no such architecture", with(func(o *Options) { o.Arch = "riscv64" }), "riscv64"},
		{"no kernel named", with(func(o *Options) { o.KernelRoot = "" }), "name either a kernel package or a folder"},
		{"no kernel there", with(func(o *Options) { o.KernelRoot = t.TempDir() }), "found 0"},
		{"not a package", with(func(o *Options) { o.KernelRoot, o.KernelDeb = "", notADeb }), "is not a Debian package"},
		{"agent of another architecture", with(func(o *Options) { o.Arch = metal.ARM64 }), "GOARCH=arm64"},
		{"agent is a script", with(func(o *Options) { o.AgentPath = notADeb }), "is not a Linux program"},
		{"a module it cannot do without", with(func(o *Options) { o.Modules.Required = []string{"nvme"} }), "no module nvme"},
		{"a module that is not whole", with(func(o *Options) { o.Modules.Modules = []string{"orphan"} }), "needs module parent"},
		{"modules in a circle", with(func(o *Options) { o.Modules.Modules = []string{"hen"} }), "circle: hen needs egg needs hen"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.options.OutDir = t.TempDir()
			_, err := Build(t.Context(), tt.options)
			if metal.CodeOf(err) != metal.Invalid || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v; want an Invalid error with %q", err, tt.want)
			}
			if left, _ := os.ReadDir(tt.options.OutDir); len(left) != 0 {
				t.Errorf("got %v left behind; want nothing", left)
			}
		})
	}
}

func TestBuildRefusesADynamicAgent(t *testing.T) {
	shell, err := filepath.EvalSymlinks("/bin/sh")
	if err != nil {
		t.Skip("no shell to take for a dynamic program")
	}
	if _, err := readAgent(shell, metal.AMD64); err == nil || !strings.Contains(err.Error(), "CGO_ENABLED=0") {
		t.Errorf("got %v; want an error that says to link statically", err)
	}
}

func TestBuildUnpacksADebianPackage(t *testing.T) {
	needTool(t, "dpkg-deb")
	for _, compression := range []string{"xz", "zstd", "gzip", "none"} {
		t.Run(compression, func(t *testing.T) {
			root := plantKernel(t)
			plant(t, filepath.Join(root, "DEBIAN/control"), []byte("Package: k\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n"))
			deb := filepath.Join(t.TempDir(), "k.deb")
			if said, err := exec.CommandContext(t.Context(), "dpkg-deb", "-Z"+compression, "-b", root, deb).CombinedOutput(); err != nil {
				t.Fatalf("dpkg-deb: %v: %s", err, said)
			}
			m, err := Build(t.Context(), Options{Arch: metal.AMD64, KernelDeb: deb, AgentPath: plantAgent(t, metal.AMD64), OutDir: t.TempDir(), Modules: tiny(), Compress: true})
			if err != nil {
				t.Fatal(err)
			}
			if m.Kernel != "6.1.0-test" || len(m.Modules) != 5 {
				t.Errorf("got %+v; want release 6.1.0-test with 5 modules", m)
			}
		})
	}
}

func TestBuildStopsWhenItsContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	out := t.TempDir()
	if _, err := Build(ctx, Options{Arch: metal.AMD64, KernelRoot: plantKernel(t), AgentPath: plantAgent(t, metal.AMD64), OutDir: out, Modules: tiny()}); err == nil {
		t.Error("got no error; want the context's")
	}
	if _, err := os.Stat(filepath.Join(out, ManifestFile)); err == nil {
		t.Error("there is a manifest; want none, for the build was not finished")
	}
}
