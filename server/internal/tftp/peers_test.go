package tftp_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// need skips the test where a tool is missing, but not in CI.
func need(t testing.TB, tool string) {
	t.Helper()
	if _, err := exec.LookPath(tool); err == nil {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("this test needs %s", tool)
	}
	t.Skipf("this test needs %s", tool)
}

// clients are real TFTP clients: each returns the command that fetches a file to a path.
var clients = []struct {
	name, tool string
	command    func(f *fixture, remote, local string) []string
}{
	{"curl", "curl", func(f *fixture, remote, local string) []string {
		return []string{"curl", "-sS", "--max-time", "50", "-o", local, fmt.Sprintf("tftp://%s/%s", f.addr, remote)}
	}},
	{"curl with blocks of 1468", "curl", func(f *fixture, remote, local string) []string {
		return []string{"curl", "-sS", "--max-time", "50", "--tftp-blksize", "1468", "-o", local, fmt.Sprintf("tftp://%s/%s", f.addr, remote)}
	}},
	{"curl without options", "curl", func(f *fixture, remote, local string) []string {
		return []string{"curl", "-sS", "--max-time", "50", "--tftp-no-options", "-o", local, fmt.Sprintf("tftp://%s/%s", f.addr, remote)}
	}},
	{"tftp-hpa", "tftp", func(f *fixture, remote, local string) []string {
		return []string{"tftp", "-m", "binary", f.addr.Addr().String(), fmt.Sprint(f.addr.Port()), "-c", "get", remote, local}
	}},
	{"atftp", "atftp", func(f *fixture, remote, local string) []string {
		return []string{"atftp", "--option", "blksize 1428", "--option", "tsize", "--option", "timeout 3", "--get",
			"-r", remote, "-l", local, f.addr.Addr().String(), fmt.Sprint(f.addr.Port())}
	}},
}

func TestRealClientsFetchWholeFiles(t *testing.T) {
	files := map[string][]byte{}
	// Sizes around the ends of blocks: a file that fills its last block is followed by an empty one.
	for _, size := range []int{0, 1, 511, 512, 513, 1428, 1468, 2936, 1_000_003} {
		files[fmt.Sprintf("f%d", size)] = random(size)
	}
	f := serve(t, "udp4", "127.0.0.1:0", files)
	for _, client := range clients {
		t.Run(client.name, func(t *testing.T) {
			need(t, client.tool)
			for name, want := range files {
				fetch(t, client.command(f, name, filepath.Join(t.TempDir(), "got")), want)
			}
		})
	}
}

func TestAFileOfMoreBlocksThanTheNumberHasRollsOver(t *testing.T) {
	need(t, "curl")
	want := random(65536*512 + 700)
	f := serve(t, "udp4", "127.0.0.1:0", map[string][]byte{"big": want})
	fetch(t, clients[2].command(f, "big", filepath.Join(t.TempDir(), "got")), want)
}

func TestSixteenTransfersAtOnceAreWhole(t *testing.T) {
	f := serve(t, "udp4", "127.0.0.1:0", map[string][]byte{"kernel": random(1_000_001)})
	var transfers sync.WaitGroup
	for i := range 16 {
		client := clients[i%len(clients)]
		need(t, client.tool)
		local := filepath.Join(t.TempDir(), "got")
		transfers.Go(func() {
			command := client.command(f, "kernel", local)
			if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", client.name, err, out)
				return
			}
			if got, err := os.ReadFile(local); err != nil || !bytes.Equal(got, f.files["kernel"]) {
				t.Errorf("%s: got %d bytes, %v; want the %d bytes of the file", client.name, len(got), err, len(f.files["kernel"]))
			}
		})
	}
	transfers.Wait()
}

func TestCurlOverIPv6(t *testing.T) {
	need(t, "curl")
	f := serve(t, "udp6", "[::1]:0", map[string][]byte{"big": random(100_000)})
	fetch(t, clients[0].command(f, "big", filepath.Join(t.TempDir(), "got")), f.files["big"])
}

func TestRealClientsAreToldThatAFileIsNotThere(t *testing.T) {
	f := serve(t, "udp4", "127.0.0.1:0", nil)
	for _, client := range clients {
		t.Run(client.name, func(t *testing.T) {
			need(t, client.tool)
			command := exec.Command("sh", append([]string{"-c", `"$@"; echo "exit status $?"`, "sh"},
				client.command(f, "nosuch", filepath.Join(t.TempDir(), "got"))...)...)
			out, err := command.CombinedOutput()
			if err != nil {
				t.Fatal(err)
			}
			says := `no file "nosuch"`
			if client.tool == "curl" {
				says = "exit status 68" // CURLE_TFTP_NOTFOUND; curl prints no message of the server's
			}
			if !strings.Contains(string(out), says) {
				t.Errorf("got %q; want it to say %q", out, says)
			}
		})
	}
}

func TestARealClientCannotWrite(t *testing.T) {
	need(t, "curl")
	f := serve(t, "udp4", "127.0.0.1:0", nil)
	upload := exec.Command("curl", "-sS", "--max-time", "50", "-T", "-", fmt.Sprintf("tftp://%s/x", f.addr))
	upload.Stdin = strings.NewReader("content")
	out, err := upload.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 69 { // CURLE_TFTP_PERM: an access violation
		t.Errorf("got %q, %v; want exit status 69", out, err)
	}
}

// BenchmarkCurl is the throughput of one transfer of 32 MB over loopback, with curl's time to start included.
func BenchmarkCurl(b *testing.B) {
	need(b, "curl")
	f := serve(b, "udp4", "127.0.0.1:0", map[string][]byte{"big": random(32 << 20)})
	b.SetBytes(32 << 20)
	for b.Loop() {
		command := clients[1].command(f, "big", "/dev/null")
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
	}
}

// fetch runs a client that writes to the path named in the command, and compares.
func fetch(t *testing.T, command []string, want []byte) {
	t.Helper()
	if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", strings.Join(command, " "), err, out)
		return
	}
	for _, argument := range command {
		if filepath.Base(argument) != "got" {
			continue
		}
		// curl makes no file where there is nothing to write
		if got, err := os.ReadFile(argument); !bytes.Equal(got, want) || (err != nil && len(want) > 0) {
			t.Errorf("%s: got %d bytes, %v; want the %d bytes of the file", strings.Join(command, " "), len(got), err, len(want))
		}
	}
}
