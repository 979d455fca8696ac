package ntp

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/metalform/terraform-provider-metal/server/internal/netns"
	"github.com/metalform/terraform-provider-metal/server/internal/udp"
)

// serve answers on addresses until the test ends.
func serve(t testing.TB, clock func(time.Time) (Clock, error), conns ...*udp.Conn) {
	t.Helper()
	netns.Keep(t, "the NTP server", New(conns, clock, slog.New(slog.DiscardHandler)).Run)
}

func listen(t *testing.T, network, addr string) *udp.Conn {
	t.Helper()
	conn, err := udp.Listen(t.Context(), network, addr, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func dial(t *testing.T, to *udp.Conn) *net.UDPConn {
	t.Helper()
	client, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to.LocalAddr()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	client.SetDeadline(time.Now().Add(netns.Patience))
	return client
}

func synchronised(now time.Time) (Clock, error) {
	return Clock{Synchronised: true, Stratum: 4, RootDispersion: time.Millisecond, RefID: kernelRefID, RefTime: now.Truncate(time.Second)}, nil
}

// chronyd measures once and prints the offset; it sets no clock (-Q).
func chronyd(t *testing.T, conn *udp.Conn) (string, error) {
	server := fmt.Sprintf("server %s port %d iburst maxsamples 4", conn.LocalAddr().Addr(), conn.LocalAddr().Port())
	out, err := exec.Command("chronyd", "-Q", "-t", "90", "-f", "/dev/null", "cmdport 0", "pidfile "+t.TempDir()+"/pid", server).CombinedOutput()
	return string(out), err
}

func TestChronyTakesOurTime(t *testing.T) {
	t.Parallel() // iburst waits two seconds between packets
	netns.Need(t, "chronyd")
	for _, c := range []struct{ name, network, addr string }{{"IPv4", "udp4", "127.0.0.1:0"}, {"IPv6", "udp6", "[::1]:0"}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			conn := listen(t, c.network, c.addr)
			serve(t, synchronised, conn)
			out, err := chronyd(t, conn)
			if err != nil || !strings.Contains(out, "System clock wrong by 0.0") && !strings.Contains(out, "System clock wrong by -0.0") {
				t.Errorf("got %v; want an offset of almost nothing:\n%s", err, out)
			}
		})
	}
}

func TestChronyTakesNoTimeFromAClockThatIsNotSynchronised(t *testing.T) {
	t.Parallel()
	netns.Need(t, "chronyd")
	conn := listen(t, "udp4", "127.0.0.1:0")
	serve(t, func(time.Time) (Clock, error) { return Clock{}, errors.New("no adjtimex here") }, conn)
	if out, err := chronyd(t, conn); err == nil || !strings.Contains(out, "No suitable source") {
		t.Errorf("got %v; want no suitable source:\n%s", err, out)
	}
}

// listenIn is listen in a namespace.
func listenIn(t *testing.T, ns netns.Space, network, addr string) (conn *udp.Conn) {
	t.Helper()
	ns.Must(t, func() (err error) {
		conn, err = udp.Listen(t.Context(), network, addr, "")
		return err
	})
	t.Cleanup(func() { conn.Close() })
	return conn
}

// TestClientsThatOnlyKnowPort123 needs a namespace for it.
func TestClientsThatOnlyKnowPort123(t *testing.T) {
	t.Parallel()
	netns.Need(t, "ntpdate")
	ns := netns.New(t, "n")
	serve(t, synchronised, listenIn(t, ns, "udp4", "0.0.0.0:123"), listenIn(t, ns, "udp6", "[::]:123"))
	cases := []struct {
		name    string
		command []string
		says    []string // one of them
	}{
		{"ntpdate, version 1", []string{"ntpdate", "-q", "-p", "1", "-o", "1", "127.0.0.1"}, []string{"stratum 4", "s4"}},
		{"ntpdate, version 2", []string{"ntpdate", "-q", "-p", "1", "-o", "2", "127.0.0.2"}, []string{"stratum 4", "s4"}},
		{"ntpdate, version 3", []string{"ntpdate", "-q", "-p", "2", "-o", "3", "127.0.0.3"}, []string{"stratum 4", "s4"}},
		{"ntpdate, version 4", []string{"ntpdate", "-q", "-p", "2", "-o", "4", "127.0.0.4"}, []string{"stratum 4", "s4"}},
		{"ntpdig, IPv6", []string{"ntpdig", "-j", "-t", "5", "::1"}, []string{`"stratum":4`}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			netns.Need(t, c.command[0])
			out, err := ns.Command(c.command...).CombinedOutput()
			if err != nil || !slices.ContainsFunc(c.says, func(text string) bool { return strings.Contains(string(out), text) }) {
				t.Errorf("got %v; want one of %q:\n%s", err, c.says, out)
			}
		})
	}
}

func TestAControlMessageIsNotAnsweredByAServerThatIsNotToldTo(t *testing.T) {
	conn := listen(t, "udp4", "127.0.0.1:0")
	serve(t, synchronised, conn)
	client := dial(t, conn)
	client.Write(unhex(t, "16 02 0001 0000 0000 0000 0000"))                              // what ntpq sends: mode 6, read variables
	client.Write(unhex(t, "17 00 03 2a 00000000"))                                        // mode 7, monlist
	client.Write(append(unhex(t, "16 02 0001 0000 0000 0000 0000"), make([]byte, 36)...)) // as long as a client's packet
	client.Write(unhex(t, ask("23")))
	reply := make([]byte, 2048)
	n, err := client.Read(reply)
	if err != nil || n != packetSize || reply[0]&7 != modeServer {
		t.Errorf("got % x, %v; want the answer to the last", reply[:n], err)
	}
}

func TestAnAnswerComesFromTheAddressThatWasAsked(t *testing.T) {
	for _, c := range []struct{ network, listen, ask string }{{"udp4", "0.0.0.0:0", "127.0.0.77"}, {"udp6", "[::]:0", "::1"}} {
		conn := listen(t, c.network, c.listen)
		serve(t, synchronised, conn)
		// A connected socket takes answers only from the address it is connected to.
		client, err := net.Dial("udp", net.JoinHostPort(c.ask, fmt.Sprint(conn.LocalAddr().Port())))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Close() })
		client.SetDeadline(time.Now().Add(netns.Patience))
		before := time.Now()
		client.Write(unhex(t, ask("23")))
		reply := make([]byte, 512)
		n, err := client.Read(reply)
		p, ok := parse(reply[:n])
		if err != nil || !ok {
			t.Fatalf("%s: got % x, %v", c.ask, reply[:n], err)
		}
		after := time.Now()
		for _, at := range []uint64{p.receive, p.transmit} {
			if at := timeOf(at, after); at.Before(before.Add(-time.Microsecond)) || at.After(after) {
				t.Errorf("%s: got time %s; want one from %s to %s", c.ask, at, before, after)
			}
		}
		if p.transmit < p.receive {
			t.Errorf("%s: sent %s before it was received", c.ask, timeOf(p.receive, after).Sub(timeOf(p.transmit, after)))
		}
	}
}

func TestAClientThatAsksTooOftenGetsAKissAndThenNothing(t *testing.T) {
	conn := listen(t, "udp4", "127.0.0.1:0")
	serve(t, synchronised, conn)
	client := dial(t, conn)
	reply := make([]byte, 512)
	// On a slow machine it may ask for longer, since what it may ask for grows meanwhile.
	for i, kissed := 0, false; !kissed; i++ {
		client.Write(unhex(t, ask("23")))
		n, err := client.Read(reply)
		if err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		kissed = bytes.Equal(reply[12:16], []byte("RATE"))
		if n != packetSize || kissed && i < burst || i > 100*burst {
			t.Fatalf("request %d: got % x; want answers, and then a kiss with RATE", i, reply[:n])
		}
	}
}
