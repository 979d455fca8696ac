package install

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agentapi"
)

// needRoot skips a test without root; in CI that is a failure.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal("root is missing")
	}
	t.Skip("root is missing")
}

// programs notes what is run.
type programs struct{ ran []string }

func (p *programs) Run(_ context.Context, _ string, _ []byte, name string, args ...string) (string, error) {
	p.ran = append(p.ran, strings.Join(append([]string{name}, args...), " "))
	return "", nil
}

func pack(t *testing.T, raw []byte) *bytes.Buffer {
	t.Helper()
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return &out
}

func tarOf(t *testing.T, name, content string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(content)), Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return append(out.Bytes(), make([]byte, 8192)...) // padded to a record, as tar(1) does
}

func options(t *testing.T, raw []byte) (Options, *programs) {
	t.Helper()
	sum := sha256.Sum256(raw)
	var p programs
	o := Options{
		Install: agentapi.Install{Digest: hex.EncodeToString(sum[:]), RawBytes: int64(len(raw))}, Archive: pack(t, raw), Dir: t.TempDir(),
		Programs: &p, Log: slog.New(slog.DiscardHandler), Progress: func(float64) {},
	}
	if err := os.Mkdir(filepath.Join(o.Dir, target), 0o755); err != nil {
		t.Fatal(err)
	}
	return o, &p
}

func TestATarIsUnpackedAndVerifiedToItsLastByte(t *testing.T) {
	needRoot(t)
	o, _ := options(t, tarOf(t, "etc/os-release", "ID=debian"))
	var last float64
	o.Progress = func(f float64) { last = f }
	if err := unpack(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if raw, err := os.ReadFile(filepath.Join(o.Dir, target, "etc/os-release")); err != nil || string(raw) != "ID=debian" {
		t.Errorf("got %q, %v", raw, err)
	}
	if math.Abs(last-afterUnpack) > 1e-9 {
		t.Errorf("got progress %v; want %v", last, afterUnpack)
	}
}

func TestASquashfsIsGivenToItsProgramOnceItIsWhole(t *testing.T) {
	needRoot(t)
	o, p := options(t, []byte(squashfsMagic+strings.Repeat("x", 100_000)))
	if err := unpack(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if len(p.ran) != 1 || p.ran[0] != "unsquashfs -quiet -no-progress -force -dest /target /target/"+packed {
		t.Errorf("got %q", p.ran)
	}
	if _, err := os.Stat(filepath.Join(o.Dir, target, packed)); !os.IsNotExist(err) {
		t.Errorf("the archive is left in the system: %v", err)
	}
}

func TestAnArchiveThatIsNotTheOneMeantIsRefused(t *testing.T) {
	needRoot(t)
	for name, change := range map[string]func(*Options){
		"another digest":   func(o *Options) { o.Install.Digest = strings.Repeat("0", 64) },
		"longer than said": func(o *Options) { o.Install.RawBytes -= 10 },
		"shorter":          func(o *Options) { o.Install.RawBytes += 10 },
		"cut off": func(o *Options) {
			whole := o.Archive.(*bytes.Buffer).Bytes()
			o.Archive = bytes.NewReader(whole[:len(whole)/2])
		},
		"empty": func(o *Options) { o.Archive = strings.NewReader("") },
	} {
		for kind, raw := range map[string][]byte{"tar": tarOf(t, "a", strings.Repeat("content", 5000)), "squashfs": []byte(squashfsMagic + "rest")} {
			o, p := options(t, raw)
			change(&o)
			if err := unpack(t.Context(), o); err == nil {
				t.Errorf("%s, %s: got no error", kind, name)
			}
			if len(p.ran) > 0 {
				t.Errorf("%s, %s: got %q run on it", kind, name, p.ran)
			}
		}
	}
}

func TestTheSystemGetsItsFiles(t *testing.T) {
	dir, outside := t.TempDir(), filepath.Join(t.TempDir(), "victim")
	if err := os.MkdirAll(filepath.Join(dir, "etc/mdadm"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(outside, []byte("good"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "etc/fstab")); err != nil {
		t.Fatal(err)
	}
	o := Options{Install: agentapi.Install{
		Plan:  metal.StoragePlan{FSTab: []string{"UUID=1 / ext4 defaults 0 1"}, Crypttab: []string{"secret UUID=2 none luks"}, MDAdm: []string{"ARRAY /dev/md/root UUID=3"}},
		Files: map[string]string{"etc/hostname": "node1\n", "var/lib/cloud/seed/nocloud/user-data": "#cloud-config\n", "etc/crypttab": "mine\n"},
	}}
	if err := configure(o, dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"etc/fstab": "UUID=1 / ext4", "etc/crypttab": "mine", "etc/mdadm/mdadm.conf": "ARRAY /dev/md/root", "etc/hostname": "node1",
	} {
		if raw, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !strings.Contains(string(raw), want) {
			t.Errorf("%s: got %q, %v; want %q in it", name, raw, err, want)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "var/lib/cloud/seed/nocloud/user-data")); err != nil || info.Mode() != fs.FileMode(0o600) {
		t.Errorf("user data: got %v, %v; want it for root alone", info, err)
	}
	if raw, err := os.ReadFile(outside); err != nil || string(raw) != "good" {
		t.Errorf("outside: got %q, %v; want it untouched", raw, err)
	}
}

func TestTheInitramfsIsMadeAgainWhereItsContentChanged(t *testing.T) {
	tests := []struct {
		name string
		plan metal.StoragePlan
		has  string
		want string
		code metal.Code
	}{
		{"a plain disk", metal.StoragePlan{}, "", "", ""},
		{"an array on Debian", metal.StoragePlan{MDAdm: []string{"ARRAY"}}, "usr/sbin/update-initramfs", "update-initramfs -u -k all", ""},
		{"LUKS with dracut", metal.StoragePlan{Crypttab: []string{"x"}}, "usr/bin/dracut", "dracut --regenerate-all --force", ""},
		{"LUKS where nothing makes one", metal.StoragePlan{Crypttab: []string{"x"}}, "", "", metal.Invalid},
	}
	for _, tt := range tests {
		root := t.TempDir()
		if tt.has != "" {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(root, tt.has)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(root, tt.has), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var p programs
		err := remakeInitramfs(t.Context(), Options{Install: agentapi.Install{Plan: tt.plan}, Programs: &p, Log: slog.New(slog.DiscardHandler)}, root)
		if metal.CodeOf(err) != tt.code || strings.Join(p.ran, ";") != tt.want {
			t.Errorf("%s: got %q, %v; want %q, %q", tt.name, p.ran, err, tt.want, tt.code)
		}
	}
}
