package dns

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// RateLimit bounds what is sent by UDP to one network, of 24 bits by IPv4 and 56 by IPv6, so that nobody who forges
// the sender of requests can use us to flood another. What is too much is left out, but each second time answered in a
// few bytes that say "ask by TCP", which only a true client does. Clients on this machine are never limited. The zero
// value limits nobody.
type RateLimit struct {
	Answers int            // per second to one question; ten times as many to all together
	Errors  int            // per second that deny or refuse
	Exempt  []netip.Prefix // clients that are trusted
}

// A verdict is what becomes of an answer.
type verdict int

const (
	send verdict = iota
	slip         // answer that the client is to come by TCP
	drop
)

const (
	limitShards = 64
	limitSets   = 128 // in a shard
	limitWays   = 4   // buckets in a set: which one a key has may be any of them
	burst       = time.Second
)

// A bucket counts one kind of answer to one network.
type bucket struct {
	key uint64
	due int64 // the time in ns by which what was sent would have been sent at the allowed rate (GCRA)
}

// limiter is a table of fixed size: an attacker with many networks makes it forget, and never grow.
type limiter struct {
	config RateLimit
	seed   maphash.Seed
	shards []limitShard
}

type limitShard struct {
	mu    sync.Mutex
	slips uint32
	sets  [limitSets][limitWays]bucket
}

func newLimiter(config RateLimit) *limiter {
	l := &limiter{config: config, seed: maphash.MakeSeed()}
	if config.Answers > 0 || config.Errors > 0 {
		l.shards = make([]limitShard, limitShards)
	}
	return l
}

// judge decides on an answer, of which wire is the message.
func (l *limiter) judge(client netip.Addr, wire []byte, now time.Time) verdict {
	if l.shards == nil || client.IsLoopback() || within(l.config.Exempt, client) {
		return send
	}
	network := l.network(client)
	end := questionEnd(wire)
	if end == 0 || wire[3]&0xf != dns.RcodeSuccess {
		return l.count(mix(network, 1+uint64(wire[3]&0xf)), l.config.Errors, now)
	}
	h := network
	for _, c := range wire[headerSize:end] {
		h = mix(h, uint64(c|0x20)) // capitals make no other question
	}
	if v := l.count(h, l.config.Answers, now); v != send {
		return v
	}
	return l.count(mix(network, 0), 10*l.config.Answers, now)
}

// network is the key of a client's network.
func (l *limiter) network(client netip.Addr) uint64 {
	client = client.Unmap()
	a := client.As16()
	if client.Is4() {
		return maphash.Bytes(l.seed, a[:15])
	}
	return maphash.Bytes(l.seed, a[:7])
}

// mix is one step of FNV-1a with a few more bits stirred. The start is secret.
func mix(h, v uint64) uint64 {
	h = (h ^ v) * 0x100000001b3
	return h ^ h>>29
}

// count counts one answer; 0 per second is no limit.
func (l *limiter) count(key uint64, perSecond int, now time.Time) verdict {
	if perSecond <= 0 {
		return send
	}
	s := &l.shards[key%limitShards]
	at := now.UnixNano()
	s.mu.Lock()
	defer s.mu.Unlock()
	set := &s.sets[key/limitShards%limitSets]
	b := &set[0]
	for i := range set {
		if set[i].key == key {
			b = &set[i]
			break
		}
		if set[i].due < b.due {
			b = &set[i]
		}
	}
	if b.key != key || b.due > at+2*int64(burst) { // new, or the clock was set back
		*b = bucket{key: key}
	}
	if b.due-at >= int64(burst) {
		s.slips++
		if s.slips%2 == 0 {
			return slip
		}
		return drop
	}
	b.due = max(b.due, at) + int64(time.Second)/int64(perSecond)
	return send
}

// questionEnd is where the only question of a message ends; 0 where it has none, or another form.
func questionEnd(wire []byte) int {
	if len(wire) < headerSize || binary.BigEndian.Uint16(wire[4:]) != 1 {
		return 0
	}
	at := headerSize
	for at < len(wire) && wire[at] != 0 {
		if wire[at] > 63 {
			return 0
		}
		at += 1 + int(wire[at])
	}
	if at+5 > len(wire) {
		return 0
	}
	return at + 5
}

// toTCP makes of an answer one that only tells the client to come by TCP, in place.
func toTCP(wire []byte) []byte {
	end := questionEnd(wire)
	if end == 0 {
		return nil
	}
	wire[2] |= 0x02 // TC
	wire[3] &^= 0xf
	clear(wire[6:headerSize])
	return wire[:end]
}
