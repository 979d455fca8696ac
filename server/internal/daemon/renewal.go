package daemon

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"os"
	"sync"
	"time"
)

// checkCertificate is how often, at most, a connection makes the server look whether its certificate is still the one
// to show.
const checkCertificate = time.Minute

// renewal keeps the API's certificate good for as long as the server runs: its own is made anew a month before it
// ends, and for the names of that day; the user's files are read again when they change.
type renewal struct {
	cfg   *Config
	names func() []string
	now   func() time.Time
	log   *slog.Logger

	mu      sync.Mutex
	pair    *tls.Certificate
	leaf    *x509.Certificate
	checked time.Time
	files   [2]time.Time // when the user's files were last changed
}

// newRenewal returns the first certificate's keeper, and the authority that clients need to trust it.
func newRenewal(cfg *Config, names func() []string, now func() time.Time, log *slog.Logger) (*renewal, []byte, error) {
	r := &renewal{cfg: cfg, names: names, now: now, log: log, files: modified(cfg)}
	authority, err := r.load()
	return r, authority, err
}

func (r *renewal) load() ([]byte, error) {
	pair, authority, err := certificates(r.cfg, r.names(), r.now())
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return nil, err
	}
	r.pair, r.leaf, r.checked = &pair, leaf, r.now()
	return authority, nil
}

// certificate is tls.Config's GetCertificate. Where a new one cannot be had, the old one is shown for as long as
// clients take it.
func (r *renewal) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if now.Sub(r.checked) < checkCertificate {
		return r.pair, nil
	}
	r.checked = now
	files := modified(r.cfg)
	if due := r.cfg.API.Cert == "" && now.AddDate(0, 0, renewDays).After(r.leaf.NotAfter); !due && files == r.files {
		return r.pair, nil
	}
	if _, err := r.load(); err != nil {
		r.log.Error("renew the API's certificate", "ends", r.leaf.NotAfter, "error", err)
		return r.pair, nil
	}
	r.files = files
	r.log.Info("renewed the API's certificate", "ends", r.leaf.NotAfter)
	return r.pair, nil
}

// modified tells when the user's certificate and key were last changed; zero for those of our own.
func modified(c *Config) (at [2]time.Time) {
	for i, path := range []string{c.API.Cert, c.API.Key} {
		if info, err := os.Stat(path); path != "" && err == nil {
			at[i] = info.ModTime()
		}
	}
	return at
}
