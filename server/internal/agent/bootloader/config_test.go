package bootloader

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestKernelsAreFoundNewestFirst(t *testing.T) {
	tests := []struct {
		name  string
		files []string
		want  []kernel
	}{
		{"Debian", []string{"vmlinuz-6.1.0-9-amd64", "initrd.img-6.1.0-9-amd64", "vmlinuz-6.1.0-56-amd64", "initrd.img-6.1.0-56-amd64", "config-6.1.0-56-amd64"}, []kernel{
			{"vmlinuz-6.1.0-56-amd64", "initrd.img-6.1.0-56-amd64"}, {"vmlinuz-6.1.0-9-amd64", "initrd.img-6.1.0-9-amd64"},
		}},
		{"Fedora, with a rescue kernel", []string{"vmlinuz-5.14.0-427.el9.x86_64", "initramfs-5.14.0-427.el9.x86_64.img", "vmlinuz-0-rescue-abc", "initramfs-0-rescue-abc.img"}, []kernel{
			{"vmlinuz-5.14.0-427.el9.x86_64", "initramfs-5.14.0-427.el9.x86_64.img"},
		}},
		{"SUSE", []string{"vmlinuz-6.4.0-150600.21-default", "initrd-6.4.0-150600.21-default"}, []kernel{{"vmlinuz-6.4.0-150600.21-default", "initrd-6.4.0-150600.21-default"}}},
		{"Arch", []string{"vmlinuz-linux", "initramfs-linux.img"}, []kernel{{"vmlinuz-linux", "initramfs-linux.img"}}},
		{"without an initramfs", []string{"vmlinuz-6.1"}, []kernel{{"vmlinuz-6.1", ""}}},
	}
	for _, tt := range tests {
		fsys := fstest.MapFS{}
		for _, f := range tt.files {
			fsys[f] = &fstest.MapFile{}
		}
		got, err := findKernels(fsys)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	if _, err := findKernels(fstest.MapFS{"config-6.1": {}}); metal.CodeOf(err) != metal.Invalid {
		t.Errorf("no kernel: got %v; want Invalid", err)
	}
}

func TestReleasesCompareAsNumbers(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"6.1.0-9", "6.1.0-10", -1}, {"6.10", "6.9", 1}, {"6.1", "6.1", 0}, {"6.1", "6.1.1", -1}, {"6.01", "6.1", 0}, {"linux", "linux-lts", -1}} {
		if got := compareReleases(tt.a, tt.b); got != tt.want {
			t.Errorf("%s and %s: got %d; want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestTheMenuNamesKernelsWhereGRUBFindsThem(t *testing.T) {
	got := menu(Place{UUID: "U", Dir: "/@/boot"}, []kernel{{"vmlinuz-2", "initrd.img-2"}, {"vmlinuz-1", ""}}, "root=UUID=U ro quiet opt=a;b x='$y'")
	want := `set timeout=1
set default=0
search --no-floppy --fs-uuid --set=root U
menuentry "Linux vmlinuz-2" {
	linux /@/boot/vmlinuz-2 root=UUID=U ro quiet 'opt=a;b' 'x='\''$y'\'''
	initrd /@/boot/initrd.img-2
}
menuentry "Linux vmlinuz-1" {
	linux /@/boot/vmlinuz-1 root=UUID=U ro quiet 'opt=a;b' 'x='\''$y'\'''
}
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheFirstConfigFindsBoot(t *testing.T) {
	for _, tt := range []struct {
		place Place
		want  string
	}{
		{Place{"U", "/boot"}, "search.fs_uuid U root\nset prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n"},
		{Place{"U", ""}, "search.fs_uuid U root\nset prefix=($root)/grub\nconfigfile $prefix/grub.cfg\n"},
	} {
		if got := early(tt.place); got != tt.want {
			t.Errorf("%+v: got %q; want %q", tt.place, got, tt.want)
		}
	}
}

func TestSettingsAreOneShellWord(t *testing.T) {
	got := defaults("console=ttyS0  it's $(bad)")
	if !strings.Contains(got, `GRUB_CMDLINE_LINUX='console=ttyS0 it'\''s $(bad)'`+"\n") {
		t.Errorf("got %s", got)
	}
}

func FuzzCompareReleases(f *testing.F) {
	f.Add("6.1.0-56-amd64", "6.1.0-9-amd64")
	f.Add("", "1")
	f.Fuzz(func(t *testing.T, a, b string) {
		if compareReleases(a, b) != -compareReleases(b, a) {
			t.Errorf("%q and %q: the order depends on who is asked", a, b)
		}
	})
}
