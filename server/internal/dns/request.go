package dns

import (
	"context"
	"iter"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"github.com/metalform/terraform-provider-metal/server/internal/udp"
	"github.com/metalform/terraform-provider-metal/server/internal/zone"
)

const (
	// maxUpdates wait for the database at once, and maxTransfers are sent; more get SERVFAIL.
	maxUpdates   = 64
	maxTransfers = 16
)

// A turn is what is done about one request.
type turn struct {
	q       *dns.Msg
	sig     *signature
	answer  *dns.Msg                       // to be sent; nil where nothing is
	later   func(context.Context) *dns.Msg // makes the answer, and takes time for it
	slots   *slots                         // that later needs one of
	records iter.Seq[dns.RR]               // that the answer has, in as many messages as it takes
}

// turn decides about a request that is not a plain question.
func (s *Server) turn(request []byte, client netip.Addr, view *zone.View, recursive bool) (t turn) {
	var err error
	if t.q, t.answer, err = parse(request); err != nil {
		return t
	}
	now := time.Now()
	var rcode int
	if t.sig, rcode = verify(request, t.q, s.config.Keys, now); rcode != dns.RcodeSuccess {
		t.answer = reply(t.q, s.self)
		t.answer.Rcode = rcode
		return t
	}
	if t.q.Opcode == dns.OpcodeUpdate && s.config.Updater != nil {
		s.update(&t, view)
		return t
	}
	answer, elsewhere := decide(t.q, view, s.self)
	t.answer = answer
	switch {
	case answer == nil:
	case answer.Rcode == dns.RcodeRefused && isTransfer(t.q):
		copied := transferOf(t.q, view, client, t.sig.by())
		answer.Rcode, t.records = copied.rcode, copied.records
		answer.Authoritative = t.records != nil
	case recursive:
		answer.RecursionAvailable = true
		if elsewhere && t.q.RecursionDesired {
			s.forward(&t, now)
		}
	}
	return t
}

// isTransfer says whether a query of the right form asks for a zone.
func isTransfer(q *dns.Msg) bool {
	question := q.Question[0]
	return question.Qclass == dns.ClassINET && (question.Qtype == dns.TypeAXFR || question.Qtype == dns.TypeIXFR)
}

// forward answers from the cache, or has upstreams asked.
func (s *Server) forward(t *turn, now time.Time) {
	if known, ok := s.forwarder.known(t.q, now); ok {
		t.answer = known
		return
	}
	q := t.q
	t.slots = s.forwarder.slots
	t.later = func(ctx context.Context) *dns.Msg {
		answer, err := s.forwarder.answer(ctx, q)
		if err != nil && ctx.Err() == nil {
			if leftOut, ok := s.complaints.take(time.Now(), 1); ok {
				s.log.Warn("DNS upstream failed", "error", err, "left_out", leftOut)
			}
		}
		return answer
	}
}

// update has an update made, if it may be.
func (s *Server) update(t *turn, view *zone.View) {
	t.answer = reply(t.q, s.self)
	q, by := t.q, t.sig.by()
	z, rcode := mayUpdate(q, view, by)
	if rcode != dns.RcodeSuccess {
		t.answer.Rcode = rcode
		return
	}
	t.slots = s.updates
	t.later = func(ctx context.Context) *dns.Msg {
		answer := reply(q, s.self)
		changed := 0
		rcode, err := s.config.Updater.Update(ctx, func(c Content) ([]RecordChange, int, error) {
			changes, rcode, err := decideUpdate(q, by, c)
			changed = len(changes)
			return changes, rcode, err
		})
		answer.Rcode = rcode
		switch {
		case err != nil:
			answer.Rcode = dns.RcodeServerFailure
			s.log.Warn("DNS update not made", "zone", z.Name(), "key", by, "error", err)
		case rcode == dns.RcodeSuccess:
			s.counters.updates.Add(1)
			s.log.Info("DNS update made", "zone", z.Name(), "key", by, "record_sets", changed)
		default:
			s.log.Info("DNS update refused", "zone", z.Name(), "key", by, "rcode", dns.RcodeToString[rcode])
		}
		return answer
	}
}

// wire packs an answer, in at most limit bytes, and signs it where the request was signed.
func (t *turn) wire(m *dns.Msg, limit int, buf []byte) ([]byte, error) {
	wire, err := pack(m, limit-t.sig.size(), buf)
	if err != nil || t.sig == nil {
		return wire, err
	}
	return t.sig.sign(m, time.Now())
}

// datagram packs the answer m to a request by UDP, into buf where that is large enough; nil where there is none.
func (s *Server) datagram(client netip.AddrPort, t *turn, m *dns.Msg, buf []byte) []byte {
	if m == nil {
		return nil
	}
	limit := byDatagram.limit(t.q)
	if t.records != nil {
		m = inOne(m, t.records, limit-t.sig.size())
	}
	wire, err := t.wire(m, limit, buf)
	if err != nil {
		s.log.Warn("DNS answer cannot be written", "client", client, "error", err)
		return nil
	}
	return wire
}

// limited counts the answer to the datagram d, and returns what of it may be sent, which may be nothing.
func (s *Server) limited(d udp.Datagram, wire []byte) []byte {
	if wire == nil {
		return nil
	}
	s.note(d.From, "udp", wire, d.At)
	switch s.limiter.judge(d.From.Addr(), wire, d.At) {
	case send:
		return wire
	case slip:
		wire = toTCP(wire)
	case drop:
		wire = nil
	}
	s.counters.limited.Add(1)
	return wire
}

// sendLate answers the datagram d.
func (s *Server) sendLate(conn *udp.Conn, d udp.Datagram, wire []byte) {
	if wire = s.limited(d, wire); wire == nil {
		return
	}
	if err := conn.Reply(d, wire); err != nil {
		s.log.Debug("DNS answer not sent", "client", d.From, "error", err)
	}
}
