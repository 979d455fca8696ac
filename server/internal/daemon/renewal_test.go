package daemon

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestTheCertificateIsRenewedWhileTheServerRuns(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	r, _, err := newRenewal(&Config{DataDir: t.TempDir(), API: &API{}}, func() []string { return []string{"metald.test"} }, func() time.Time { return now }, quiet(t))
	if err != nil {
		t.Fatal(err)
	}
	first := shown(t, r)
	now = now.AddDate(0, 0, serverDays-renewDays-1)
	if got := shown(t, r); got != first {
		t.Error("it was renewed long before it ends")
	}
	now = now.AddDate(0, 0, 2)
	second := shown(t, r)
	if second == first {
		t.Fatal("it was not renewed a month before it ends")
	}
	leaf, err := x509.ParseCertificate([]byte(second))
	if err != nil || leaf.VerifyHostname("metald.test") != nil || !leaf.NotAfter.After(now.AddDate(1, 0, 0)) {
		t.Errorf("the new one: got %v until %v, %v", leaf.DNSNames, leaf.NotAfter, err)
	}
}

func TestTheUsersCertificateIsReadAgainWhenItChanges(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	dir := t.TempDir()
	c := &Config{DataDir: dir, API: &API{}}
	write := func(changed time.Time) {
		t.Helper()
		own := &Config{DataDir: filepath.Join(dir, "own"), API: &API{}}
		if err := os.MkdirAll(own.DataDir, 0o700); err != nil {
			t.Fatal(err)
		}
		pair, _, err := certificates(own, []string{"metald.test"}, now)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		for path, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, "key.pem": {Type: "PRIVATE KEY", Bytes: der}} {
			path = filepath.Join(dir, path)
			if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, changed, changed); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(now)
	c.API.Cert, c.API.Key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	r, _, err := newRenewal(c, func() []string { return nil }, func() time.Time { return now }, quiet(t))
	if err != nil {
		t.Fatal(err)
	}
	first := shown(t, r)
	write(now.Add(time.Hour))
	if shown(t, r) != first {
		t.Error("it was looked at again within the minute")
	}
	now = now.Add(2 * checkCertificate)
	second := shown(t, r)
	if second == first {
		t.Error("the new files were not read")
	}
	if err := os.WriteFile(c.API.Cert, []byte("half written"), 0o600); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * checkCertificate)
	if shown(t, r) != second {
		t.Error("a damaged file took the place of a good certificate")
	}
}

func shown(t *testing.T, r *renewal) string {
	t.Helper()
	pair, err := r.certificate(&tls.ClientHelloInfo{})
	if err != nil {
		t.Fatal(err)
	}
	return string(pair.Certificate[0])
}
