package ipmi

import (
	"errors"
	"net"
	"sync/atomic"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/bmc/bmctest"
)

// relay passes datagrams between one client and a BMC, in order, and loses those that drop chooses. count is how many
// of the kind went that way before.
func relay(t *testing.T, bmcAddr string, drop func(toBMC bool, kind byte, count int) bool) (addr string) {
	t.Helper()
	front, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	back, err := net.Dial("udp", bmcAddr)
	if err != nil {
		t.Fatal(err)
	}
	type passage struct {
		toBMC bool
		kind  byte
	}
	lost := func(counts map[passage]int, toBMC bool, datagram []byte) bool {
		p := passage{toBMC, datagram[5] & 0x3f}
		counts[p]++
		return drop(toBMC, p.kind, counts[p]-1)
	}
	client := make(chan net.Addr, 1)
	done := make(chan struct{}, 2)
	go func() {
		defer func() { done <- struct{}{} }()
		counts := map[passage]int{}
		buf := make([]byte, maxDatagram)
		for first := true; ; first = false {
			n, from, err := front.ReadFrom(buf)
			if err != nil {
				return
			}
			if first {
				client <- from
			}
			if !lost(counts, true, buf[:n]) {
				_, _ = back.Write(buf[:n])
			}
		}
	}()
	go func() {
		defer func() { done <- struct{}{} }()
		counts := map[passage]int{}
		buf := make([]byte, maxDatagram)
		var to net.Addr
		for {
			n, err := back.Read(buf)
			if err != nil {
				return
			}
			if to == nil {
				to = <-client
			}
			if !lost(counts, false, buf[:n]) {
				_, _ = front.WriteTo(buf[:n], to)
			}
		}
	}()
	t.Cleanup(func() {
		if err := errors.Join(front.Close(), back.Close()); err != nil {
			t.Error(err)
		}
		<-done
		<-done
	})
	return front.LocalAddr().String()
}

func TestLostDatagramsAreSentAgain(t *testing.T) {
	for _, c := range []struct {
		name string
		drop func(toBMC bool, kind byte, count int) bool
	}{
		{"the first of each kind of request", func(toBMC bool, _ byte, count int) bool { return toBMC && count == 0 }},
		{"the first of each kind of answer", func(toBMC bool, _ byte, count int) bool { return !toBMC && count == 0 }},
		{"every second datagram", func(_ bool, _ byte, count int) bool { return count%2 == 0 }},
		{"three answers to commands in a row", func(toBMC bool, kind byte, count int) bool { return !toBMC && kind == 0 && count < 3 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			var starts atomic.Int32
			hw := &bmctest.Fake{OnPowerOn: func(bmctest.Boot) { starts.Add(1) }}
			b, _ := start(t, hw, "127.0.0.1:0")
			controller := hasty(t, endpoint(relay(t, b.Addr(), c.drop)))
			defer controller.Close()
			if err := controller.BootOnce(t.Context(), metal.BootNetwork, metal.UEFI); err != nil {
				t.Errorf("BootOnce: %v", err)
			}
			if err := controller.SetPower(t.Context(), metal.PowerOn); err != nil {
				t.Errorf("SetPower: %v", err)
			}
			expectPower(t, controller, metal.PowerOn)
			if n := starts.Load(); n != 1 {
				t.Errorf("the machine started %d times; want 1", n)
			}
		})
	}
}
