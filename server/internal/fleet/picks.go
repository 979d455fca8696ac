package fleet

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/ipam"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// mostCandidates bounds how many addresses are probed for one that is to be given away, and how often an allocation
// begins anew because others were quicker.
const mostCandidates = 8

// errAgain says that an allocation needs an address that was not probed: something changed since.
var errAgain = errors.New("an address that was not probed")

// A want is an address that an allocation is about to give away: the next free one of a subnet, or the one that was
// asked for.
type want struct {
	subnet string
	addr   netip.Addr
	mac    metal.MAC // of who is to have it: that it answers already is no conflict
}

// picks are the addresses that one allocation chose. They are held until it ends, so that nobody else chooses them.
type picks struct {
	f       *Fleet
	probing bool // only probed ones are given away
	now     time.Time
	held    []place
	probed  map[place]bool
}

// A place is an address of a subnet.
type place struct {
	subnet string
	addr   netip.Addr
}

func (f *Fleet) newPicks() *picks { return &picks{f: f, probed: map[place]bool{}} }

// release ends the allocation.
func (p *picks) release() {
	for _, h := range p.held {
		p.f.ledger.book(h.subnet, func(b *ipam.Book) { b.Release(h.addr) })
	}
}

// allocate runs a transaction that gives addresses away. Where hosts are probed, plan says before which addresses it
// will want, and do gets them; it runs again where it wanted another one.
func (f *Fleet) allocate(ctx context.Context, plan func(*store.Tx) ([]want, error), do func(*store.Tx, *picks) error) error {
	if f.cfg.Probe == nil {
		p := f.newPicks()
		defer p.release()
		return f.cfg.DB.Update(ctx, func(tx *store.Tx) error { return do(tx, p) })
	}
	for range mostCandidates {
		if err := f.attempt(ctx, plan, do); !errors.Is(err, errAgain) {
			return err
		}
	}
	return metal.Errorf(metal.Conflict, "others took the addresses that were about to be given, %d times: try again", mostCandidates)
}

func (f *Fleet) attempt(ctx context.Context, plan func(*store.Tx) ([]want, error), do func(*store.Tx, *picks) error) error {
	p := f.newPicks()
	p.probing = true
	defer p.release()
	var wants []want
	err := f.cfg.DB.Read(ctx, func(tx *store.Tx) (err error) {
		p.now = tx.Now
		wants, err = plan(tx)
		return err
	})
	if err != nil {
		return err
	}
	for _, w := range wants {
		if err := p.probe(ctx, w); err != nil {
			return err
		}
	}
	return f.cfg.DB.Update(ctx, func(tx *store.Tx) error { return do(tx, p) })
}

// probe looks for an address that nothing answers on.
func (p *picks) probe(ctx context.Context, w want) error {
	spec, known := p.f.ledger.all()[w.subnet]
	if !known {
		return nil // the transaction says so in better words
	}
	s := metal.Subnet{Name: w.subnet, Spec: spec}
	if w.addr.IsValid() {
		who, inUse := p.f.cfg.Probe(ctx, s, w.addr)
		if mac, err := metal.ParseMAC(who); inUse && (err != nil || mac != w.mac) {
			if err := p.f.saw(ctx, s, w.addr, who); err != nil {
				return err
			}
			return metal.Errorf(metal.Conflict, "%s of subnet %s is in use: %s answers there; choose another address, or take that one off the network", w.addr, s.Name, whoever(who))
		}
		p.probed[place{s.Name, w.addr}] = true
		return ctx.Err()
	}
	for range mostCandidates {
		addr, ok := p.next(s.Name)
		if !ok {
			return exhausted(s)
		}
		who, inUse := p.f.cfg.Probe(ctx, s, addr)
		if err := ctx.Err(); err != nil {
			return err
		}
		if !inUse {
			p.probed[place{s.Name, addr}] = true
			return nil
		}
		if err := p.f.saw(ctx, s, addr, who); err != nil {
			return err
		}
	}
	return metal.Errorf(metal.Conflict, "the next %d free addresses of subnet %s are in use by others: look at them with metalctl subnets addresses %s", mostCandidates, s.Name, s.Name)
}

func whoever(who string) string {
	if who == "" {
		return "somebody"
	}
	return who
}

// saw keeps that somebody answers on an address that is nobody's.
func (f *Fleet) saw(ctx context.Context, s metal.Subnet, addr netip.Addr, who string) error {
	mac, _ := metal.ParseMAC(who) // what is no MAC address is only told
	return f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		if err := tx.See(metal.Sighting{Subnet: s.Name, Addr: addr, MAC: mac, SeenAt: tx.Now}); err != nil {
			return err
		}
		return tx.AddEvent("subnet", s.Name, fmt.Sprintf("%s was about to be given away and is in use: %s answers there", addr, whoever(who)))
	})
}

// next holds the next free address of a subnet.
func (p *picks) next(subnet string) (addr netip.Addr, ok bool) {
	p.f.ledger.book(subnet, func(b *ipam.Book) {
		if addr, ok = b.Next(p.now); ok {
			b.Hold(addr)
			p.held = append(p.held, place{subnet, addr})
		}
	})
	return addr, ok
}

// take returns an address of a subnet to give away in a write transaction: the next free one, or one that was probed.
func (p *picks) take(tx *store.Tx, s *metal.Subnet) (netip.Addr, error) {
	if !p.probing {
		p.now = tx.Now
		addr, ok := p.next(s.Name)
		if !ok {
			return netip.Addr{}, exhausted(*s)
		}
		return addr, nil
	}
	for _, h := range p.held {
		free := false
		p.f.ledger.book(s.Name, func(b *ipam.Book) { free = b.Free(h.addr, tx.Now) })
		if h.subnet == s.Name && p.probed[h] && free {
			delete(p.probed, h) // the next one takes another
			return h.addr, nil
		}
	}
	return netip.Addr{}, errAgain
}

// vetted refuses, for this time, to give away an address that was asked for and not probed.
func (p *picks) vetted(subnet string, addr netip.Addr) error {
	if p.probing && !p.probed[place{subnet, addr}] {
		return errAgain
	}
	return nil
}

func exhausted(s metal.Subnet) error {
	return metal.Errorf(metal.Exhausted, "subnet %s (%s) has no free address left: enlarge it, shrink its ranges, or forget what has addresses in it", s.Name, s.Spec.CIDR)
}
