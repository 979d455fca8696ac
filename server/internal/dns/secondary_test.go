package dns

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/udp"
	"github.com/metalform/terraform-provider-metal/server/internal/zone"
)

// testKeys are keys by name, of hmac-sha256 unless the name tells another.
type testKeys map[string]string

func (k testKeys) Key(name string) (string, []byte, bool) {
	secret, ok := k[name]
	algorithm := "hmac-sha256"
	for _, other := range []string{"hmac-sha384", "hmac-sha512", "hmac-md5"} {
		if name == other {
			algorithm = other
		}
	}
	return algorithm, []byte(secret), ok
}

const xferSecret = "sixteen bytes or so, and some more"

var xferKeys = testKeys{"xfer": xferSecret, "hmac-sha384": xferSecret, "hmac-sha512": xferSecret, "hmac-md5": xferSecret}

func encoded(secret string) string { return base64.StdEncoding.EncodeToString([]byte(secret)) }

// output is a log that can be read while it is written.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// serveWith runs a server as serve does, with a log.
func serveWith(t testing.TB, zones Zones, config Config) (*Server, netip.AddrPort, *output) {
	t.Helper()
	listener, conn := bind(t)
	said := new(output)
	server := New([]*udp.Conn{conn}, []net.Listener{listener}, zones, labSelf, config, slog.New(slog.NewTextHandler(said, &slog.HandlerOptions{Level: slog.LevelDebug})))
	runUntilEnd(t, server.Run)
	return server, conn.LocalAddr(), said
}

// runUntilEnd runs a service until the test ends.
func runUntilEnd(t testing.TB, service func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- service(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run of a service that was stopped: got %v; want nil", err)
			}
		case <-time.After(patience):
			t.Error("Run did not return")
		}
	})
}

// until waits for something that happens elsewhere.
func until(t testing.TB, what string, holds func() bool, detail func() string) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited for this in vain: %s\n%s", what, detail())
		}
	}
}

// peer finds a program among the unpacked ones, or on PATH.
func peer(t testing.TB, program string) *exec.Cmd {
	t.Helper()
	root := os.Getenv("METAL_PEERS")
	if root == "" {
		root = filepath.Join("..", "..", "..", ".cache", "peers")
	}
	root, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"usr/sbin", "usr/bin"} {
		if path := filepath.Join(root, dir, program); exists(path) {
			cmd := exec.Command(path)
			cmd.Env = append(os.Environ(), fmt.Sprintf("LD_LIBRARY_PATH=%[1]s/usr/lib/x86_64-linux-gnu:%[1]s/usr/lib:%[1]s/lib/x86_64-linux-gnu", root))
			return cmd
		}
	}
	if path, err := exec.LookPath(program); err == nil {
		return exec.Command(path)
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("this test needs %s", program)
	}
	t.Skipf("this test needs %s", program)
	return nil
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

// background runs a program until the test ends, and returns what it prints.
func background(t testing.TB, cmd *exec.Cmd, arguments ...string) *output {
	t.Helper()
	cmd.Args = append(cmd.Args, arguments...)
	said := new(output)
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return said
}

// freePort returns a port of loopback that nothing has by UDP nor TCP.
func freePort(t testing.TB) uint16 {
	listener, conn := bind(t)
	defer listener.Close()
	defer conn.Close()
	return conn.LocalAddr().Port()
}

// secondaries are configurations of other servers: their directory, port, the primary's port, and the secret.
var secondaries = []struct{ program, arguments, config string }{
	{"named", "-g -n 1 -c %s", `
		options { directory "%[1]s"; listen-on port %[2]d { 127.0.0.1; }; listen-on-v6 { none; }; pid-file "%[1]s/pid";
			recursion no; dnssec-validation no; notify no; allow-transfer { none; }; minimal-responses yes; };
		controls { };
		key "xfer" { algorithm hmac-sha256; secret "%[4]s"; };
		zone "rich.test" { type secondary; primaries port %[3]d { 127.0.0.1 key "xfer"; }; file "%[1]s/zone"; allow-notify { key "xfer"; }; };`},
	{"nsd", "-d -c %s", `
server:
	ip-address: 127.0.0.1@%[2]d
	zonesdir: "%[1]s"
	database: ""
	username: ""
	chroot: ""
	pidfile: "%[1]s/pid"
	xfrdfile: "%[1]s/xfrd"
	xfrdir: "%[1]s"
	zonelistfile: "%[1]s/zones"
	server-count: 1
remote-control:
	control-enable: no
key:
	name: "xfer"
	algorithm: hmac-sha256
	secret: "%[4]s"
zone:
	name: "rich.test"
	zonefile: "zone"
	request-xfr: 127.0.0.1@%[3]d xfer
	allow-notify: 127.0.0.1 xfer
`},
	{"knotd", "-c %s", `
server:
  rundir: "%[1]s"
  listen: 127.0.0.1@%[2]d
log:
  - target: stdout
    any: info
database:
  storage: "%[1]s"
key:
  - id: xfer
    algorithm: hmac-sha256
    secret: %[4]s
remote:
  - id: primary
    address: 127.0.0.1@%[3]d
    key: xfer
acl:
  - id: notified
    key: xfer
    action: notify
zone:
  - domain: rich.test
    storage: "%[1]s"
    master: primary
    acl: notified
`},
}

func TestPeersCopyAZoneAndEachChangeOfIt(t *testing.T) {
	for _, s := range secondaries {
		t.Run(s.program, func(t *testing.T) {
			t.Parallel()
			cmd := peer(t, s.program)
			port, dir := freePort(t), t.TempDir()
			secondary := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)
			zones := rack(t)
			zones.Change(func(b *zone.Batch) {
				b.SetZone(metal.Zone{Name: "rich.test", Spec: metal.ZoneSpec{Transfer: metal.TransferSpec{
					Networks: loopback, Keys: []string{"xfer"}, Notify: []string{secondary.String()},
				}}})
			})
			server, primary, said := serveWith(t, zones, Config{Keys: xferKeys})
			config := filepath.Join(dir, "conf")
			if err := os.WriteFile(config, fmt.Appendf(nil, s.config, dir, port, primary.Port(), encoded(xferSecret)), 0o600); err != nil {
				t.Fatal(err)
			}
			console := background(t, cmd, strings.Fields(fmt.Sprintf(s.arguments, config))...)
			runUntilEnd(t, NewNotifier(zones, xferKeys, []netip.Addr{primary.Addr()}, slog.New(slog.NewTextHandler(said, nil))).Run)

			answers := func(question, want string) func() bool {
				return func() bool {
					client := &dns.Client{Timeout: time.Second}
					m, _, err := client.Exchange(query(t, question), secondary.String())
					return err == nil && strings.Contains(fmt.Sprint(m.Answer), want)
				}
			}
			detail := func() string { return console.String() + "\n" + said.String() }
			until(t, "the whole zone", answers("mail.rich.test. A", "192.0.2.25"), detail)
			for _, question := range []string{"_ldap._tcp.rich.test. SRV", "key.rich.test. SSHFP", "x.wild.rich.test. TXT", "rich.test. CAA"} {
				until(t, question, answers(question, strings.Fields(question)[0]), detail)
			}
			for i := 30; i < 33; i++ {
				value := fmt.Sprintf("192.0.2.%d", i)
				zones.Change(func(b *zone.Batch) {
					b.SetRecordSet(metal.RecordSet{Zone: "rich.test", Name: "mail", Type: "A", Spec: metal.RecordSetSpec{Values: []string{value}}})
				})
				until(t, "the change", answers("mail.rich.test. A", value), detail)
			}
			log := said.String()
			for _, want := range []string{"type=AXFR", "type=IXFR", "key=xfer"} {
				if !strings.Contains(log, want) {
					t.Errorf("the log has no %q:\n%s", want, log)
				}
			}
			if strings.Contains(log, xferSecret) || strings.Contains(log, encoded(xferSecret)) {
				t.Error("the log has the secret in it")
			}
			if n := server.Stats().Transfers; n < 2 {
				t.Errorf("got %d transfers counted; want 2 or more", n)
			}
		})
	}
}
