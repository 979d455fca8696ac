package main

import (
	"context"
	"crypto/ed25519"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// wiper has one certificate.
type wiper struct{ *fleet }

func (wiper) key() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)) }

func (w wiper) certificate() metal.EraseCertificate {
	c, err := metal.Certify(metal.EraseRecord{
		ID: "w-1", MachineID: "m-1", Machine: "node-1", Vendor: "QEMU", Serial: "<S1>", Mode: metal.EraseZero, CertifiedAt: at, Allocation: "web",
		Disks: []metal.DiskWiped{{Name: "sda", Model: "DISK", Serial: "D1", Bytes: 1 << 30, Method: "zero", Sampled: 66, Result: metal.WipeVerified, StartedAt: at, EndedAt: at}},
	}, w.key())
	if err != nil {
		panic(err)
	}
	return *c
}

func (w wiper) ListEraseCertificates(_ context.Context, in api.ListEraseCertificatesRequest) (api.List[metal.EraseCertificate], error) {
	if in.Machine == "other" {
		return api.List[metal.EraseCertificate]{}, nil
	}
	return one(w.certificate())
}

func (w wiper) GetEraseCertificate(_ context.Context, in api.ByID) (metal.EraseCertificate, error) {
	if in.ID != "w-1" {
		return metal.EraseCertificate{}, notFound
	}
	return w.certificate(), nil
}

func (w wiper) GetEraseKey(context.Context, api.None) (metal.JWK, error) {
	return metal.NewJWK(w.key().Public().(ed25519.PublicKey)), nil
}

func TestWhatErasuresPrint(t *testing.T) {
	serve(t, wiper{&fleet{}})
	shown := "certificate:  w-1\nmachine:      node-1 (m-1)\nchassis:      QEMU, <S1>\nclaim:        web\nmode:         zero\ncertified:    2026-01-02 03:04:05\n" +
		"disk sda:     DISK, D1, 1.0 GiB, zero: verified (0 of 66 blocks read back held data)\n"
	for line, want := range map[string]string{
		"erasures list":                 "ID   MACHINE  MODE  DISKS  RESULT    CERTIFIED\nw-1  node-1   zero      1  verified  2026-01-02 03:04:05\n",
		"erasures list --machine other": "ID  MACHINE  MODE  DISKS  RESULT  CERTIFIED\n",
		"erasures show w-1":             shown,
	} {
		if code, out, errOut := metalctl(t, line); code != 0 || errOut != "" || out != want {
			t.Errorf("%s: got exit code %d, %s\n%s\nwant\n%s", line, code, errOut, out, want)
		}
	}
	_, page, _ := metalctl(t, "erasures show w-1 --page")
	for _, part := range []string{"<title>Erase certificate w-1</title>", "&lt;S1&gt;", "<td>zero<td>verified", "&#34;signature&#34;", "&#34;kty&#34;: &#34;OKP&#34;"} {
		if !strings.Contains(page, part) {
			t.Errorf("the page lacks %q:\n%s", part, page)
		}
	}
}

func TestACertificateIsCheckedWithoutTheServer(t *testing.T) {
	serve(t, wiper{&fleet{}})
	dir := t.TempDir()
	save := func(name, line string) string {
		t.Helper()
		code, out, errOut := metalctl(t, line)
		if code != 0 {
			t.Fatalf("%s: exit code %d, %s", line, code, errOut)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(out), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file, key := save("certificate", "erasures show w-1 -o json"), save("key", "erasures key")
	t.Setenv("METAL_URL", "https://127.0.0.1:1")
	code, out, errOut := metalctl(t, "erasures verify "+file+" --key "+key)
	if code != 0 || !strings.Contains(out, "machine:      node-1 (m-1)") {
		t.Errorf("got exit code %d, %s%s; want the record", code, out, errOut)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	// What stands beside the signature is changed: what is printed is what was signed.
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), `"node-1"`, `"node-2"`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, out, _ := metalctl(t, "erasures verify "+file+" --key "+key); !strings.Contains(out, "node-1") {
		t.Errorf("got %s; want the machine that was signed", out)
	}
	for line, want := range map[string]string{
		"erasures verify " + key + " --key " + key:                        "header cannot be read",
		"erasures verify " + file + " --key " + file:                      "not an Ed25519 public key",
		"erasures verify " + file:                                         `required flag(s) "key" not set`,
		"erasures verify " + filepath.Join(dir, "none") + " --key " + key: "no such file",
		"erasures show w-2":                                               "not",
	} {
		if code, _, errOut := metalctl(t, line); code == 0 || !strings.Contains(errOut, want) {
			t.Errorf("%s: got exit code %d, %q; want a refusal with %q", line, code, errOut, want)
		}
	}
}
