package bmctest

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/bougou/go-ipmi/pkg/protocol"
	"github.com/bougou/go-ipmi/pkg/types"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestFreeIPMIDrivesTheMachine(t *testing.T) {
	ipmipower, chassis := tool(t, "ipmipower"), tool(t, "ipmi-chassis")
	hw := &Fake{}
	addr := startIPMI(t, hw).Addr()
	for _, suite := range []string{"3", "17"} {
		t.Run("cipher suite "+suite, func(t *testing.T) {
			login := []string{"-h", addr, "-D", "LAN_2_0", "-I", suite, "-u", "admin", "-p", "secret123", "-W", "opensesspriv", "--session-timeout=5000"}
			for _, c := range []struct {
				program string
				args    []string
				want    string
				power   metal.Power
			}{
				{ipmipower, []string{"--stat"}, ": off", metal.PowerOff},
				{ipmipower, []string{"--on"}, ": ok", metal.PowerOn},
				{ipmipower, []string{"--stat"}, ": on", metal.PowerOn},
				{ipmipower, []string{"--reset"}, ": ok", metal.PowerOn},
				{ipmipower, []string{"--cycle"}, ": ok", metal.PowerOn},
				{chassis, []string{"--get-chassis-status"}, "System Power                        : on", metal.PowerOn},
				{chassis, []string{"--get-boot-flags"}, "", metal.PowerOn},
				{ipmipower, []string{"--soft"}, ": ok", metal.PowerOff},
				{ipmipower, []string{"--off"}, ": ok", metal.PowerOff},
			} {
				out, err := output(t, c.program, append(append([]string{}, login...), c.args...)...)
				if err != nil || !strings.Contains(out, c.want) {
					t.Errorf("%v: got %q, %v; want a text with %q", c.args, out, err, c.want)
				}
				if power, _ := hw.Power(t.Context()); power != c.power {
					t.Errorf("power after %v: got %s; want %s", c.args, power, c.power)
				}
			}
		})
	}
}

func TestIpmitoolIsRefused(t *testing.T) {
	ipmitool := tool(t, "ipmitool")
	hw := &Fake{}
	b := startIPMI(t, hw)
	host, port, err := net.SplitHostPort(b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("the relay is stuck")
	for _, c := range []struct {
		name     string
		password string
		faults   Faults
		hardware error
		command  string
		want     string // part of what ipmitool complains
	}{
		{"with a wrong password", "wrong", Faults{}, nil, "chassis power on", "Unable to establish IPMI v2"},
		{"when power changes are refused", "secret123", Faults{RefusePower: true}, nil, "chassis power on", "not supported in present state"},
		{"when the hardware fails", "secret123", Faults{}, broken, "chassis power on", "Unspecified error"},
		{"when the hardware fails to set the boot device", "secret123", Faults{}, broken, "chassis bootdev pxe", "Unspecified error"},
		{"when the boot device does not exist", "secret123", Faults{}, nil, "chassis bootdev cdrom", "Invalid data field"},
		{"when a machine that is off is cycled", "secret123", Faults{}, nil, "chassis power cycle", "not supported in present state"},
		{"when the BMC is silent", "secret123", Faults{Silent: true}, nil, "chassis power on", "Unable to establish IPMI v2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.SetFaults(c.faults)
			hw.SetFault(c.hardware)
			args := append([]string{"-I", "lanplus", "-C", "17", "-N", "1", "-R", "1", "-H", host, "-p", port, "-U", "admin", "-P", c.password}, strings.Fields(c.command)...)
			out, err := output(t, ipmitool, args...)
			if !strings.Contains(out, c.want) { // bootdev ends with success all the same
				t.Errorf("got %q, %v; want a complaint with %q", out, err, c.want)
			}
			if power, _ := hw.Power(t.Context()); power != metal.PowerOff {
				t.Errorf("power: got %s; want off", power)
			}
		})
	}
}

func TestSlowBMCAnswersAfterTheDelay(t *testing.T) {
	b := startIPMI(t, &Fake{})
	const delay = 50 * time.Millisecond
	b.SetFaults(Faults{SlowBy: delay})
	began := time.Now()
	ping(t, b.Addr())
	if took := time.Since(began); took < delay {
		t.Errorf("the answer came after %v; want at least %v", took, delay)
	}
}

func TestHardwareIsLeftAloneOnceRunReturned(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewIPMI(conn, &Fake{}, testIdentity, testAccount, quiet())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Run(ctx); err != nil {
		t.Errorf("Run: got %v; want nil", err)
	}
	if b.gate.enter() != nil {
		t.Error("a command came in after Run returned")
	}
	if _, err := conn.WriteTo([]byte{0}, conn.LocalAddr()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("writing to the socket: got %v; want %v", err, net.ErrClosed)
	}
}

func TestNewIPMIRefusesWhatIPMIHasNoRoomFor(t *testing.T) {
	long := strings.Repeat("x", 21)
	for _, c := range []struct {
		name    string
		id      Identity
		account Account
	}{
		{"a name of 17 bytes", testIdentity, Account{long[:17], metal.NewSecret("secret123")}},
		{"an empty name", testIdentity, Account{"", metal.NewSecret("secret123")}},
		{"a password of 21 bytes", testIdentity, Account{"admin", metal.NewSecret(long)}},
		{"a UUID that is none", Identity{UUID: "n1"}, testAccount},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, err := net.ListenPacket("udp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := NewIPMI(conn, &Fake{}, c.id, c.account, quiet()); err == nil || strings.Contains(err.Error(), long) {
				t.Errorf("got error %v; want one without the password", err)
			}
		})
	}
}

// ping sends an ASF presence ping (IPMI 2.0, 13.2.3) and waits for the pong, so that the test ends if the BMC has died.
func ping(t testing.TB, addr string) {
	t.Helper()
	conn, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	pingOn(t, conn)
}

func pingOn(t testing.TB, conn net.Conn) {
	t.Helper()
	if _, err := conn.Write([]byte{6, 0, 0xff, 6, 0, 0, 0x11, 0xbe, 0x80, 7, 0, 0}); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1024)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatalf("wait for the pong: %v", err)
		}
		if n >= 10 && buf[3] == 6 && buf[8] == 0x40 {
			return
		}
	}
}

// FuzzIPMIDatagram sends datagrams that no client would, and then asks whether the BMC is still there.
func FuzzIPMIDatagram(f *testing.F) {
	longName := append(bytes.Repeat([]byte{0}, 27), 250)
	f.Add([]byte{})
	f.Add([]byte{6, 0, 0xff, 7, 6})
	f.Add([]byte{6, 0, 0xff, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0x20, 0x18, 0xc8, 0x81, 4, 0x38, 0x0e, 4, 0x31})
	f.Add(protocol.BuildRMCPPlusPacket(uint8(types.PayloadTypeRAKPMessage1), 0, 0, 0, longName))
	f.Add(protocol.BuildRMCPPlusPacket(uint8(types.PayloadTypeRmcpOpenSessionRequest), 0, 0, 0, make([]byte, 32)))
	f.Add(protocol.BuildRMCPPlusPacket(uint8(types.PayloadTypeRAKPMessage3), 0, 0, 0, make([]byte, 40)))
	f.Add(protocol.BuildRMCPPlusPacket(uint8(types.PayloadTypeIPMI), types.PayloadFlagEncrypted, 0, 0, make([]byte, 7)))
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	b, err := NewIPMI(conn, &Fake{}, testIdentity, testAccount, quiet())
	if err != nil {
		f.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	f.Cleanup(func() { cancel(); <-done })
	client, err := net.Dial("udp", b.Addr())
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = client.Close() })
	f.Fuzz(func(t *testing.T, datagram []byte) {
		if len(datagram) > 1400 {
			return
		}
		if _, err := client.Write(datagram); err != nil {
			t.Fatal(err)
		}
		pingOn(t, client)
	})
}
