package fleet

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestTheKindOfAnImageFollowsFromItsFormat(t *testing.T) {
	for format, want := range map[string]metal.ImageKind{
		"": metal.ImageDisk, "auto": metal.ImageDisk, "vmdk": metal.ImageDisk, "tar": metal.ImageRoot, "squashfs": metal.ImageRoot,
	} {
		spec := metal.ImageSpec{Format: format}
		completeImage(&spec)
		if spec.Kind != want {
			t.Errorf("format %q: got kind %s; want %s", format, spec.Kind, want)
		}
		again := spec
		completeImage(&again)
		if diff := cmp.Diff(spec, again); diff != "" {
			t.Errorf("format %q: completing twice changes it (-once +twice):\n%s", format, diff)
		}
	}
}

func TestImagesThatContradictThemselvesAreRefused(t *testing.T) {
	const web = "https://images.example.org/a"
	checksum := strings.Repeat("a", 64)
	for _, tt := range []struct {
		name string
		spec metal.ImageSpec
		says string // empty: it is taken
	}{
		{"an archive as a root", metal.ImageSpec{Format: "tar", Kind: metal.ImageRoot}, ""},
		{"whatever it is as a root", metal.ImageSpec{Kind: metal.ImageRoot}, ""},
		{"an archive as a disk", metal.ImageSpec{Format: "tar", Kind: metal.ImageDisk}, "declare kind root"},
		{"a disk as a root", metal.ImageSpec{Format: "qcow2", Kind: metal.ImageRoot}, "kind says root"},
		{"mirrors with a SHA-256", metal.ImageSpec{Source: web, Mirrors: []string{web}, SHA256: checksum}, ""},
		{"mirrors with a SHA-512", metal.ImageSpec{Source: web, Mirrors: []string{"http://[2001:db8::1]/a"}, SHA512: checksum + checksum}, ""},
		{"mirrors without a checksum", metal.ImageSpec{Source: web, Mirrors: []string{web}}, "needs sha256 or sha512"},
		{"mirrors of a file", metal.ImageSpec{Source: "/images/a", Mirrors: []string{web}, SHA256: checksum}, "needs a source that is an http(s) URL"},
		{"mirrors of an upload", metal.ImageSpec{Mirrors: []string{web}, SHA256: checksum}, "needs a source that is an http(s) URL"},
		{"a mirror that is a file", metal.ImageSpec{Source: web, Mirrors: []string{web, "/etc/passwd"}, SHA256: checksum}, "mirrors[1] is not an http(s) URL"},
		{"a mirror of another scheme", metal.ImageSpec{Source: web, Mirrors: []string{"ftp://user:hunter2@a/b"}, SHA256: checksum}, "mirrors[0] is neither an http(s) URL"},
		{"a password in the source", metal.ImageSpec{Source: "https://me:hunter2@images.example.org/a"}, "source has a user name or a password"},
		{"a user name in the source", metal.ImageSpec{Source: "https://me@images.example.org/a"}, "source has a user name or a password"},
		{"a password in a mirror", metal.ImageSpec{Source: web, Mirrors: []string{"https://:hunter2@b/a"}, SHA256: checksum}, "mirrors[0] has a user name or a password"},
		{"a password with a percent sign", metal.ImageSpec{Source: "https://me:hunter2%@h/a"}, "source is neither an http(s) URL"},
		{"a password with a space", metal.ImageSpec{Source: "https://me:hunter2 x@h/a"}, "source is neither an http(s) URL"},
		{"a password with a number sign", metal.ImageSpec{Source: "https://me:hunter2#x@h/a"}, "source is neither an http(s) URL"},
		{"a password of digits with a number sign", metal.ImageSpec{Source: "https://me:22#hunter2@h/a"}, "source is neither an http(s) URL"},
		{"another scheme", metal.ImageSpec{Source: "ftp://me:hunter2@h/a"}, "source is neither an http(s) URL"},
		{"a relative path", metal.ImageSpec{Source: "images/hunter2"}, "source is neither an http(s) URL"},
		{"a scheme in capitals", metal.ImageSpec{Source: "HTTPS://images.example.org/a"}, ""},
		{"an at sign in a path", metal.ImageSpec{Source: web + "/me:you@b"}, ""},
		{"too many mirrors", metal.ImageSpec{Source: web, Mirrors: slices.Repeat([]string{web}, 9), SHA256: checksum}, "at most 8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			completeImage(&tt.spec)
			err := checkImage(tt.spec)
			if tt.says == "" {
				if err != nil {
					t.Errorf("got %v; want it taken", err)
				}
				return
			}
			if metal.CodeOf(err) != metal.Invalid || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v; want an invalid error that says %q, and no password", err, tt.says)
			}
		})
	}
}

func TestOnlyWhatNamesTheContentAsksForOther(t *testing.T) {
	was := metal.ImageSpec{Source: "https://a", SHA256: "b", Format: "raw", Kind: metal.ImageDisk}
	for _, tt := range []struct {
		name   string
		change func(*metal.ImageSpec)
		want   bool
	}{
		{"nothing", func(*metal.ImageSpec) {}, false},
		{"mirrors", func(s *metal.ImageSpec) { s.Mirrors = []string{"https://c"} }, false},
		{"the version", func(s *metal.ImageSpec) { s.Version = "12" }, false},
		{"the source", func(s *metal.ImageSpec) { s.Source = "https://c" }, true},
		{"a SHA-512", func(s *metal.ImageSpec) { s.SHA512 = "d" }, true},
		{"the kind", func(s *metal.ImageSpec) { s.Kind = metal.ImageRoot }, true},
	} {
		spec := was
		if tt.change(&spec); otherContent(was, spec) != tt.want {
			t.Errorf("a change of %s: got %v; want %v", tt.name, !tt.want, tt.want)
		}
	}
}
