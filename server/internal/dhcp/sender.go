package dhcp

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/mdlayher/packet"

	"github.com/metalform/terraform-provider-metal/server/internal/udp"
)

// sendQueue is how many replies may wait for being sent; more are lost, and their clients ask again.
const sendQueue = 4096

// outgoing is a reply on its way, and the request that it answers.
type outgoing struct {
	pkt, reply *dhcpv4.DHCPv4
	why        string
	asker      netip.AddrPort // who asked on port 4011; zero for a client of port 67
}

// sender sends replies in one goroutine, so that whoever made them durable need not wait for system calls.
type sender struct {
	outbox  *udp.Outbox[outgoing]
	dhcp    *udp.Conn // port 67
	boot    *udp.Conn // port 4011
	raw     *packet.Conn
	ours    netip.Addr
	log     *slog.Logger
	lines   *limiter // of what goes well
	faults  *limiter // of what does not
	scratch []byte   // a reply that is not sent with others
}

func newSender(port67, port4011 *udp.Conn, raw *packet.Conn, ours netip.Addr, log *slog.Logger) *sender {
	const linesPerSecond, lines = 20, 100
	return &sender{
		outbox: udp.NewOutbox[outgoing](sendQueue), dhcp: port67, boot: port4011, raw: raw, ours: ours, log: log,
		lines: newLimiter(1, linesPerSecond, lines), faults: newLimiter(1, linesPerSecond, lines),
	}
}

// run sends until ctx ends, as many replies with one system call as wait.
func (s *sender) run(ctx context.Context) error {
	return s.outbox.Run(ctx, s.dhcp.Batch(s.fail), s.send)
}

// send puts a reply to those that go out together, or sends it itself where it needs another socket.
func (s *sender) send(o outgoing, batch *udp.Batch) {
	s.tell(o)
	to := destinationOf(o.pkt, o.reply)
	if !o.asker.IsValid() && to.Hardware == nil {
		batch.Put(to.To, s.ours, 0, func(memory []byte) []byte { return appendReply(memory, o.reply) })
		return
	}
	s.scratch = appendReply(s.scratch[:0], o.reply)
	var err error
	if o.asker.IsValid() {
		err = s.boot.WriteTo(s.scratch, bootDestination(o.pkt, o.asker, to.To), s.ours, 0)
	} else {
		frame := packetTo(netip.AddrPortFrom(s.ours, serverPort), to.To, s.scratch)
		_, err = s.raw.WriteTo(frame, &packet.Addr{HardwareAddr: to.Hardware})
	}
	if err != nil {
		s.fail(to.To, err)
	}
}

// fail logs that a reply could not be sent. Anybody can make up a relay agent that no route leads to.
func (s *sender) fail(to netip.AddrPort, err error) {
	if !errors.Is(err, net.ErrClosed) && s.faults.allow(nil, time.Now()) {
		s.log.Error("send a DHCP reply", "to", to, "error", err)
	}
}

// tell logs a reply: at a rate that a person can read as information, the rest for whoever looks for faults.
func (s *sender) tell(o outgoing) {
	level := slog.LevelInfo
	if !s.lines.allow(nil, time.Now()) {
		level = slog.LevelDebug
	}
	if ctx := context.Background(); s.log.Enabled(ctx, level) {
		s.log.Log(ctx, level, "dhcp", "mac", o.pkt.ClientHWAddr.String(), "message", kindOf(o.pkt).String(),
			"reply", kindOf(o.reply).String(), "address", o.reply.YourIPAddr.String(), "why", o.why)
	}
}
