package udp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/metalform/terraform-provider-metal/server/internal/udp"
)

func TestAnswersGoBackToWhoeverAsked(t *testing.T) {
	for _, family := range []struct{ network, addr string }{{"udp4", "127.0.0.1:0"}, {"udp6", "[::1]:0"}} {
		conn := listen(t, family.network, family.addr, "")
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() {
			ended <- udp.Answer(ctx, conn, 2, func(_ context.Context, d udp.Datagram, memory []byte) []byte {
				if bytes.HasPrefix(d.Payload, []byte("silence")) {
					return nil
				}
				return append(append(memory, "re: "...), d.Payload...)
			}, func(to netip.AddrPort, err error) { t.Errorf("answer to %s: %v", to, err) })
		}()
		client, err := net.DialUDP(family.network, nil, net.UDPAddrFromAddrPort(conn.LocalAddr()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Close() })
		client.SetDeadline(time.Now().Add(patience))
		const count = 100 // more than are read at once
		for i := range count {
			for _, text := range []string{"silence", fmt.Sprint(i)} {
				if _, err := client.Write([]byte(text)); err != nil {
					t.Fatal(err)
				}
			}
		}
		got := heard(t, client, count)
		for i := range count {
			if want := fmt.Sprintf("re: %d", i); got[want] != 1 {
				t.Errorf("%s: got answer %q %d times; want it once", family.network, want, got[want])
			}
		}
		if stats := conn.Stats(); stats.Received != 2*count {
			t.Errorf("%s: got %+v; want %d received", family.network, stats, 2*count)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("%s: got %v after the context ended; want nothing", family.network, err)
		}
	}
}

func TestAnswerTellsWhyTheSocketEnded(t *testing.T) {
	conn := listen(t, "udp4", "127.0.0.1:0", "")
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	err := udp.Answer(t.Context(), conn, 3, func(context.Context, udp.Datagram, []byte) []byte { return nil }, func(netip.AddrPort, error) {})
	if !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v; want that the socket is closed", err)
	}
}
