package ntp

import (
	"net/netip"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Tell answers ntpq's questions (RFC 9327), which change nothing, with how good the clock is and what upstreams says of
// the servers that are asked; nil where none are. Answers are longer than questions, so that only clients in the
// networks of Allow, and this machine, get any: where Allow names none, this machine alone. They count as requests for
// the time do, and whoever asks too often hears nothing. It must be called before Run.
func (s *Server) Tell(upstreams func(now time.Time) []Upstream) {
	s.tells = true
	s.upstreams = upstreams
}

// mayControl says whether a client gets answers that are longer than its question.
func (s *Server) mayControl(client netip.Addr) bool {
	return s.tells && (client.Unmap().IsLoopback() || len(s.allowed) > 0 && within(s.allowed, client))
}

// control decides on a control message, received at the time now: the messages that answer it.
func (s *Server) control(pkt []byte, from netip.Addr, now time.Time, clock *Clock) [][]byte {
	if !s.mayControl(from) || s.limiter.ask(from, true, now) != answer {
		return nil
	}
	told := system{clock: *clock, now: now}
	if s.upstreams != nil {
		told.peers = s.upstreams(now)
	}
	return controlOf(pkt).control(told)
}

// answerControl answers request i of the batch where it is a control message, and says whether it was one. They are
// seldom, and so sent by themselves. What the socket does not take at once is lost: its client asks again.
func (s *Server) answerControl(raw syscall.RawConn, b *batch, i int, now time.Time, clock *Clock) bool {
	in := &b.in[i]
	from, pkt := sender(&b.senders[i]), b.requests[i][:min(in.length, requestSize)]
	if !isControl(pkt) {
		return false
	}
	if in.Flags&unix.MSG_TRUNC != 0 || !from.IsValid() {
		return true
	}
	messages := s.control(pkt, from, now, clock)
	if len(messages) == 0 {
		return true
	}
	out := unix.Msghdr{Name: in.Name, Namelen: in.Namelen}
	if _, info := readControl(b.control[i][:in.Controllen]); len(info) > 0 {
		answerFrom(info, from)
		out.Control = &info[0]
		out.SetControllen(len(info))
	}
	// An error is the socket's end, which the next read tells, or the client's not being there.
	_ = raw.Write(func(fd uintptr) bool {
		for _, m := range messages {
			vector := unix.Iovec{Base: &m[0]}
			vector.SetLen(len(m))
			out.Iov = &vector
			out.SetIovlen(1)
			_, _, _ = unix.Syscall(unix.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(&out)), unix.MSG_DONTWAIT)
		}
		return true
	})
	return true
}
