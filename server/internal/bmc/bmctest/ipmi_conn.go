package bmctest

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/bougou/go-ipmi/pkg/bmc"
	"github.com/bougou/go-ipmi/pkg/hal"
	"github.com/bougou/go-ipmi/pkg/handlers"
	"github.com/bougou/go-ipmi/pkg/types"
)

// ipmiConn is the socket as the reference server sees it: it applies the faults, and withholds datagrams that the
// server would not survive.
type ipmiConn struct {
	net.PacketConn
	faults func() Faults
	once   sync.Once
	closed chan struct{}
}

func newIPMIConn(conn net.PacketConn, faults func() Faults) *ipmiConn {
	return &ipmiConn{PacketConn: conn, faults: faults, closed: make(chan struct{})}
}

// ReadFrom returns the next datagram that the server should see.
func (c *ipmiConn) ReadFrom(buf []byte) (int, net.Addr, error) {
	for {
		n, from, err := c.PacketConn.ReadFrom(buf)
		if err != nil || (!c.faults().Silent && survivable(buf[:n])) {
			return n, from, err
		}
	}
}

// WriteTo sends a datagram, late if the faults say so.
func (c *ipmiConn) WriteTo(datagram []byte, to net.Addr) (int, error) {
	if delay := c.faults().SlowBy; delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-c.closed:
			return 0, net.ErrClosed
		}
	}
	return c.PacketConn.WriteTo(datagram, to)
}

// Close closes the socket and lets go of answers that wait.
func (c *ipmiConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.PacketConn.Close()
}

// survivable refuses an RAKP message 1 whose user name is longer than IPMI allows (IPMI 2.0, 13.20): go-ipmi v0.9.1
// adds its length up in one byte and then slices out of bounds.
func survivable(datagram []byte) bool {
	const payloadType, nameLength = 5, 16 + 27
	if len(datagram) <= nameLength || datagram[payloadType]&0x3f != byte(types.PayloadTypeRAKPMessage1) {
		return true
	}
	return datagram[nameLength] <= bmc.MaxUserNameLen
}

// A gate lets commands in while the BMC runs. The reference server answers each datagram on a goroutine that nobody
// waits for and gives it no context; behind the gate, both are put right. It is shut before it is first opened.
type gate struct {
	mu     sync.Mutex
	ctx    context.Context // of Run; nil while shut
	inside sync.WaitGroup
}

func (g *gate) open(ctx context.Context) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ctx = ctx
}

// shut lets nobody in any more and waits for those inside.
func (g *gate) shut() {
	g.mu.Lock()
	g.ctx = nil
	g.mu.Unlock()
	g.inside.Wait()
}

func (g *gate) enter() context.Context {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ctx != nil {
		g.inside.Add(1)
	}
	return g.ctx
}

func (g *gate) middleware(next handlers.Handler) handlers.Handler {
	return handlers.HandlerFunc(func(_ context.Context, h *handlers.HandlerContext, request []byte) ([]byte, types.CompletionCode, error) {
		ctx := g.enter()
		if ctx == nil {
			return nil, types.CodeNodeBusy, nil
		}
		defer g.inside.Done()
		return next.Handle(ctx, h, request)
	})
}

// noHAL is a hal.HAL of which only the network part exists: what concerns the chassis goes to Hardware directly,
// which has boot options that last and a power button, and the reference server's hardware layer does not.
type noHAL struct{ nic hal.NetworkHAL }

func (noHAL) Chassis() hal.ChassisHAL   { return nil }
func (noHAL) Sensors() hal.SensorHAL    { return nil }
func (noHAL) Storage() hal.StorageHAL   { return nil }
func (h noHAL) Network() hal.NetworkHAL { return h.nic }
func (noHAL) GPIO() hal.GPIOHAL         { return nil }
func (noHAL) I2C() hal.I2CHAL           { return nil }
func (noHAL) Console() hal.ConsoleHAL   { return nil }
func (noHAL) Close() error              { return nil }

// lanNIC tells the BMC's own address, for clients that print it.
type lanNIC struct{ addr net.Addr }

func (n lanNIC) GetConfig(context.Context) (*hal.IPConfig, error) {
	c := &hal.IPConfig{Mask: [4]byte{255, 255, 255, 255}}
	if udp, ok := n.addr.(*net.UDPAddr); ok {
		copy(c.IP[:], udp.IP.To4())
		c.Port = uint16(udp.Port)
	}
	return c, nil
}

func (lanNIC) SetConfig(context.Context, *hal.IPConfig) error { return hal.ErrNotSupported }
