package dns

import (
	"log/slog"
	"net"
	"net/netip"
	"sync"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/metalform/terraform-provider-metal/server/internal/udp"
)

const (
	// sendBatch datagrams leave with one system call at most: where those are dear, as in virtual machines, sending
	// one by one costs four times what all the rest of an answer does.
	sendBatch = 32

	// sendQueue answers may wait to leave; handlers then wait for room.
	sendQueue = 256
)

// An outbox sends answers in batches: those that are ready while others are on their way leave together. Nothing waits
// for company.
type outbox struct {
	conn   *udp.Conn
	log    *slog.Logger
	batch  batchWriter
	queue  chan *outgoingAnswer
	unused sync.Pool
}

// batchWriter is what ipv4.PacketConn and ipv6.PacketConn have in common: many datagrams with one system call.
type batchWriter interface {
	WriteBatch(messages []ipv4.Message, flags int) (int, error)
}

// outgoingAnswer is an answer on its way, with the room that it is written in.
type outgoingAnswer struct {
	buffer [ednsSize]byte
	size   int
	to     net.UDPAddr
	ip     [16]byte // of to
	from   source
	oob    []byte // says the source to the kernel
}

// source is what an answer is sent from: the address that was asked, and for IPv6 link-local clients, whose address
// means nothing without it, the interface.
type source struct {
	addr    netip.Addr
	ifIndex int
}

func newOutbox(conn *udp.Conn, log *slog.Logger) *outbox {
	o := &outbox{
		conn: conn, log: log, queue: make(chan *outgoingAnswer, sendQueue),
		unused: sync.Pool{New: func() any { return new(outgoingAnswer) }},
	}
	if conn.LocalAddr().Addr().Is4() {
		o.batch = ipv4.NewPacketConn(conn.Socket())
	} else {
		o.batch = ipv6.NewPacketConn(conn.Socket())
	}
	return o
}

// take returns room for an answer, which is put, or dropped.
func (o *outbox) take() *outgoingAnswer { return o.unused.Get().(*outgoingAnswer) }

func (o *outbox) drop(a *outgoingAnswer) { o.unused.Put(a) }

// put sends wire, which may have been written into the room of a, to the sender of d.
func (o *outbox) put(a *outgoingAnswer, wire []byte, d udp.Datagram) {
	if len(wire) > len(a.buffer) { // the complaint about a request with many questions gives them all back
		o.drop(a)
		if err := o.conn.Reply(d, wire); err != nil {
			o.log.Debug("DNS answer not sent", "client", d.From, "error", err)
		}
		return
	}
	a.size = copy(a.buffer[:], wire)
	a.address(d)
	o.queue <- a
}

// address sets where the answer to d goes, and comes from.
func (a *outgoingAnswer) address(d udp.Datagram) {
	client := d.From.Addr()
	if client.Is4() {
		ip := client.As4()
		a.to.IP = append(a.ip[:0], ip[:]...)
	} else {
		a.ip = client.As16()
		a.to.IP = a.ip[:]
	}
	a.to.Port = int(d.From.Port())
	from := source{addr: d.To}
	if client.Is6() && client.IsLinkLocalUnicast() {
		from.ifIndex = d.IfIndex
	}
	if from == a.from && a.oob != nil {
		return // as the one before that had this room
	}
	a.from, a.oob = from, from.control(client.Is4())
}

// control is the control message that says so (ip(7), IP_PKTINFO; RFC 3542, section 6.1).
func (s source) control(is4 bool) []byte {
	var ip net.IP
	if s.addr.IsValid() && !s.addr.IsUnspecified() && !s.addr.IsMulticast() && s.addr.Is4() == is4 {
		ip = s.addr.AsSlice()
	}
	if ip == nil && s.ifIndex == 0 {
		return []byte{}
	}
	if is4 {
		return (&ipv4.ControlMessage{Src: ip, IfIndex: s.ifIndex}).Marshal()
	}
	return (&ipv6.ControlMessage{Src: ip, IfIndex: s.ifIndex}).Marshal()
}

// close ends run, when no put comes any more.
func (o *outbox) close() { close(o.queue) }

// run sends until close is called, and returns when everything is sent.
func (o *outbox) run() {
	answers := make([]*outgoingAnswer, 0, sendBatch)
	messages := make([]ipv4.Message, sendBatch)
	for i := range messages {
		messages[i].Buffers = make([][]byte, 1)
	}
	for first := range o.queue {
		answers = o.gather(append(answers[:0], first))
		for i, a := range answers {
			messages[i].Buffers[0], messages[i].OOB, messages[i].Addr = a.buffer[:a.size], a.oob, &a.to
		}
		o.write(messages[:len(answers)])
		for _, a := range answers {
			o.unused.Put(a)
		}
	}
}

// gather adds the answers that are ready.
func (o *outbox) gather(answers []*outgoingAnswer) []*outgoingAnswer {
	for len(answers) < sendBatch {
		select {
		case a, ok := <-o.queue:
			if !ok {
				return answers
			}
			answers = append(answers, a)
		default:
			return answers
		}
	}
	return answers
}

// write sends messages. One that the kernel does not take is left out: the client asks again, or not.
func (o *outbox) write(messages []ipv4.Message) {
	for len(messages) > 0 {
		sent, err := o.batch.WriteBatch(messages, 0)
		sent = max(sent, 0)
		if err != nil && sent < len(messages) {
			o.log.Debug("DNS answer not sent", "client", messages[sent].Addr, "error", err)
			sent++
		}
		messages = messages[sent:]
	}
}
