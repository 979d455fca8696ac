package zone

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Config is what all zones have in common.
type Config struct {
	Zone       string       // the server's own zone, in which names are whose subnet has no domain
	NameServer string       // the server's name: NS of every zone
	Addrs      []netip.Addr // of that name, unless a declared thing has it
	Serial     uint32       // the zones' serial numbers begin above it: not below those of any earlier run
}

// Zones are all zones that the server is authoritative for.
type Zones struct {
	now atomic.Pointer[View]

	mu      sync.Mutex // held by whoever changes something
	state   state
	top     uint32 // the highest serial that any zone ever had
	watches map[*Watch]struct{}
}

// New makes the server's own zone. A name in config that is none is metal.Invalid.
func New(config Config) (*Zones, error) {
	apex, ok := parseName(config.Zone)
	if !ok {
		return nil, metal.Errorf(metal.Invalid, "the server's zone %q is not a domain name: set zone to one", config.Zone)
	}
	server, ok := parseName(config.NameServer)
	if !ok {
		return nil, metal.Errorf(metal.Invalid, "the name server's name %q is not a domain name: give this host a name that is one", config.NameServer)
	}
	z := &Zones{top: config.Serial, watches: map[*Watch]struct{}{}, state: newState(apex, server)}
	z.now.Store(&View{zones: newTrie[*Zone]()})
	z.Change(func(b *Batch) {
		b.keep(apex)
		b.replace(nil, addressClaims(server, own, config.Addrs))
	})
	return z, nil
}

// Now returns the present moment.
func (z *Zones) Now() *View { return z.now.Load() }

// Change lets f change what the zones are made of, and shows readers all of it at once when f returns. Each zone that
// is different then has the next serial.
func (z *Zones) Change(f func(*Batch)) {
	z.mu.Lock()
	defer z.mu.Unlock()
	f(&Batch{&z.state})
	z.publish()
}

// Expire takes the names of leases back that have ended, and says whether there were any.
func (z *Zones) Expire(now time.Time) bool {
	z.mu.Lock()
	defer z.mu.Unlock()
	ended := z.state.expire(now)
	if ended {
		z.publish()
	}
	return ended
}

// Top is the highest serial that any zone had in this run, in the sense of RFC 1982.
func (z *Zones) Top() uint32 {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.top
}
