package tftp_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/tftp"
	"github.com/metalform/terraform-provider-metal/server/internal/udp"
)

// patience bounds every wait; no test passes or fails by how fast it was within it.
const patience = 60 * time.Second

// fixture is a server with some files, on a port of its own.
type fixture struct {
	addr  netip.AddrPort
	files map[string][]byte
	log   *record
	stop  func() error
}

// serve starts a server for files. Beyond them, "broken" fails after 5000 bytes, "forbidden" and "faulty" are not
// opened, and "endless" never ends.
func serve(t testing.TB, network, listen string, files map[string][]byte) *fixture {
	t.Helper()
	conn, err := udp.Listen(t.Context(), network, listen, "")
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{addr: conn.LocalAddr(), files: files, log: &record{}}
	server := tftp.New(conn.Socket(), f.open, slog.New(slog.NewTextHandler(f.log, nil)))
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- server.Run(ctx) }()
	f.stop = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-result:
			return err
		case <-time.After(patience):
			return errors.New("Run did not return")
		}
	})
	t.Cleanup(func() {
		if err := f.stop(); err != nil {
			t.Errorf("Run of a server that was stopped: got %v; want nil", err)
		}
	})
	return f
}

func (f *fixture) open(_ context.Context, name string, from netip.Addr) (io.ReadCloser, int64, error) {
	switch name {
	case "broken":
		return io.NopCloser(io.MultiReader(bytes.NewReader(make([]byte, 5000)), failing{})), -1, nil
	case "endless":
		return io.NopCloser(zeros{}), -1, nil
	case "forbidden":
		return nil, 0, metal.Errorf(metal.Forbidden, "%s may not have it", from)
	case "faulty":
		return nil, 0, errors.New("disk on fire at 10.9.8.7")
	}
	content, ok := f.files[name]
	if !ok {
		return nil, 0, metal.Errorf(metal.NotFound, "no file %q", name)
	}
	return io.NopCloser(bytes.NewReader(content)), int64(len(content)), nil
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("disk on fire at 10.9.8.7") }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// record keeps the log.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// random is content that tells a lost, doubled or swapped block.
func random(size int) []byte {
	source := rand.New(rand.NewPCG(1, uint64(size)))
	content := make([]byte, size)
	for i := range content {
		content[i] = byte(source.Uint32())
	}
	return content
}

// enough is what a client sends that goes away; without it the server waits for an acknowledgement for six seconds.
const enough = "\x00\x05\x00\x00enough\x00"

// dial opens a client socket that hears every port of the server, as TFTP needs.
func dial(t testing.TB) *net.UDPConn {
	t.Helper()
	client, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	client.SetDeadline(time.Now().Add(patience))
	return client
}

// exchange sends a packet, given as text, and returns the first answer as text.
func exchange(t testing.TB, client *net.UDPConn, to netip.AddrPort, packet string) (answer string, from netip.AddrPort) {
	t.Helper()
	if _, err := client.WriteToUDPAddrPort([]byte(packet), to); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 65536)
	n, from, err := client.ReadFromUDPAddrPort(buffer)
	if err != nil {
		t.Fatal(err)
	}
	return string(buffer[:n]), from
}

func TestFirstAnswers(t *testing.T) {
	f := serve(t, "udp4", "127.0.0.1:0", map[string][]byte{
		"small": []byte("hello"), "empty": {}, "grub/grub.cfg": []byte("set timeout=0\n"), "big": random(100_000),
	})
	cases := []struct{ name, request, want string }{
		{"a file within one block", "\x00\x01small\x00octet\x00", "\x00\x03\x00\x01hello"},
		{"an empty file", "\x00\x01empty\x00octet\x00", "\x00\x03\x00\x01"},
		{"a name in backslashes", "\x00\x01\\grub\\grub.cfg\x00octet\x00", "\x00\x03\x00\x01set timeout=0\n"},
		{"a text file in netascii has its line ends changed", "\x00\x01grub/grub.cfg\x00netascii\x00", "\x00\x03\x00\x01set timeout=0\r\n"},
		{"the size is told", "\x00\x01big\x00octet\x00tsize\x000\x00", "\x00\x06tsize\x00100000\x00"},
		{"a block size is taken", "\x00\x01big\x00octet\x00blksize\x001024\x00", "\x00\x06blksize\x001024\x00"},
		{"one that would be fragmented is made smaller", "\x00\x01big\x00octet\x00blksize\x008192\x00", "\x00\x06blksize\x001468\x00"},
		{"one below 512 is not taken, so there is nothing to acknowledge", "\x00\x01small\x00octet\x00blksize\x008\x00", "\x00\x03\x00\x01hello"},
		{"unknown options are passed over", "\x00\x01small\x00octet\x00windowsize\x0016\x00multicast\x00\x00", "\x00\x03\x00\x01hello"},
		{"a file that is not there", "\x00\x01nosuch\x00octet\x00", "\x00\x05\x00\x01no file \"nosuch\"\x00"},
		{"a name that leaves the root", "\x00\x01../etc/passwd\x00octet\x00", "\x00\x05\x00\x00file name \"../etc/passwd\" leaves what is served\x00"},
		{"a file this client may not have", "\x00\x01forbidden\x00octet\x00", "\x00\x05\x00\x00127.0.0.1 may not have it\x00"},
		{"a fault of the server, which keeps its details", "\x00\x01faulty\x00octet\x00", "\x00\x05\x00\x00internal error of the server\x00"},
		{"a write", "\x00\x02upload\x00octet\x00", "\x00\x05\x00\x02this server takes no files\x00"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			client := dial(t)
			answer, from := exchange(t, client, f.addr, c.request)
			if answer != c.want {
				t.Errorf("got %q; want %q", answer, c.want)
			}
			client.WriteToUDPAddrPort([]byte(enough), from)
		})
	}
}

func TestWhatIsNoRequestIsSurvived(t *testing.T) {
	f := serve(t, "udp4", "127.0.0.1:0", map[string][]byte{"small": []byte("hello")})
	client := dial(t)
	for _, garbage := range []string{
		"", "\x00", "\x00\x01", "\x00\x01\x00\x00", "\x00\x01noend", "\x00\x03\x00\x01data", "\x00\x04\x00\x01", "\x00\x05\x00\x00\x00",
		"\x00\x06\x00\x00\x00\x00", "\xff\xff\xff\xff", "\x00\x01a\x00octet\x00blksize", strings.Repeat("\x00", 600), "\x00\x01" + strings.Repeat("x", 2000),
	} {
		client.WriteToUDPAddrPort([]byte(garbage), f.addr)
	}
	other := dial(t) // garbage may have been answered to the first
	answer, from := exchange(t, other, f.addr, "\x00\x01small\x00octet\x00")
	if answer != "\x00\x03\x00\x01hello" {
		t.Errorf("got %q; want the file", answer)
	}
	other.WriteToUDPAddrPort([]byte(enough), from)
}

func TestAnAnswerComesFromTheAddressThatWasAsked(t *testing.T) {
	f := serve(t, "udp4", "0.0.0.0:0", map[string][]byte{"small": []byte("hello")})
	asked := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.66"), f.addr.Port())
	for _, request := range []string{"\x00\x01small\x00octet\x00", "\x00\x01forbidden\x00octet\x00", "\x00\x01nosuch\x00octet\x00"} {
		client := dial(t)
		_, from := exchange(t, client, asked, request)
		if from.Addr() != asked.Addr() {
			t.Errorf("%q: got an answer from %s; want %s", request, from.Addr(), asked.Addr())
		}
		client.WriteToUDPAddrPort([]byte(enough), from)
	}
}

func TestAFileThatCannotBeReadToItsEndEndsInAnErrorWithoutDetails(t *testing.T) {
	f := serve(t, "udp4", "127.0.0.1:0", nil)
	client := dial(t)
	answer, from := exchange(t, client, f.addr, "\x00\x01broken\x00octet\x00")
	for strings.HasPrefix(answer, "\x00\x03") {
		answer, from = exchange(t, client, from, "\x00\x04"+answer[2:4])
	}
	if want := "\x00\x05\x00\x01the server cannot read the file\x00"; answer != want {
		t.Errorf("got %q; want %q", answer, want)
	}
	f.stop()
	if log := f.log.String(); !strings.Contains(log, "disk on fire") || !strings.Contains(log, "bytes=5000") {
		t.Errorf("the log does not tell the cause and the bytes:\n%s", log)
	}
}

func TestStoppingEndsATransfer(t *testing.T) {
	f := serve(t, "udp4", "127.0.0.1:0", nil)
	client := dial(t)
	answer, from := exchange(t, client, f.addr, "\x00\x01endless\x00octet\x00")
	stopped := make(chan error, 1)
	go func() { stopped <- f.stop() }()
	for strings.HasPrefix(answer, "\x00\x03") {
		answer, from = exchange(t, client, from, "\x00\x04"+answer[2:4])
	}
	if want := "\x00\x05\x00\x01transfer stopped by the server\x00"; answer != want {
		t.Errorf("got %q; want %q", answer, want)
	}
	if err := <-stopped; err != nil {
		t.Errorf("got %v; want nil", err)
	}
}

func TestTooManyTransfersAtOnceAreRefused(t *testing.T) {
	f := serve(t, "udp4", "127.0.0.1:0", nil)
	var transfers []func()
	refused := false
	for range 300 {
		client := dial(t)
		answer, from := exchange(t, client, f.addr, "\x00\x01endless\x00octet\x00")
		if answer == "\x00\x05\x00\x00busy: too many transfers at once\x00" {
			refused = true
			break
		}
		transfers = append(transfers, func() { client.WriteToUDPAddrPort([]byte(enough), from) })
	}
	if !refused || len(transfers) != 256 {
		t.Errorf("got %d transfers, refused %t; want 256, true", len(transfers), refused)
	}
	for _, end := range transfers {
		end()
	}
}

func TestTheLogTellsStartEndBytesAndDuration(t *testing.T) {
	f := serve(t, "udp4", "127.0.0.1:0", map[string][]byte{"small": []byte("hello")})
	client := dial(t)
	_, from := exchange(t, client, f.addr, "\x00\x01/small\x00octet\x00")
	client.WriteToUDPAddrPort([]byte("\x00\x04\x00\x01"), from)
	if err := f.stop(); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"TFTP transfer starts", "size=5", "TFTP transfer done", "bytes=5", "duration=", "client=" + client.LocalAddr().String()} {
		if log := f.log.String(); !strings.Contains(log, part) {
			t.Errorf("the log does not tell %q:\n%s", part, log)
		}
	}
}
