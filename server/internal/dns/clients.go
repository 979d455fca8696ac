package dns

import (
	"net/netip"
	"sync"
)

// maxPerClient connections of one client are open at once; more are closed, so that no client can have them all (RFC
// 7766, section 6.2.2).
const maxPerClient = 32

// clients counts open connections by client. Those of an IPv6 network of 64 bits are one, which has as many addresses
// as it likes.
type clients struct {
	mu   sync.Mutex
	open map[netip.Addr]int
}

// enter says whether a client may have one more; then leave must follow.
func (c *clients) enter(client netip.Addr) bool {
	client = countedAs(client)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[client] >= maxPerClient {
		return false
	}
	if c.open == nil {
		c.open = map[netip.Addr]int{}
	}
	c.open[client]++
	return true
}

func (c *clients) leave(client netip.Addr) {
	client = countedAs(client)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[client]--; c.open[client] == 0 {
		delete(c.open, client)
	}
}

// countedAs is what is counted as one client.
func countedAs(client netip.Addr) netip.Addr {
	if client = client.Unmap(); client.Is4() {
		return client
	}
	network, err := client.WithZone("").Prefix(64)
	if err != nil {
		return client
	}
	return network.Addr()
}
