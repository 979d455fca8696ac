package daemon

import (
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func quiet(t *testing.T) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

func TestTheAuthorityStaysAndTheCertificateIsForTheNamesOfToday(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	c := &Config{DataDir: t.TempDir(), API: &API{}}
	_, first, err := certificates(c, []string{"metald.test"}, now)
	if err != nil {
		t.Fatal(err)
	}
	later := now.AddDate(9, 0, 0)
	pair, second, err := certificates(c, []string{"other.test", "192.0.2.1", "2001:db8::1", ""}, later)
	if err != nil {
		t.Fatal(err)
	}
	if string(first) != string(second) {
		t.Error("the authority changed: clients do not trust the new one")
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(first) {
		t.Fatal("the authority is no certificate")
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"other.test", "192.0.2.1", "2001:db8::1"} {
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: later}); err != nil {
			t.Errorf("as %s: got %v", name, err)
		}
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "metald.test", CurrentTime: later}); err == nil {
		t.Error("it is good for a name of before")
	}
	if end := later.AddDate(0, 0, serverDays); leaf.NotAfter.After(end) {
		t.Errorf("it ends on %s; want %s at the latest", leaf.NotAfter, end)
	}
	info, err := os.Stat(filepath.Join(c.DataDir, "ca.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the key: got %v, %v; want 0600", info.Mode(), err)
	}
}

func TestAnAuthorityThatEndsOrIsDamagedIsToldOf(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	c := &Config{DataDir: t.TempDir(), API: &API{}}
	if _, _, err := certificates(c, nil, now); err != nil {
		t.Fatal(err)
	}
	if _, _, err := certificates(c, nil, now.AddDate(authorityYears, 0, -5)); err == nil || !strings.Contains(err.Error(), "remove ca.pem and ca.key") {
		t.Errorf("days before it ends: got %v; want what to do", err)
	}
	if err := os.WriteFile(filepath.Join(c.DataDir, "ca.key"), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := certificates(c, nil, now); err == nil || !strings.Contains(err.Error(), "the certificate authority in "+c.DataDir) {
		t.Errorf("with a damaged key: got %v; want where it is", err)
	}
}

func TestACrashBetweenKeyAndCertificateDoesNoHarm(t *testing.T) {
	c := &Config{DataDir: t.TempDir(), API: &API{}}
	if err := os.WriteFile(filepath.Join(c.DataDir, "ca.key"), []byte("left behind"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := certificates(c, nil, time.Now()); err != nil {
		t.Errorf("got %v; want a new authority", err)
	}
}
