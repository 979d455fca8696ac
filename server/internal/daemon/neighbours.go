package daemon

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/link"
	"github.com/metalform/terraform-provider-metal/server/internal/neighbour"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

const (
	sightingsEvery = 30 * time.Second // between two batches of what was seen on the wire
	sightingsAgain = time.Hour        // after which an address that is seen all the time is told again
	keepSightings  = 30 * 24 * time.Hour

	probesAhead = 32               // addresses behind the one that is asked for that are probed along with it
	probeHolds  = 30 * time.Second // how long an answer is believed
	probeTime   = 2 * time.Second  // that probing may take at most
	probesKept  = 4096
)

// openNeighbours watches the wire: for addresses that nobody was given, and for DHCP servers that nobody declared.
func (d *Daemon) openNeighbours(context.Context) error {
	c := d.cfg.Neighbours
	if *c.Listen {
		d.add("neighbours", strings.Join(append([]string{d.cfg.Interface}, d.cfg.Interfaces...), ", "), func(ctx context.Context) error {
			return link.Each(ctx, d.links, link.Service{Name: "neighbours", ByAddress: true, Log: d.log, Run: d.listenOn})
		})
	}
	every := duration(c.Rogues)
	if every == 0 || !*d.cfg.DHCP.Enabled {
		return nil
	}
	d.add("rogue DHCP detection", "every "+every.String(), func(ctx context.Context) error {
		return link.Each(ctx, d.links, link.Service{Name: "rogue DHCP detection", Log: d.log, Run: func(ctx context.Context, l link.Link) error {
			r := &rogues{db: d.db, name: l.Name, ours: func(six bool) bool { return d.site.serves(d.addressesOf(l), six) }}
			return neighbour.NewDetector(l.Index, d.links.Own, func(ctx context.Context, found []neighbour.Rogue) {
				if err := r.found(ctx, found); err != nil && ctx.Err() == nil {
					d.log.Error("keep what DHCP servers were found", "interface", l.Name, "error", err)
				}
			}).Run(ctx, every)
		}})
	})
	return nil
}

func (d *Daemon) listenOn(ctx context.Context, l link.Link) error {
	listener := neighbour.Listener{
		Link: l.Index, Sink: sightings{d.db, d.site, l.Addrs}, Every: sightingsEvery, Again: sightingsAgain, Own: d.links.Own, Log: d.log,
	}
	return listener.Run(ctx)
}

// sightings keeps what was seen on an interface.
type sightings struct {
	db    *store.DB
	site  *site
	addrs []netip.Prefix
}

// Seen is neighbour.Sink's.
func (s sightings) Seen(ctx context.Context, batch []neighbour.Sighting) error {
	_, subnets := s.site.around(s.addrs)
	return s.db.Update(ctx, func(tx *store.Tx) error {
		for _, seen := range batch {
			n := holding(subnets, seen.Address)
			if n == nil {
				continue // an address of nobody's network here
			}
			if err := tx.See(metal.Sighting{Subnet: n.Name, Addr: seen.Address, MAC: seen.Hardware, SeenAt: seen.When}); err != nil {
				return err
			}
		}
		return tx.ForgetSightings(tx.Now.Add(-keepSightings))
	})
}

// addressesOf are the addresses that an interface has now: those that it began with may be others.
func (d *Daemon) addressesOf(l link.Link) []netip.Prefix {
	if now, ok := d.links.ByIndex(l.Index); ok {
		return now.Addrs
	}
	return nil
}

// rogues tells of DHCP servers that nobody declared when they come and when they go.
type rogues struct {
	db    *store.DB
	name  string
	ours  func(six bool) bool // whether we give the addresses of a family there: else another server is meant to
	known []neighbour.Rogue
}

func (r *rogues) found(ctx context.Context, now []neighbour.Rogue) error {
	meant := func(s neighbour.Rogue) bool { return !r.ours(s.Server.Is6()) }
	now, r.known = slices.DeleteFunc(slices.Clone(now), meant), slices.DeleteFunc(r.known, meant)
	same := func(a neighbour.Rogue) func(neighbour.Rogue) bool {
		return func(b neighbour.Rogue) bool { return a.Server == b.Server && a.Hardware == b.Hardware }
	}
	var texts []string
	for _, s := range now {
		if !slices.ContainsFunc(r.known, same(s)) {
			offers := "no address"
			if s.Offered.IsValid() {
				offers = s.Offered.String()
			}
			texts = append(texts, fmt.Sprintf("another DHCP server, %s (%s), answers on %s and offers %s: take it off the network, or set the subnet's dhcp mode to proxy", s.Server, s.Hardware, r.name, offers))
		}
	}
	for _, s := range r.known {
		if !slices.ContainsFunc(now, same(s)) {
			texts = append(texts, fmt.Sprintf("the other DHCP server, %s (%s), does not answer on %s any more", s.Server, s.Hardware, r.name))
		}
	}
	if len(texts) == 0 {
		return nil
	}
	err := r.db.Update(ctx, func(tx *store.Tx) error {
		for _, text := range texts {
			if err := tx.AddEvent("rogue-dhcp", r.name, text); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		r.known = now
	}
	return err
}

// probe returns how the fleet finds out whether an address is in use; nil where it gives them unseen.
func (d *Daemon) probe() func(context.Context, metal.Subnet, netip.Addr) (string, bool) {
	if !*d.cfg.Neighbours.Probe {
		return nil
	}
	return newProber(d.links).probe
}

// prober asks on the wire whether an address is in use, before it is given away. A probe that nobody answers takes 300
// ms; so that many addresses in a row do not take as many of them, those behind the first are asked for at once.
type prober struct {
	onLink func(netip.Addr) (link.Link, bool)
	ask    asker
	now    func() time.Time

	mu    sync.Mutex
	known map[netip.Addr]*probed
}

// asker is neighbour.Prober.
type asker interface {
	Probe(ctx context.Context, index int, addr netip.Addr) (neighbour.Answer, error)
}

// probed is an address that is asked for, or was.
type probed struct {
	done   chan struct{} // closed when the rest is set
	answer neighbour.Answer
	err    error
	at     time.Time
}

func newProber(links *link.Watcher) *prober {
	return &prober{onLink: links.OnLink, ask: neighbour.NewProber(links.Own), now: time.Now, known: map[netip.Addr]*probed{}}
}

// probe is fleet.Config's Probe. Only what is on one of our links is asked for: an address behind a relay agent can be
// pinged at best, which many hosts do not answer.
func (p *prober) probe(ctx context.Context, subnet metal.Subnet, addr netip.Addr) (who string, inUse bool) {
	l, ok := p.onLink(addr)
	if !ok {
		return "", false
	}
	mine, first := p.begin(addr)
	if first {
		p.batch(ctx, l.Index, subnet.Spec.CIDR, addr, mine)
	}
	select {
	case <-mine.done:
	case <-ctx.Done():
		return "", false
	}
	if p.end(addr, mine); mine.err != nil {
		return "", false // it is not known; the address is given as it would be without asking
	}
	return string(mine.answer.Hardware), mine.answer.InUse
}

// batch asks for an address and for those behind it that nobody asks for yet. It returns when all are answered for.
func (p *prober) batch(ctx context.Context, index int, network netip.Prefix, addr netip.Addr, mine *probed) {
	// What others wait for must not end with this one's request.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTime)
	defer cancel()
	var all sync.WaitGroup
	ask := func(addr netip.Addr, k *probed) {
		all.Go(func() {
			k.answer, k.err = p.ask.Probe(ctx, index, addr)
			k.at = p.now()
			close(k.done)
			if k.err != nil {
				p.end(addr, k)
			}
		})
	}
	ask(addr, mine)
	for next, n := addr.Next(), 0; n < probesAhead && network.Contains(next) && !broadcasts(network, next); next, n = next.Next(), n+1 {
		if k, first := p.begin(next); first {
			ask(next, k)
		}
	}
	all.Wait()
}

// broadcasts says whether an address is the last one of an IPv4 network, where everybody is meant. Networks of one or
// two addresses have none such (RFC 3021).
func broadcasts(network netip.Prefix, addr netip.Addr) bool {
	return addr.Is4() && network.Bits() < 31 && !network.Contains(addr.Next())
}

// begin returns what is known of an address, or will be; first is true for who is to find out.
func (p *prober) begin(addr netip.Addr) (k *probed, first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if k := p.known[addr]; k != nil && !p.stale(k) {
		return k, false
	}
	if len(p.known) >= probesKept {
		maps.DeleteFunc(p.known, func(_ netip.Addr, k *probed) bool { return k.ended() })
	}
	k = &probed{done: make(chan struct{})}
	p.known[addr] = k
	return k, true
}

// end forgets an answer that was used, since who asked gives the address away; and one that is none.
func (p *prober) end(addr netip.Addr, k *probed) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known[addr] == k {
		delete(p.known, addr)
	}
}

func (p *prober) stale(k *probed) bool {
	return k.ended() && (k.err != nil || p.now().Sub(k.at) >= probeHolds)
}

func (k *probed) ended() bool {
	select {
	case <-k.done:
		return true
	default:
		return false
	}
}
