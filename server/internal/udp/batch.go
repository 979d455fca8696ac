package udp

import (
	"errors"
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
)

// A Batch gathers datagrams that leave by one socket with one system call. It is for one goroutine.
type Batch struct {
	conn   *Conn
	fail   func(to netip.AddrPort, err error)
	slots  [batchSize]slot
	filled []ipv4.Message // one for each slot that is taken
}

// slot has the memory of one datagram, which the next one in its place uses again.
type slot struct {
	payload []byte
	oob     [controlSpace]byte
	to      net.UDPAddr
	ip      [16]byte
}

// Batch returns an empty batch. A datagram that cannot be sent does not hold up the others: fail is told of it.
func (c *Conn) Batch(fail func(to netip.AddrPort, err error)) *Batch {
	return &Batch{conn: c, fail: fail, filled: make([]ipv4.Message, 0, batchSize)}
}

// full says that the next datagram sends those that are there first.
func (b *Batch) full() bool { return len(b.filled) == len(b.slots) }

// Put adds the datagram that write appends to the memory it is given; none where that returns nil. to, source and ifIndex are those of Conn.WriteTo.
func (b *Batch) Put(to netip.AddrPort, source netip.Addr, ifIndex int, write func(memory []byte) []byte) {
	if b.full() {
		b.Flush()
	}
	s := &b.slots[len(b.filled)]
	payload := write(s.payload[:0])
	if payload == nil {
		return
	}
	s.payload = payload
	if addr := to.Addr(); addr.Is4() {
		four := addr.As4()
		s.to.IP = append(s.ip[:0], four[:]...)
	} else {
		s.ip = addr.As16()
		s.to.IP = s.ip[:]
	}
	s.to.Port, s.to.Zone = int(to.Port()), to.Addr().Zone()
	b.filled = append(b.filled, ipv4.Message{
		Buffers: [][]byte{s.payload}, OOB: appendPacketInfo(s.oob[:0], b.conn.family, source, ifIndex), Addr: &s.to,
	})
}

// Flush sends what is there.
func (b *Batch) Flush() {
	for left := b.filled; len(left) > 0; {
		n, err := b.conn.batch.WriteBatch(left, 0)
		if errors.Is(err, net.ErrClosed) {
			break // the service ends
		}
		if err != nil {
			b.fail(left[0].Addr.(*net.UDPAddr).AddrPort(), err)
			n = 1
		}
		left = left[max(n, 1):]
	}
	b.filled = b.filled[:0]
}
