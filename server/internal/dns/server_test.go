package dns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/metalform/terraform-provider-metal/server/internal/udp"
)

// patience bounds every wait; no test passes or fails by how fast it was within it.
const patience = 2 * time.Minute

// serve runs a server by UDP and TCP on one port of loopback, until the test ends.
func serve(t testing.TB, zones Zones, forward Forward) netip.AddrPort {
	t.Helper()
	listener, conn := bind(t)
	forwarder := NewForwarder(forward, labSelf)
	t.Cleanup(forwarder.Close) // after the server's end
	server := New([]*udp.Conn{conn}, []net.Listener{listener}, zones, labSelf, Config{Forwarder: forwarder}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run of a server that was stopped: got %v; want nil", err)
			}
		case <-time.After(patience):
			t.Error("Run did not return")
		}
	})
	return conn.LocalAddr()
}

// bind opens one port for both transports.
func bind(t testing.TB) (net.Listener, *udp.Conn) {
	t.Helper()
	for range 20 {
		listener, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		conn, err := udp.Listen(t.Context(), "udp4", listener.Addr().String(), "")
		if err == nil {
			t.Cleanup(func() { listener.Close(); conn.Close() })
			return listener, conn
		}
		listener.Close() // somebody else has that port by UDP
	}
	t.Fatal("no port is free for both transports")
	return nil, nil
}

// dig asks with the real dig and returns what it prints.
func dig(t *testing.T, server netip.AddrPort, arguments ...string) string {
	t.Helper()
	if _, err := exec.LookPath("dig"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("this test needs dig")
		}
		t.Skip("this test needs dig")
	}
	all := append([]string{"@" + server.Addr().String(), "-p", fmt.Sprint(server.Port()), "+tries=1", "+time=20"}, arguments...)
	out, err := exec.Command("dig", all...).CombinedOutput()
	if err != nil {
		t.Fatalf("dig %s: %v\n%s", strings.Join(arguments, " "), err, out)
	}
	return string(out)
}

func TestDigPrintsAnswers(t *testing.T) {
	server := serve(t, rack(t), Forward{})
	cases := []struct{ arguments, want string }{
		{"+short n1.lab.example A", "172.31.0.11\n"},
		{"+short +tcp n1.lab.example A", "172.31.0.11\n"},
		{"+short n1.lab.example AAAA", "fd00:31::11\n"},
		{"+short -x 172.31.0.12", "n2.lab.example.\n"},
		{"+short -x fd00:31::11", "n1.lab.example.\n"},
		{"+short -x 2001:db8:42::1", "far.rack.test.\n"},
		{"+short +edns=0 +nocookie n2.lab.example", "172.31.0.12\n"},
		{"+short +noedns n2.lab.example", "172.31.0.12\n"},
		{"+short lab.example SOA", "metald.lab.example. hostmaster.lab.example. 7 3600 600 604800 10\n"},
		{"+short +tcp lab.example NS", "metald.lab.example.\n"},
		{"+short nosuch.lab.example", ""},
	}
	for _, c := range cases {
		t.Run(c.arguments, func(t *testing.T) {
			if got := dig(t, server, strings.Fields(c.arguments)...); got != c.want {
				t.Errorf("got %q; want %q", got, c.want)
			}
		})
	}
}

func TestDigUnderstandsRefusals(t *testing.T) {
	server := serve(t, rack(t), Forward{})
	cases := []struct {
		arguments string
		says      []string
	}{
		{"nosuch.lab.example", []string{"status: NXDOMAIN", "flags: qr aa rd;", "SOA", "recursion requested but not available"}},
		{"+edns=1 +noednsnegotiation n1.lab.example", []string{"status: BADVERS", "EDNS: version: 0"}},
		{"+opcode=notify lab.example SOA", []string{"status: NOTIMP"}},
		{"CH TXT version.bind", []string{"status: REFUSED"}},
		{"www.example.com", []string{"status: REFUSED"}},
		{"lab.example AXFR", []string{"Transfer failed"}},
		{"+bufsize=4096 +dnssec n1.lab.example", []string{"status: NOERROR", "udp: 1232", "flags: do;"}},
		{"+qr +noedns N1.lAb.eXample", []string{"N1.lAb.eXample.\t\t60\tIN\tA\t172.31.0.11"}},
	}
	for _, c := range cases {
		t.Run(c.arguments, func(t *testing.T) {
			got := dig(t, server, strings.Fields(c.arguments)...)
			for _, part := range c.says {
				if !strings.Contains(got, part) {
					t.Errorf("dig does not print %q:\n%s", part, got)
				}
			}
			for _, trouble := range []string{"WARNING: Message", "malformed", "mismatch"} {
				if strings.Contains(got, trouble) {
					t.Errorf("dig prints %q:\n%s", trouble, got)
				}
			}
		})
	}
}

func TestDigComesByTCPForWhatDoesNotFit(t *testing.T) {
	server := serve(t, crowded(t, 200), Forward{})
	got := dig(t, server, "crowd.lab.example", "AAAA")
	if n := strings.Count(got, "\tAAAA\tfd00:31::1:"); n != 200 || !strings.Contains(got, "Truncated, retrying in TCP") {
		t.Errorf("got %d addresses; want 200 by TCP:\n%s", n, got)
	}
}

func TestManyRequestsOnOneConnection(t *testing.T) {
	server := serve(t, rack(t), Forward{})
	conn, err := net.DialTimeout("tcp", server.String(), patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	client := &dns.Conn{Conn: conn}
	for _, question := range []string{"n1.lab.example. A", "n2.lab.example. A", "nosuch.lab.example. A"} {
		q := query(t, question)
		if err := client.WriteMsg(q); err != nil {
			t.Fatal(err)
		}
		answer, err := client.ReadMsg()
		if err != nil {
			t.Fatal(err)
		}
		if answer.Id != q.Id || answer.Question[0] != q.Question[0] {
			t.Errorf("got an answer to %v, id %d; want %v, %d", answer.Question, answer.Id, q.Question, q.Id)
		}
	}
}

func TestConnectionsThatAreClosed(t *testing.T) {
	server := serve(t, rack(t), Forward{})
	cases := []struct{ name, send string }{
		{"a request longer than any query", "\xff\xff"},
		{"a message that is too short to answer", "\x00\x03abc"},
		{"an answer", "\x00\x0c\x12\x34\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			conn, err := net.DialTimeout("tcp", server.String(), patience)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(patience))
			io.WriteString(conn, c.send)
			var timeout net.Error
			if n, err := conn.Read(make([]byte, 100)); n != 0 || err == nil || errors.As(err, &timeout) && timeout.Timeout() {
				t.Errorf("got %d bytes, %v; want a closed connection", n, err)
			}
		})
	}
}

func TestASilentConnectionDoesNotHoldUpTheEnd(t *testing.T) {
	var conn net.Conn
	t.Cleanup(func() { conn.Close() }) // cleanups run last first: this one after the server has stopped
	server := serve(t, rack(t), Forward{})
	conn, err := net.DialTimeout("tcp", server.String(), patience)
	if err != nil {
		t.Fatal(err)
	}
	client := &dns.Conn{Conn: conn}
	if err := client.WriteMsg(query(t, "n1.lab.example. A")); err != nil {
		t.Fatal(err)
	}
	if _, err := client.ReadMsg(); err != nil {
		t.Fatal(err)
	}
}
