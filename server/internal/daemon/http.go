package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agentapi"
	"github.com/metalform/terraform-provider-metal/server/internal/boot"
	"github.com/metalform/terraform-provider-metal/server/internal/httpapi"
	"github.com/metalform/terraform-provider-metal/server/internal/metadata"
)

const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
	drain         = 5 * time.Second // long polls are cut then; clients ask again
)

// openAPI opens the API.
func (d *Daemon) openAPI(ctx context.Context) error {
	if err := d.firstToken(ctx); err != nil {
		return err
	}
	certificate, ca, err := newRenewal(d.cfg, d.certificateNames, time.Now, d.log)
	if err != nil {
		return err
	}
	handler := httpapi.New(d.fleet, d.fleet, httpapi.Info{CA: ca, Metrics: d.metrics()}, d.log)
	secure := tls.NewListener(d.api, &tls.Config{GetCertificate: certificate.certificate, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}})
	d.add("api", "https://"+d.api.Addr().String(), serveHTTP(secure, handler, d.log))
	return nil
}

// certificateNames are what the API may be called by.
func (d *Daemon) certificateNames() []string {
	names := append([]string{"localhost", "127.0.0.1", "::1", d.ours.Addr().String()}, d.cfg.API.Names...)
	if host, err := os.Hostname(); err == nil {
		names = append(names, host)
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return names
	}
	for _, a := range addrs {
		if ip, ok := a.(*net.IPNet); ok && !ip.IP.IsLinkLocalUnicast() {
			names = append(names, ip.IP.String())
		}
	}
	return names
}

// listen opens the ports of both HTTP servers: the engine must know its URL before anything is served.
func (d *Daemon) listen(ctx context.Context) (err error) {
	if d.api, err = listenTCP(ctx, d.cfg.API.Listen, "the API", "api.listen"); err != nil {
		return err
	}
	d.closers = append(d.closers, d.api.Close)
	if d.boot, err = listenTCP(ctx, d.cfg.Boot.Listen, "the boot server", "boot.listen"); err != nil {
		return err
	}
	d.closers = append(d.closers, d.boot.Close)
	return nil
}

// serveBoot puts the boot server together.
func (d *Daemon) serveBoot(files boot.Files) {
	mux := http.NewServeMux()
	mux.Handle("/boot/", boot.NewHandler(bootFacts{d.db, d.engine, d.cfg.Boot.KernelParameters}, installers{d.fleet, d.bootFiles}, files, d.bootURLOf, d.log))
	mux.Handle("/agent/v1/", agentapi.NewHandler(agents{d.engine, d.fleet}, d.images, d.log))
	mux.HandleFunc("POST /phone-home/{operation}/{token}", phoneHome(d.engine))
	mux.HandleFunc("POST /phone-home/{operation}/{token}"+metadata.FirstBootPath, firstBoot(d.engine))
	d.add("boot", d.bootURL(), serveHTTP(d.boot, mux, d.log))
}

// listenTCP opens a port; that it is taken is an error that says so.
func listenTCP(ctx context.Context, addr, what, setting string) (net.Listener, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, metal.Errorf(metal.Conflict, "cannot listen on %s for %s: stop what has the port (ss -tlnp tells), or set %s: %w", addr, what, setting, err)
	}
	return ln, nil
}

// serveHTTP serves until ctx ends, then lets requests finish for a moment.
func serveHTTP(ln net.Listener, handler http.Handler, log *slog.Logger) func(context.Context) error {
	return func(ctx context.Context) error {
		s := &http.Server{
			Handler: handler, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout,
			BaseContext: func(net.Listener) context.Context { return ctx },
			ErrorLog:    slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		}
		stopped := make(chan error, 1)
		stop := context.AfterFunc(ctx, func() {
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
			defer cancel()
			err := s.Shutdown(last)
			if errors.Is(err, context.DeadlineExceeded) {
				err = s.Close()
			}
			stopped <- err
		})
		err := s.Serve(ln)
		if stop() { // ctx has not ended: Serve failed by itself
			return fmt.Errorf("serve on %s: %w", ln.Addr(), err)
		}
		return <-stopped
	}
}
