package dns

import (
	"context"
	"encoding/binary"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/net/ipv4"

	"github.com/metalform/terraform-provider-metal/server/internal/udp"
)

// TestABurstOfRequestsIsAnswered sends many requests before it reads, so that answers leave in batches, by both
// families.
func TestABurstOfRequestsIsAnswered(t *testing.T) {
	const burst = 100 // fits the buffers of both sockets
	for _, c := range []struct{ network, addr string }{{"udp4", "127.0.0.1:0"}, {"udp6", "[::1]:0"}} {
		t.Run(c.network, func(t *testing.T) {
			conn, err := udp.Listen(t.Context(), c.network, c.addr, "")
			if err != nil {
				t.Fatal(err)
			}
			server := New([]*udp.Conn{conn}, nil, rack(t), labSelf, Config{}, slog.New(slog.DiscardHandler))
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- server.Run(ctx) }()
			t.Cleanup(func() {
				cancel()
				if err := <-done; err != nil {
					t.Errorf("Run of a server that was stopped: got %v; want nil", err)
				}
			})
			client, err := net.DialUDP(c.network, nil, net.UDPAddrFromAddrPort(conn.LocalAddr()))
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			client.SetDeadline(time.Now().Add(patience))
			requests := [][]byte{packed(t, query(t, "n1.lab.example. A")), packed(t, query(t, "rich.test. MX"))} // quickly, slowly
			for id := range burst {
				request := requests[id%len(requests)]
				binary.BigEndian.PutUint16(request, uint16(id))
				if _, err := client.Write(request); err != nil {
					t.Fatal(err)
				}
			}
			seen := map[uint16]bool{}
			buf := make([]byte, 4096)
			for len(seen) < burst {
				n, err := client.Read(buf)
				if err != nil {
					t.Fatalf("after %d answers of %d: %v", len(seen), burst, err)
				}
				seen[binary.BigEndian.Uint16(buf[:n])] = true
			}
		})
	}
}

// refusing takes no message to port 1.
type refusing struct{ sent []int }

func (r *refusing) WriteBatch(messages []ipv4.Message, _ int) (int, error) {
	for i, m := range messages {
		port := m.Addr.(*net.UDPAddr).Port
		if port == 1 && i == 0 {
			return -1, net.ErrWriteToConnected
		}
		if port == 1 || i == 3 { // the kernel stops there, and says how many it took
			return i, nil
		}
		r.sent = append(r.sent, port)
	}
	return len(messages), nil
}

func TestAMessageThatIsNotTakenHoldsUpNoOther(t *testing.T) {
	kernel := &refusing{}
	o := &outbox{batch: kernel, log: slog.New(slog.DiscardHandler)}
	var messages []ipv4.Message
	for _, port := range []int{2, 1, 3, 4, 5, 6, 1, 1, 7, 1} {
		messages = append(messages, ipv4.Message{Addr: &net.UDPAddr{Port: port}})
	}
	o.write(messages)
	if got, want := len(kernel.sent), 6; got != want {
		t.Errorf("got %v sent; want the %d that are taken", kernel.sent, want)
	}
}

func TestWhatAnAnswerIsSentFrom(t *testing.T) {
	cases := []struct {
		name string
		from source
		is4  bool
		says bool
	}{
		{"the address that was asked", source{addr: netip.MustParseAddr("127.0.0.1")}, true, true},
		{"an IPv6 address", source{addr: netip.MustParseAddr("::1")}, false, true},
		{"an interface", source{addr: netip.MustParseAddr("ff02::1"), ifIndex: 2}, false, true},
		{"nothing, where that was a group", source{addr: netip.MustParseAddr("224.0.0.251")}, true, false},
		{"nothing, where that is not known", source{}, true, false},
	}
	for _, c := range cases {
		if got := c.from.control(c.is4); got == nil || len(got) > 0 != c.says {
			t.Errorf("%s: got % x; want a message %t", c.name, got, c.says)
		}
	}
}
