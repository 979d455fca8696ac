package ntp

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/server/internal/udp"
)

const (
	// batchSize is how many requests are read and answered with one system call each. The last answer of a batch
	// leaves some 20 microseconds after its transmit timestamp, so more would cost accuracy.
	batchSize = 16

	// requestSize is the longest request that is read, in bytes. The authenticated ones (RFC 8915, section 5.7) take
	// some hundred.
	requestSize = 1536

	// controlSize is room for the control messages of one request, in bytes: a timestamp of 32, packet information of
	// at most 40, and as much again.
	controlSize = 144
)

// message is a struct mmsghdr (recvmmsg(2)).
type message struct {
	unix.Msghdr
	length uint32
}

// A batch is the memory that one loop works in. It points into itself, so it must stay where it is.
type batch struct {
	in, out  [batchSize]message
	vectors  [2 * batchSize]unix.Iovec
	senders  [batchSize]unix.RawSockaddrInet6 // which has room for an IPv4 one as well
	control  [batchSize][controlSize]byte
	requests [batchSize][requestSize]byte
	replies  [batchSize][packetSize]byte
	stamped  [batchSize]bool // the replies that tell the time
	count    int             // of replies
}

func newBatch() *batch {
	b := new(batch)
	for i := range batchSize {
		in, out := &b.vectors[i], &b.vectors[batchSize+i]
		in.Base, out.Base = &b.requests[i][0], &b.replies[i][0]
		in.SetLen(requestSize)
		out.SetLen(packetSize)
		b.in[i].Iov, b.out[i].Iov = in, out
		b.in[i].SetIovlen(1)
		b.out[i].SetIovlen(1)
	}
	return b
}

// serve answers on conn until it is closed. It has a loop of its own, beside package udp's, for two things that an
// NTP server needs more than others: the time at which the kernel received a request, and no allocations, whose
// collection would get between the stamp and the packet.
func (s *Server) serve(ctx context.Context, conn *udp.Conn) error {
	raw, err := conn.Socket().SyscallConn()
	if err != nil {
		return fmt.Errorf("serve NTP on %s: %w", conn.LocalAddr(), err)
	}
	if err := stampArrivals(raw); err != nil && ctx.Err() == nil {
		return fmt.Errorf("serve NTP on %s: set SO_TIMESTAMPNS: %w", conn.LocalAddr(), err)
	}
	b := newBatch()
	var received int
	var failed unix.Errno
	read := func(fd uintptr) bool {
		received, failed = b.receive(fd)
		return failed != unix.EAGAIN
	}
	sent := 0
	write := func(fd uintptr) bool {
		var errno unix.Errno
		sent, errno = b.send(fd, sent)
		return errno != unix.EAGAIN
	}
	for {
		if err := raw.Read(read); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("read NTP requests on %s: %w", conn.LocalAddr(), err)
		}
		if failed != 0 {
			if passing(failed) {
				continue
			}
			return fmt.Errorf("read NTP requests on %s: %w", conn.LocalAddr(), failed)
		}
		now := time.Now()
		clock := s.state(now)
		for i := range received {
			if !s.answerControl(raw, b, i, now, &clock) {
				s.handle(b, i, now, &clock)
			}
		}
		if b.count == 0 {
			continue
		}
		sent = 0
		b.stamp(time.Now())
		if err := raw.Write(write); err != nil && ctx.Err() == nil {
			return fmt.Errorf("send NTP answers on %s: %w", conn.LocalAddr(), err)
		}
	}
}

// stampArrivals has the kernel tell when each datagram arrived.
func stampArrivals(raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
	})
	return errors.Join(err, failed)
}

// handle decides on request i of the batch, and adds the reply.
func (s *Server) handle(b *batch, i int, now time.Time, clock *Clock) {
	in := &b.in[i]
	from := sender(&b.senders[i])
	if in.Flags&unix.MSG_TRUNC != 0 || !from.IsValid() {
		return
	}
	control := b.control[i][:in.Controllen]
	arrived, info := readControl(control)
	// A timestamp from the time before the clock was set tells nothing.
	if wait := now.Sub(arrived); wait < 0 || wait > time.Second {
		arrived = now
	}
	v := s.decide(&b.replies[b.count], b.requests[i][:in.length], from, arrived, clock)
	if v == silence {
		return
	}
	out := &b.out[b.count]
	out.Name, out.Namelen = in.Name, in.Namelen
	out.Control, out.Controllen = nil, 0
	if len(info) > 0 {
		answerFrom(info, from)
		out.Control = &info[0]
		out.SetControllen(len(info))
	}
	b.stamped[b.count] = v == answer
	b.count++
}

// receive reads as many requests as there are, at most a batch.
func (b *batch) receive(fd uintptr) (int, unix.Errno) {
	for i := range b.in {
		in := &b.in[i]
		in.Name = (*byte)(unsafe.Pointer(&b.senders[i]))
		in.Namelen = uint32(unsafe.Sizeof(b.senders[i]))
		in.Control = &b.control[i][0]
		in.SetControllen(controlSize)
	}
	b.count = 0
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&b.in)), batchSize, unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

// stamp writes into the replies that they leave now.
func (b *batch) stamp(now time.Time) {
	for i := range b.count {
		if b.stamped[i] {
			stamp(&b.replies[i], now)
		}
	}
}

// send sends the replies from number first on, and says up to which it came. One that cannot be sent, for want of a
// route to its client for one, is skipped: its client asks again. The error is EAGAIN where the socket is full.
func (b *batch) send(fd uintptr, first int) (int, unix.Errno) {
	for first < b.count {
		n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&b.out[first])), uintptr(b.count-first), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			first += int(n)
		case unix.EAGAIN:
			return first, errno
		case unix.EINTR:
		default:
			first++
		}
	}
	return first, 0
}

// sender is the address in a socket address, and invalid for one of neither family.
func sender(sa *unix.RawSockaddrInet6) netip.Addr {
	switch sa.Family {
	case unix.AF_INET:
		return netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(sa)).Addr)
	case unix.AF_INET6:
		return netip.AddrFrom16(sa.Addr).Unmap()
	}
	return netip.Addr{}
}

// readControl finds the time of arrival, zero where it is not told, and the control message that tells the address
// that was asked, header included.
func readControl(control []byte) (arrived time.Time, info []byte) {
	for len(control) >= unix.SizeofCmsghdr {
		header, body, rest, err := unix.ParseOneSocketControlMessage(control)
		if err != nil {
			return arrived, info
		}
		switch {
		case header.Level == unix.SOL_SOCKET && header.Type == unix.SCM_TIMESTAMPNS && len(body) >= int(unsafe.Sizeof(unix.Timespec{})):
			arrived = timespec(body)
		case header.Level == unix.IPPROTO_IP && header.Type == unix.IP_PKTINFO && len(body) == unix.SizeofInet4Pktinfo,
			header.Level == unix.IPPROTO_IPV6 && header.Type == unix.IPV6_PKTINFO && len(body) == unix.SizeofInet6Pktinfo:
			info = control[:unix.CmsgLen(len(body))]
		}
		control = rest
	}
	return arrived, info
}

// timespec reads a struct timespec, whose fields are as long as a pointer.
func timespec(b []byte) time.Time {
	if unsafe.Sizeof(unix.Timespec{}) == 8 {
		return time.Unix(int64(binary.NativeEndian.Uint32(b)), int64(binary.NativeEndian.Uint32(b[4:])))
	}
	return time.Unix(int64(binary.NativeEndian.Uint64(b)), int64(binary.NativeEndian.Uint64(b[8:])))
}

// answerFrom turns the packet information of a request into that of its answer, in place: the same address, but any
// interface, since the way back may be another one. Only a link-local client means nothing without the interface. For
// a request to a broadcast address the kernel has put its own address in (ip(7)); one to a multicast group leaves the
// choice to it.
func answerFrom(info []byte, client netip.Addr) {
	body := info[unix.CmsgLen(0):]
	if len(body) == unix.SizeofInet4Pktinfo {
		clear(body[:4]) // ipi_ifindex; ipi_spec_dst follows, ipi_addr is not read
		return
	}
	if netip.AddrFrom16([16]byte(body)).IsMulticast() {
		clear(body[:16])
	}
	if !client.IsLinkLocalUnicast() {
		clear(body[16:])
	}
}

// passing says whether a read error is about one datagram and not about the socket: the kernel reports ICMP errors
// that answer something sent earlier to whoever reads next.
func passing(errno unix.Errno) bool {
	switch errno {
	case unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.EHOSTDOWN, unix.EINTR:
		return true
	}
	return false
}
