package daemon

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const (
	authorityYears = 10
	serverDays     = 397 // what browsers accept at most
	renewDays      = 30
)

// certificates returns the server's certificate and the authority that clients need to trust it. The user's own
// files are taken as they are. Otherwise an authority is made at first start and kept; the server's certificate is
// made anew at every start and renewed while it runs, for the names and addresses it has then.
func certificates(c *Config, names []string, now time.Time) (tls.Certificate, []byte, error) {
	if c.API.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.API.Cert, c.API.Key)
		if err != nil {
			return pair, nil, fmt.Errorf("load the API's certificate: %w", err)
		}
		return pair, nil, nil
	}
	authority, key, text, err := loadAuthority(c.DataDir, now)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	pair, err := issue(authority, key, names, now)
	return pair, text, err
}

func loadAuthority(dir string, now time.Time) (*x509.Certificate, crypto.Signer, []byte, error) {
	certPath, keyPath := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca.key")
	certText, err := os.ReadFile(certPath)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeAuthority(certPath, keyPath, now); err != nil {
			return nil, nil, nil, err
		}
		certText, err = os.ReadFile(certPath)
	}
	if err != nil {
		return nil, nil, nil, fmt.Errorf("read the certificate authority: %w", err)
	}
	keyText, err := os.ReadFile(keyPath)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("read the key of the certificate authority: %w", err)
	}
	pair, err := tls.X509KeyPair(certText, keyText)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("the certificate authority in %s: %w", dir, err)
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, nil, nil, fmt.Errorf("the key in %s cannot sign", keyPath)
	}
	if now.AddDate(0, 0, renewDays).After(pair.Leaf.NotAfter) {
		return nil, nil, nil, fmt.Errorf("the certificate authority in %s ends on %s: remove ca.pem and ca.key to have a new one made, and give clients the new ca.pem", dir, pair.Leaf.NotAfter.Format(time.DateOnly))
	}
	return pair.Leaf, signer, certText, nil
}

// makeAuthority writes the key first: a crash between the two leaves a key that the next start overwrites.
func makeAuthority(certPath, keyPath string, now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "metald on " + host, Organization: []string{"Metalform"}},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(authorityYears, 0, 0), IsCA: true, BasicConstraintsValid: true,
		MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return fmt.Errorf("make a certificate authority: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.WriteFile(keyPath, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600); err != nil {
		return fmt.Errorf("keep the key of the certificate authority: %w", err)
	}
	if err := os.WriteFile(certPath, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		return fmt.Errorf("keep the certificate authority: %w", err)
	}
	return nil
}

// issue makes the server's certificate, which lives in memory only.
func issue(authority *x509.Certificate, signer crypto.Signer, names []string, now time.Time) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "metald"}, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(0, 0, serverDays),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if template.NotAfter.After(authority.NotAfter) {
		template.NotAfter = authority.NotAfter
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else if n != "" {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, authority, key.Public(), signer)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make the API's certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der, bytes.Clone(authority.Raw)}, PrivateKey: key}, nil
}

func serial() *big.Int {
	raw := make([]byte, 16)
	rand.Read(raw)
	raw[0] &= 0x7f // RFC 5280, 4.1.2.2: positive
	return new(big.Int).SetBytes(raw)
}
