package neighbour

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

func openAsker(key lineKey) (asker, error) {
	switch {
	case key.index == 0:
		return openEcho(key.six)
	case key.six:
		w, err := openNDP(key.index)
		if err != nil {
			return nil, err
		}
		return &ndpAsker{w, make([]byte, frameSpace)}, nil
	default:
		w, err := openWire(key.index, etherARP)
		if err != nil {
			return nil, err
		}
		return &arpAsker{w, make([]byte, frameSpace)}, nil
	}
}

func onLinkRhythm() rhythm { return rhythm{questions: 3, gap: 100 * time.Millisecond} }

// answer is what a claim means to those who ask for its address; none where it is our own.
func (c claim) answer(by string, we hardware) (Answer, bool) {
	return Answer{InUse: true, Hardware: c.hardware.mac(), By: by}, c.hardware != we
}

type arpAsker struct {
	wire   *wire
	buffer []byte
}

func (a *arpAsker) ask(addr netip.Addr) error { return a.wire.send(arpProbe(a.wire.hardware, addr)) }
func (a *arpAsker) close()                    { a.wire.close() }
func (a *arpAsker) rhythm() rhythm            { return onLinkRhythm() }

func (a *arpAsker) hear() (netip.Addr, Answer, error) {
	for {
		frame, err := a.wire.receive(a.buffer)
		if err != nil {
			return netip.Addr{}, Answer{}, err
		}
		if packet, ok := parseARP(frame); ok {
			if c, ok := packet.claim(); ok {
				if answer, ok := c.answer(ByARP, a.wire.hardware); ok {
					return c.addr, answer, nil
				}
			}
		}
	}
}

type ndpAsker struct {
	wire   *wire
	buffer []byte
}

func (a *ndpAsker) ask(addr netip.Addr) error { return a.wire.send(ndpProbe(a.wire.hardware, addr)) }
func (a *ndpAsker) close()                    { a.wire.close() }
func (a *ndpAsker) rhythm() rhythm            { return onLinkRhythm() }

func (a *ndpAsker) hear() (netip.Addr, Answer, error) {
	for {
		frame, err := a.wire.receive(a.buffer)
		if err != nil {
			return netip.Addr{}, Answer{}, err
		}
		if message, ok := parseNDP(frame); ok {
			if c, ok := message.claim(); ok {
				if answer, ok := c.answer(ByNDP, a.wire.hardware); ok {
					return c.addr, answer, nil
				}
			}
		}
	}
}

// echo is the socket for addresses behind a router.
type echo struct {
	conn   *icmp.PacketConn
	kinds  echoKinds
	mark   echoMark
	seq    atomic.Uint32
	buffer []byte
}

// echoKinds are the message types of one family.
type echoKinds struct {
	protocol        int
	request, answer icmp.Type
}

// echoMark tells our own echoes from those of every other ping of this host, whose answers the socket receives too.
type echoMark struct {
	id    uint16
	nonce [8]byte
}

func echoKindsOf(six bool) echoKinds {
	if six {
		return echoKinds{protocolICMPv6, ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply}
	}
	return echoKinds{1, ipv4.ICMPTypeEcho, ipv4.ICMPTypeEchoReply}
}

func openEcho(six bool) (*echo, error) {
	network, local := "ip4:icmp", "0.0.0.0"
	if six {
		network, local = "ip6:ipv6-icmp", "::"
	}
	conn, err := icmp.ListenPacket(network, local)
	if err != nil {
		return nil, fmt.Errorf("open a socket for ICMP echo: %w", err)
	}
	e := &echo{conn: conn, kinds: echoKindsOf(six), buffer: make([]byte, frameSpace)}
	var random [10]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand ends the program first
	e.mark = echoMark{id: binary.BigEndian.Uint16(random[:]), nonce: [8]byte(random[2:])}
	if err := e.filter(six); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("filter ICMP: %w", err)
	}
	return e, nil
}

// filter has the kernel drop what is not an echo reply.
func (e *echo) filter(six bool) error {
	if six {
		var f ipv6.ICMPFilter
		f.SetAll(true)
		f.Accept(ipv6.ICMPTypeEchoReply)
		return e.conn.IPv6PacketConn().SetICMPFilter(&f)
	}
	var f ipv4.ICMPFilter
	f.SetAll(true)
	f.Accept(ipv4.ICMPTypeEchoReply)
	return e.conn.IPv4PacketConn().SetICMPFilter(&f)
}

func (e *echo) ask(addr netip.Addr) error {
	b, err := e.mark.request(e.kinds, uint16(e.seq.Add(1)))
	if err != nil {
		return err
	}
	_, err = e.conn.WriteTo(b, &net.IPAddr{IP: addr.AsSlice()})
	return err
}

func (e *echo) close()         { _ = e.conn.Close() }
func (e *echo) rhythm() rhythm { return rhythm{questions: 3, gap: 300 * time.Millisecond} }

func (e *echo) hear() (netip.Addr, Answer, error) {
	for {
		n, from, err := e.conn.ReadFrom(e.buffer)
		if err != nil {
			return netip.Addr{}, Answer{}, err
		}
		ip, ok := from.(*net.IPAddr)
		if !ok || !e.mark.answered(e.kinds, e.buffer[:n]) {
			continue
		}
		if addr, ok := netip.AddrFromSlice(ip.IP); ok {
			return addr.Unmap(), Answer{InUse: true, By: ByICMP}, nil
		}
	}
}

// request is an echo request. The kernel writes the checksum of ICMPv6 itself (RFC 3542, section 3.1).
func (m echoMark) request(kinds echoKinds, seq uint16) ([]byte, error) {
	message := icmp.Message{Type: kinds.request, Body: &icmp.Echo{ID: int(m.id), Seq: int(seq), Data: m.nonce[:]}}
	return message.Marshal(nil)
}

// answered says whether the message is a reply to one of our requests.
func (m echoMark) answered(kinds echoKinds, b []byte) bool {
	message, err := icmp.ParseMessage(kinds.protocol, b)
	if err != nil || message.Type != kinds.answer {
		return false
	}
	body, ok := message.Body.(*icmp.Echo)
	return ok && body.ID == int(m.id) && string(body.Data) == string(m.nonce[:])
}
