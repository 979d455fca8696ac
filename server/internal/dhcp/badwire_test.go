package dhcp

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/server/internal/netns"
)

// badWire joins two namespaces by a wire that loses a share of the frames of each direction, brings as many twice, and
// brings as many late, so that others overtake them. Kernels do it themselves only with sch_netem.
func badWire(t testing.TB, a netns.Space, endA string, b netns.Space, endB string, share float64, seed uint64) {
	t.Helper()
	middle := netns.New(t, "w")
	netns.Wire(t, a, endA, middle, "left")
	netns.Wire(t, b, endB, middle, "right")
	var ends [2]*packet.Conn
	middle.Must(t, func() error {
		for i, name := range []string{"left", "right"} {
			ifi, err := net.InterfaceByName(name)
			if err != nil {
				return err
			}
			if ends[i], err = packet.Listen(ifi, packet.Raw, unix.ETH_P_ALL, nil); err != nil {
				return err
			}
			if err := ends[i].SetPromiscuous(true); err != nil {
				return err
			}
		}
		return nil
	})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for i := range ends {
		from, to := ends[i], ends[1-i]
		dice := rand.New(rand.NewPCG(seed, uint64(i)))
		running.Go(func() { carry(ctx, &running, from, to, share, dice) })
	}
	t.Cleanup(func() {
		stop()
		ends[0].Close()
		ends[1].Close()
		running.Wait()
	})
}

// carry brings frames from one end to the other until it is closed. A socket for all protocols hears what is sent by
// others on its interface, not what it sends itself.
func carry(ctx context.Context, running *sync.WaitGroup, from, to *packet.Conn, share float64, dice *rand.Rand) {
	const late = 30 * time.Millisecond
	buffer := make([]byte, 2048)
	for {
		n, _, err := from.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
			return
		}
		if err != nil {
			continue
		}
		frame := append([]byte(nil), buffer[:n]...)
		send := func() { to.WriteTo(frame, &packet.Addr{HardwareAddr: net.HardwareAddr(frame[:6])}) }
		if dice.Float64() < share {
			continue
		}
		if dice.Float64() < share {
			send()
		}
		if dice.Float64() >= share {
			send()
			continue
		}
		running.Go(func() {
			select {
			case <-ctx.Done():
			case <-time.After(late):
				send()
			}
		})
	}
}
