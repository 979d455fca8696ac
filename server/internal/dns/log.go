package dns

import (
	"context"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// maxLogged lines of one kind are written per second; how many were left out is said with the next one that is.
const maxLogged = 1000

// Stats count what the server did since it was made.
type Stats struct {
	UDP, TCP  uint64         // requests
	Answers   map[int]uint64 // by code, those of transfers included; NOERROR is 0
	Forwarded uint64         // questions that upstreams were asked
	CacheHits uint64         // questions that they need not be asked again
	Transfers uint64         // zones that were copied, in full or in part
	Updates   uint64         // DNS UPDATEs that were made
	Limited   uint64         // answers by UDP that were too many for their client
	Dropped   uint64         // requests by UDP that came too fast to be read
}

// maxRcode is the last code that is counted by itself.
const maxRcode = 23

// counters are what Stats is made of.
type counters struct {
	udp, tcp, transfers, updates, limited atomic.Uint64
	answers                               [maxRcode + 1]atomic.Uint64
}

// Stats tells what the server did.
func (s *Server) Stats() Stats {
	stats := Stats{
		UDP: s.counters.udp.Load(), TCP: s.counters.tcp.Load(), Answers: map[int]uint64{},
		Forwarded: s.forwarder.asked.Load(), CacheHits: s.forwarder.hits.Load(),
		Transfers: s.counters.transfers.Load(), Updates: s.counters.updates.Load(), Limited: s.counters.limited.Load(),
	}
	for rcode := range s.counters.answers {
		if n := s.counters.answers[rcode].Load(); n > 0 {
			stats.Answers[rcode] = n
		}
	}
	for _, conn := range s.conns {
		stats.Dropped += conn.Stats().Dropped
	}
	return stats
}

// sampler lets so many lines a second be written.
type sampler struct {
	second  atomic.Int64
	written atomic.Int64
	left    atomic.Int64
}

// take says whether one more line may be written, and how many were not since the last one.
func (s *sampler) take(now time.Time, limit int64) (leftOut int64, ok bool) {
	if second := now.Unix(); s.second.Swap(second) != second {
		s.written.Store(0)
	}
	if s.written.Add(1) > limit {
		s.left.Add(1)
		return 0, false
	}
	return s.left.Swap(0), true
}

// note counts an answer, and writes it to the query log if there is one.
func (s *Server) note(client netip.AddrPort, transport string, wire []byte, asked time.Time) {
	if len(wire) < headerSize {
		return
	}
	rcode := int(wire[3] & 0xf)
	s.counters.answers[rcode].Add(1)
	if !s.config.QueryLog {
		return
	}
	now := time.Now()
	leftOut, ok := s.queryLog.take(now, maxLogged)
	if !ok {
		return
	}
	name, qtype := questionOf(wire)
	attrs := []slog.Attr{
		slog.String("client", client.String()), slog.String("by", transport), slog.String("name", name), slog.String("type", qtype),
		slog.String("rcode", dns.RcodeToString[rcode]), slog.Duration("took", now.Sub(asked)),
	}
	if leftOut > 0 {
		attrs = append(attrs, slog.Int64("left_out", leftOut))
	}
	s.log.LogAttrs(context.Background(), slog.LevelInfo, "DNS query", attrs...)
}

// questionOf reads the question of a message for the log.
func questionOf(wire []byte) (name, qtype string) {
	end := questionEnd(wire)
	if end == 0 {
		return "", ""
	}
	name, at, err := dns.UnpackDomainName(wire[:end], headerSize)
	if err != nil {
		return "", ""
	}
	return name, dns.Type(uint16(wire[at])<<8 | uint16(wire[at+1])).String()
}
