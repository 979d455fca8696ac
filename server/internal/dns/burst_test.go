package dns

import (
	"context"
	"encoding/binary"
	"log/slog"
	"net"
	"testing"
	"time"

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
