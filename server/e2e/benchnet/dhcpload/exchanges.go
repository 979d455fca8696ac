package dhcpload

import "time"

// exchanges are those of one load, without the sockets: what to send next, and what comes of what is received. Time is
// told as what has passed since the start.
type exchanges struct {
	first   Client
	clients uint32
	rate    float64
	until   time.Duration // when the last exchange begins

	open   map[uint32]exchange // by transaction id
	next   uint32
	result Result
	owner  map[uint32]uint32 // address -> client that has it
}

type exchange struct {
	client Client
	begun  time.Duration
	asked  bool // REQUEST is sent
}

func newExchanges(l Load) *exchanges {
	return &exchanges{
		first: l.First, clients: uint32(l.Clients), rate: l.Rate, until: l.For, open: map[uint32]exchange{}, owner: map[uint32]uint32{},
		result: Result{For: l.For},
	}
}

// due says how many exchanges are to be begun at the time now.
func (e *exchanges) due(now time.Duration) int {
	return int(min(now, e.until).Seconds()*e.rate) - e.result.Begun
}

// over says whether nothing is left to be sent, and nothing to be waited for.
func (e *exchanges) over(now time.Duration) bool {
	return now > e.until+patience || (now > e.until && e.due(now) == 0 && len(e.open) == 0)
}

// begin begins the next exchange with a DISCOVER that it writes over b. Clients take turns.
func (e *exchanges) begin(b []byte, now time.Duration) []byte {
	e.next++
	c := e.first + Client(e.next%e.clients)
	e.open[e.next] = exchange{client: c, begun: now}
	e.result.Begun++
	return appendDiscover(b, c, e.next)
}

// take takes what was received. It returns the REQUEST to be sent, written over b, or nil.
func (e *exchanges) take(packet, b []byte, now time.Duration) []byte {
	r, ok := parse(packet)
	if !ok {
		e.result.Strange++
		return nil
	}
	x, ok := e.open[r.xid]
	if !ok || x.client.MAC() != r.mac {
		e.result.Strange++
		return nil
	}
	switch {
	case r.kind == offer && !x.asked:
		x.asked = true
		e.open[r.xid] = x
		return appendRequest(b, x.client, r.xid, r)
	case r.kind == ack && x.asked:
		delete(e.open, r.xid)
		e.result.Times = append(e.result.Times, now-x.begun)
		e.own(r, x.client)
	case r.kind == nak:
		delete(e.open, r.xid)
		e.result.Refused++
	default:
		e.result.Strange++
	}
	return nil
}

// own notes whose the address is now. Leases outlive the load, so an address with a second owner was given out twice.
func (e *exchanges) own(r reply, c Client) {
	a := r.addr.As4()
	key := uint32(a[0])<<24 | uint32(a[1])<<16 | uint32(a[2])<<8 | uint32(a[3])
	if had, ok := e.owner[key]; ok && had != uint32(c) {
		e.result.Duplicates++
	}
	e.owner[key] = uint32(c)
}
