package install

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const (
	sealedRoot = "secret UUID=5f1c5a32 none luks,discard,tpm2-device=auto,initramfs"
	sealedData = "data UUID=6f1c5a32 none luks,discard,tpm2-device=auto"
	asked      = "other UUID=7f1c5a32 none luks,discard,initramfs"
	random     = "swap PARTUUID=8f1c5a32 /dev/urandom swap,cipher=aes-xts-plain64,size=512,discard"
)

func TestSealedVolumesAreReadFromCrypttab(t *testing.T) {
	got := sealedVolumes([]string{sealedRoot, asked, random, sealedData, "", "short line"})
	want := []sealed{{Name: "secret", UUID: "5f1c5a32", Early: true}, {Name: "data", UUID: "6f1c5a32"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("volumes (-want +got):\n%s", diff)
	}
}

// system makes a root with the files named.
func system(t *testing.T, names ...string) *os.Root {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

// below returns names below a folder.
func below(dir string, names ...string) []string {
	all := make([]string, len(names))
	for i, n := range names {
		all[i] = dir + "/" + n
	}
	return all
}

func TestASystemThatTheTPMCannotOpenIsRefused(t *testing.T) {
	debian := append(below("usr/lib/x86_64-linux-gnu", tpmLibraries()...), "usr/sbin/update-initramfs")
	whole := append(debian, "usr/lib/x86_64-linux-gnu/"+tokenPlugin)
	fedora := append(below("usr/lib64", tpmLibraries()...), "usr/bin/dracut")
	for _, tt := range []struct {
		name  string
		files []string
		lines []string
		says  string   // empty: it is taken
		makes []string // files
	}{
		{"nothing is sealed", nil, []string{asked, random}, "", nil},
		{"no libraries", []string{"usr/sbin/update-initramfs"}, []string{sealedRoot}, "volume secret is to be opened by the TPM, and the root archive lacks libtss2-esys.so.0", nil},
		{"no libraries for what systemd opens", []string{"usr/sbin/update-initramfs"}, []string{sealedData}, "volume data is to be opened by the TPM", nil},
		{"one library is missing", debian[1:], []string{sealedRoot}, "lacks libtss2-esys.so.0", nil},
		{"no plugin for initramfs-tools", debian, []string{sealedRoot}, "lacks cryptsetup/libcryptsetup-token-systemd-tpm2.so", nil},
		{"what systemd opens takes no plugin", debian, []string{sealedData}, "", nil},
		{"initramfs-tools with all of it", whole, []string{sealedData, sealedRoot}, "", []string{"etc/initramfs-tools/hooks/metal-tpm2", "etc/initramfs-tools/scripts/local-top/metal-tpm2"}},
		{"dracut", fedora, []string{sealedRoot}, "", []string{"etc/dracut.conf.d/90-metal-tpm2.conf"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := system(t, tt.files...)
			err := openSealed(root, metal.StoragePlan{Crypttab: tt.lines})
			if tt.says != "" {
				if metal.CodeOf(err) != metal.Invalid || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("got %v; want an invalid error that says %q", err, tt.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if made := exists(root, "etc"); made != (len(tt.makes) > 0) {
				t.Errorf("/etc: got %v; want %v", made, len(tt.makes) > 0)
			}
			for _, name := range tt.makes {
				if !exists(root, name) {
					t.Errorf("%s: not there", name)
				}
			}
		})
	}
}

func TestTheScriptOpensWhatTheInitramfsHasTo(t *testing.T) {
	root := system(t, append(below("usr/lib/x86_64-linux-gnu", append(tpmLibraries(), tokenPlugin)...), "usr/sbin/update-initramfs")...)
	if err := openSealed(root, metal.StoragePlan{Crypttab: []string{sealedData, asked, sealedRoot}}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"etc/initramfs-tools/hooks/metal-tpm2", "etc/initramfs-tools/scripts/local-top/metal-tpm2"} {
		at := filepath.Join(root.Name(), name)
		info, err := os.Stat(at)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o111 != 0o111 {
			t.Errorf("%s: got mode %v; want it executable", name, info.Mode())
		}
		if out, err := exec.CommandContext(t.Context(), "sh", "-n", at).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		// initramfs-tools asks each script what has to run before it.
		out, err := exec.CommandContext(t.Context(), "sh", at, "prereqs").CombinedOutput()
		if want := map[bool]string{true: "cryptroot\n", false: ""}[strings.Contains(name, "hooks")]; err != nil || string(out) != want {
			t.Errorf("%s prereqs: got %q, %v; want %q", name, out, err, want)
		}
	}
	script, err := root.ReadFile("etc/initramfs-tools/scripts/local-top/metal-tpm2")
	if err != nil {
		t.Fatal(err)
	}
	if got := string(script); !strings.HasSuffix(got, "\nopen_sealed secret 5f1c5a32\n") || strings.Contains(got, "6f1c5a32") || strings.Contains(got, "7f1c5a32") {
		t.Errorf("script: got\n%s\nwant it to open the one sealed volume that the system lies on", got)
	}
}
