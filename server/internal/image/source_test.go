package image

import (
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func sum512(b []byte) string {
	got := sha512.Sum512(b)
	return hex.EncodeToString(got[:])
}

func TestEveryStatedChecksumMustBeTrue(t *testing.T) {
	dir := t.TempDir()
	raw := rawDisk(1 << 20)
	disk := qcow2Of(t, raw)
	path := write(t, filepath.Join(dir, "disk.qcow2"), disk)
	wrong256, wrong512 := strings.Repeat("0", 64), strings.Repeat("0", 128)
	for _, tt := range []struct {
		name, sha256, sha512, says string
	}{
		{"none", "", "", ""},
		{"a true SHA-512", "", sum512(disk), ""},
		{"both true", sum(disk), sum512(disk), ""},
		{"a false SHA-512", "", wrong512, "but " + wrong512 + " is declared"},
		{"a true SHA-256 beside a false SHA-512", sum(disk), wrong512, "has SHA-512 " + sum512(disk)},
		{"a false SHA-256 beside a true SHA-512", wrong256, sum512(disk), "has SHA-256 " + sum(disk)},
	} {
		for from, spec := range map[string]metal.ImageSpec{"a file": {Source: path}, "an upload": {}} {
			t.Run(tt.name+" of "+from, func(t *testing.T) {
				s := openStore(t, Options{AllowedDirs: []string{dir}})
				spec.SHA256, spec.SHA512 = tt.sha256, tt.sha512
				var err error
				if spec.Source == "" {
					_, err = s.Import(t.Context(), spec, bytes.NewReader(disk), nil)
				} else {
					_, err = s.Import(t.Context(), spec, nil, nil)
				}
				if tt.says == "" {
					if err != nil {
						t.Errorf("got %v; want it imported", err)
					}
					return
				}
				if metal.CodeOf(err) != metal.Invalid || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("got %v; want an invalid error that says %q", err, tt.says)
				}
				if left := files(t, s); len(left) != 0 {
					t.Errorf("got %v left in the store; want nothing", left)
				}
			})
		}
	}
}

func TestContentThatIsKnownByItsSHA256IsStillAskedForItsSHA512(t *testing.T) {
	dir := t.TempDir()
	raw := rawDisk(1 << 20)
	path := write(t, filepath.Join(dir, "disk.raw"), raw)
	s := openStore(t, Options{AllowedDirs: []string{dir}})
	if _, err := s.Import(t.Context(), metal.ImageSpec{Source: path}, nil, nil); err != nil {
		t.Fatal(err)
	}
	spec := metal.ImageSpec{Source: path, SHA256: sum(raw), SHA512: strings.Repeat("0", 128)}
	if _, err := s.Import(t.Context(), spec, nil, nil); metal.CodeOf(err) != metal.Invalid {
		t.Errorf("got %v; want the false SHA-512 refused", err)
	}
}

func TestAnArchiveOfKindRootNeedsNoFormat(t *testing.T) {
	archive := rootArchive(t)
	for _, format := range []string{"", "auto", "tar"} {
		s := openStore(t, Options{})
		got, err := s.Import(t.Context(), metal.ImageSpec{Kind: metal.ImageRoot, Format: format}, bytes.NewReader(archive), nil)
		if err != nil || got.Digest != sum(archive) {
			t.Errorf("format %q: got %+v, %v; want the archive itself", format, got, err)
		}
	}
	s := openStore(t, Options{})
	if _, err := s.Import(t.Context(), metal.ImageSpec{Kind: metal.ImageDisk}, bytes.NewReader(archive), nil); metal.CodeOf(err) != metal.Invalid {
		t.Errorf("as a disk: got %v; want it refused", err)
	}
}

func TestADiskIsNoRoot(t *testing.T) {
	for name, file := range map[string][]byte{"raw": rawDisk(1 << 20), "qcow2": imageOf(t, rawDisk(1<<20), "qcow2"), "packed": tool(t, rawDisk(1<<20), "gzip", "-c")} {
		_, err := openStore(t, Options{}).Import(t.Context(), metal.ImageSpec{Kind: metal.ImageRoot, Format: "auto"}, bytes.NewReader(file), nil)
		if metal.CodeOf(err) != metal.Invalid || !strings.Contains(err.Error(), "declare kind disk") {
			t.Errorf("%s: got %v; want it refused, and what to declare", name, err)
		}
	}
}
