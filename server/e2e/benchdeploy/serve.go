package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/testnet"
)

const (
	machines = 8  // that read at once
	bootRuns = 16 // kernels and initramfs each of them fetches
	fanRuns  = 3  // images each of them reads
	tftpRuns = 20 // files that are fetched one after the other
	webPort  = 8080
	tftpPort = 6969
)

// nginx as its documentation says for static files: sendfile, no log. One worker, as it has one core.
const nginxConfig = `daemon off; user root; worker_processes 1; pid %[1]s/nginx.pid; error_log %[1]s/error.log;
events { worker_connections 256; }
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
  client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi;
  uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
  server { listen %[2]d; root %[3]s; }
}
`

// curls are scripts that read a URL with so many curls at once, each as often as runs says over one connection.
func curls(count, runs int, header, url string) string {
	return fmt.Sprintf(`for i in $(seq %d); do curl -fsS %s -o /dev/null "%s?run=[1-%d]" & done; wait`, count, header, url, runs)
}

func (b *bench) fanout(ctx context.Context) error {
	size := machines * fanRuns * b.image.StoredBytes
	return b.withNginx(ctx, filepath.Dir(b.stored()), func(url string) error {
		auth, err := b.login(ctx)
		if err != nil {
			return err
		}
		return b.compare("fanout-8", "MiB/s",
			b.rate(ctx, size, curls(machines, fanRuns, auth, b.imageURL())),
			b.rate(ctx, size, curls(machines, fanRuns, auth, url+"/"+filepath.Base(b.stored()))))
	})
}

func (b *bench) httpBoot(ctx context.Context) error {
	size := int64(0)
	for _, path := range []string{b.kernel(), b.initrd()} {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		size += machines * bootRuns * info.Size()
	}
	both := func(base string) string {
		return curls(machines, bootRuns, "", base+"/amd64/kernel") + "; " + curls(machines, bootRuns, "", base+"/amd64/initramfs")
	}
	return b.withNginx(ctx, filepath.Dir(filepath.Dir(b.kernel())), func(url string) error {
		return b.compare("http-boot", "MiB/s", b.rate(ctx, size, both(b.bootURL()+"/boot/env")), b.rate(ctx, size, both(url)))
	})
}

// withNginx runs nginx on a directory while f runs.
func (b *bench) withNginx(ctx context.Context, root string, f func(url string) error) error {
	dir, err := os.MkdirTemp(b.dir, "nginx-")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, fmt.Appendf(nil, nginxConfig, dir, webPort, root), 0o600); err != nil {
		return err
	}
	address := net.JoinHostPort(b.net.Server.Addr.String(), fmt.Sprint(webPort))
	return b.withPeer(ctx, "nginx", []string{"-p", dir, "-e", filepath.Join(dir, "error.log"), "-c", path}, "curl -sS -o /dev/null http://"+address,
		func() error { return f("http://" + address) })
}

func (b *bench) tftp(ctx context.Context) error {
	get := func(port int) string {
		return fmt.Sprintf("curl -fsS --tftp-blksize 1468 -o /dev/null tftp://%s:%d/%s", b.net.Server.Addr, port, loaderName)
	}
	many := func(port int) string {
		return fmt.Sprintf("for i in $(seq %d); do %s || exit 1; done", tftpRuns, get(port))
	}
	const size = tftpRuns * bootBytes
	address := fmt.Sprintf("0.0.0.0:%d", tftpPort)
	args := []string{"-L", "--ipv4", "-a", address, "-u", "root", "-s", filepath.Dir(b.loader())}
	// A request that comes before the server listens is lost, and curl is patient.
	return b.withPeer(ctx, "in.tftpd", args, get(tftpPort)+" --max-time 2", func() error {
		return b.compare("tftp", "MiB/s", b.rate(ctx, size, many(69)), b.rate(ctx, size, many(tftpPort)))
	})
}

// withPeer runs a peer on the server's side while f runs, once the probe succeeds on the clients' side.
func (b *bench) withPeer(ctx context.Context, name string, args []string, probe string, f func() error) error {
	path, err := b.peers.Find(name)
	if err != nil {
		return err
	}
	process, err := b.net.Server.Start(testnet.Program{Path: path, Args: args, Env: b.peers.Env(), Log: filepath.Join(b.dir, name+".log")})
	if err != nil {
		return err
	}
	up, cancel := context.WithTimeout(ctx, upTime)
	defer cancel()
	err = process.Await(up, func(ctx context.Context) bool {
		_, err := b.shell(ctx, probe+" 2>/dev/null")
		return err == nil
	})
	if err == nil {
		err = f()
	}
	return errors.Join(err, process.Stop())
}
