package neighbour

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// remembered is how many pairs of address and card a Listener knows at most.
const remembered = 65536

// A Sighting tells that a card used an address.
type Sighting struct {
	Link     int // index of the interface
	Address  netip.Addr
	Hardware metal.MAC
	When     time.Time // last seen
}

// A Sink takes what a Listener saw.
type Sink interface {
	// Seen is told of each pair of address and card once per batch, one batch at a time. After an error the sightings
	// come again with the next batch.
	Seen(ctx context.Context, batch []Sighting) error
}

// A Listener hears who is on a link, without sending anything: ARP requests and announcements, neighbour solicitations
// and advertisements.
type Listener struct {
	Link int // index of the interface
	Sink Sink
	// Every is the time between two batches, more than zero. There is none when nothing is to be told.
	Every time.Duration
	// Again is the least time after which a pair that was told is told again, if it was seen since.
	Again time.Duration
	// Own says which addresses are this host's own: they are not told.
	Own func(netip.Addr) bool
	Log *slog.Logger
}

// Run listens until ctx ends, which is no error; it returns one when the interface cannot be listened on any more.
func (l *Listener) Run(ctx context.Context) error {
	arpWire, err := openWire(l.Link, etherARP)
	if err != nil {
		return fmt.Errorf("listen to ARP: %w", err)
	}
	ndpWire, err := openNDP(l.Link)
	if err != nil {
		arpWire.close()
		return fmt.Errorf("listen to Neighbor Discovery: %w", err)
	}

	var mu sync.Mutex
	seen := newTable(remembered, l.Again)
	failed := make(chan error, 2)
	var readers sync.WaitGroup
	defer readers.Wait()
	defer func() { // before that wait
		arpWire.close()
		ndpWire.close()
	}()
	hear := func(w *wire, sighted func([]byte) (claim, bool)) {
		buffer := make([]byte, frameSpace)
		for {
			frame, err := w.receive(buffer)
			if err != nil {
				failed <- err
				return
			}
			if c, ok := sighted(frame); ok && c.hardware != w.hardware && !l.Own(c.addr) {
				mu.Lock()
				seen.note(pair{c.addr, c.hardware}, time.Now())
				mu.Unlock()
			}
		}
	}
	readers.Go(func() { hear(arpWire, sightedARP) })
	readers.Go(func() { hear(ndpWire, sightedNDP) })

	ticker := time.NewTicker(l.Every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return fmt.Errorf("listen to neighbours: %w", err)
		case now := <-ticker.C:
			mu.Lock()
			batch := seen.take(l.Link, now)
			mu.Unlock()
			if len(batch) == 0 {
				continue
			}
			if err := l.Sink.Seen(ctx, batch); err != nil && ctx.Err() == nil {
				l.Log.WarnContext(ctx, "sightings of neighbours are not stored; trying again", "count", len(batch), "error", err)
				mu.Lock()
				seen.untake(now)
				mu.Unlock()
			}
		}
	}
}

// sightedARP takes requests and announcements. Other replies may be those of a router that answers for hosts behind it
// (RFC 1027).
func sightedARP(frame []byte) (claim, bool) {
	a, ok := parseARP(frame)
	if !ok || a.op == arpReply && a.sender != a.target {
		return claim{}, false
	}
	c, ok := a.claim()
	return c, ok && !c.tentative
}

func sightedNDP(frame []byte) (claim, bool) {
	n, ok := parseNDP(frame)
	if !ok {
		return claim{}, false
	}
	c, ok := n.claim()
	return c, ok && !c.tentative
}
