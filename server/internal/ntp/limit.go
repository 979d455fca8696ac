package ntp

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

const (
	// A client may ask burst times at once (iburst is 8 packets, ntpdate's 4 a run), and once each refill after that;
	// the shortest poll interval of a well-behaved one is 16 s (RFC 5905, MINPOLL).
	burst  = 16
	refill = 2 * time.Second

	// kissEvery is how often a client beyond that is told so; in between it hears nothing, since an answer to each
	// packet with a forged sender would hit the one it names.
	kissEvery = 8 * time.Second

	// clients that are remembered; each takes some 90 bytes.
	clients = 16384
	// locks share the table, so that the sockets' loops seldom wait for one another.
	locks = 64
)

// A verdict is what a client gets.
type verdict int

const (
	answer verdict = iota
	rate           // a kiss of death: too often
	deny           // a kiss of death: not at all
	silence
)

// limiter counts requests by client in bounded memory: a table in which a newcomer takes the place of whoever was
// there, whose allowance then starts anew. It is safe for use by many goroutines.
type limiter struct {
	seed  maphash.Seed
	locks [locks]sync.Mutex
	slots [clients]allowance
}

// allowance is what one client has left.
type allowance struct {
	client netip.Addr
	left   int
	filled time.Time // up to when left was refilled
	kissed time.Time // when it was last sent a kiss of death
}

func newLimiter() *limiter { return &limiter{seed: maphash.MakeSeed()} }

// ask says what the client gets for a request at the time now. allowed is whether it may ask at all.
func (l *limiter) ask(client netip.Addr, allowed bool, now time.Time) verdict {
	client = site(client)
	slot := maphash.Comparable(l.seed, client) % clients
	lock := &l.locks[slot%locks]
	lock.Lock()
	defer lock.Unlock()
	a := &l.slots[slot]
	if a.client != client || now.Before(a.filled) { // the clock may have been set back
		*a = allowance{client: client, left: burst, filled: now}
	}
	if gained := int(now.Sub(a.filled) / refill); gained > 0 {
		a.left = min(a.left+gained, burst)
		a.filled = a.filled.Add(time.Duration(gained) * refill)
	}
	if allowed && a.left > 0 {
		a.left--
		return answer
	}
	if !a.kissed.IsZero() && now.Sub(a.kissed) < kissEvery {
		return silence
	}
	a.kissed = now
	if allowed {
		return rate
	}
	return deny
}

// site is what counts as one client: an IPv4 address, or an IPv6 /64, in which one host may have any number of
// addresses. Link-local addresses are all of one /64, and so count by themselves.
func site(client netip.Addr) netip.Addr {
	client = client.Unmap().WithZone("")
	if client.Is4() || client.IsLinkLocalUnicast() {
		return client
	}
	prefix, err := client.Prefix(64)
	if err != nil {
		return client
	}
	return prefix.Addr()
}
