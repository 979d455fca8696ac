package neighbour

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// mostProbes is how many probes run at the same time; more wait for their turn.
const mostProbes = 256

// How an Answer was found.
const (
	ByARP  = "ARP"
	ByNDP  = "NDP"
	ByICMP = "ICMP"
	ByOwn  = "own" // the address is one of this host
)

// Answer says whether somebody uses an address.
type Answer struct {
	InUse bool
	// Hardware is whose it is; empty where nobody's, or where that cannot be seen, beyond a router.
	Hardware metal.MAC
	// By is ByARP, ByNDP, ByICMP or ByOwn; empty where nobody answered.
	By string
}

// An asker asks on one socket who uses addresses.
type asker interface {
	ask(addr netip.Addr) error
	// hear blocks for the next address that is in use, asked for or not. Its error ends the socket.
	hear() (netip.Addr, Answer, error)
	close()
	rhythm() rhythm
}

// rhythm is when questions are repeated and when nobody is taken to have answered.
type rhythm struct {
	questions int
	gap       time.Duration // after each question, the last one as well
}

// A Prober finds out whether addresses are in use. Probes on the same link at the same time share one socket, which is
// open only while there are some.
type Prober struct {
	own   func(netip.Addr) bool
	slots chan struct{}
	open  func(lineKey) (asker, error)

	mu    sync.Mutex
	lines map[lineKey]*line
}

// lineKey names a socket: the interface, or 0 for what is behind a router, and the family.
type lineKey struct {
	index int
	six   bool
}

// NewProber returns a Prober. own says which addresses are this host's own: they are in use, and the kernel would not
// answer itself.
func NewProber(own func(netip.Addr) bool) *Prober {
	return &Prober{own: own, slots: make(chan struct{}, mostProbes), open: openAsker, lines: map[lineKey]*line{}}
}

// Probe asks whether somebody uses the address. index is the interface whose link the address is on, where it asks
// three times in 300 ms by ARP (RFC 5227) or by neighbour solicitations (RFC 4862, section 5.4); or 0 for an address
// behind a router or relay, where it asks three times in 900 ms by ICMP echo, which hosts may be told not to answer.
// It returns as soon as somebody answers. Somebody who probes for the address at the same time counts as its user. An
// error says that it is not known: ctx ended, or nothing can be sent.
func (p *Prober) Probe(ctx context.Context, index int, addr netip.Addr) (Answer, error) {
	addr = addr.Unmap()
	if !unicast(addr) || addr.Zone() != "" {
		return Answer{}, metal.Errorf(metal.Invalid, "%s cannot be probed: it is not an address that one host can have", addr)
	}
	if index == 0 && addr.IsLinkLocalUnicast() {
		return Answer{}, metal.Errorf(metal.Invalid, "%s cannot be probed without its interface: it is link-local", addr)
	}
	if p.own(addr) {
		return Answer{InUse: true, By: ByOwn}, nil
	}
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return Answer{}, fmt.Errorf("wait to probe %s: %w", addr, ctx.Err())
	}
	key := lineKey{index, addr.Is6()}
	l, err := p.join(key)
	if err != nil {
		return Answer{}, fmt.Errorf("probe %s: %w", addr, err)
	}
	defer p.leave(key, l)
	answer, err := l.probe(ctx, addr)
	if err != nil {
		return Answer{}, fmt.Errorf("probe %s: %w", addr, err)
	}
	return answer, nil
}

// join returns the line that is open for the key, and opens one where there is none that works.
func (p *Prober) join(key lineKey) (*line, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l, ok := p.lines[key]; ok && !l.broken() {
		l.users++
		return l, nil
	}
	a, err := p.open(key)
	if err != nil {
		return nil, err
	}
	l := &line{asker: a, users: 1, waiting: map[netip.Addr]map[chan Answer]struct{}{}, ended: make(chan struct{})}
	go l.listen()
	p.lines[key] = l
	return l, nil
}

// leave closes the line after its last user.
func (p *Prober) leave(key lineKey, l *line) {
	p.mu.Lock()
	l.users--
	last := l.users == 0
	if last && p.lines[key] == l {
		delete(p.lines, key)
	}
	p.mu.Unlock()
	if last {
		l.asker.close()
		<-l.ended
	}
}

// line is a socket that several probes share.
type line struct {
	asker asker
	users int // guarded by the Prober

	mu      sync.Mutex
	waiting map[netip.Addr]map[chan Answer]struct{}

	ended chan struct{} // closed after err was set
	err   error
}

func (l *line) broken() bool {
	select {
	case <-l.ended:
		return true
	default:
		return false
	}
}

// listen hands answers to those who wait for them, until the socket is closed.
func (l *line) listen() {
	defer close(l.ended)
	for {
		addr, answer, err := l.asker.hear()
		if err != nil {
			l.err = err
			return
		}
		l.mu.Lock()
		for waiter := range l.waiting[addr] {
			select {
			case waiter <- answer:
			default: // it has one
			}
		}
		l.mu.Unlock()
	}
}

func (l *line) probe(ctx context.Context, addr netip.Addr) (Answer, error) {
	answers := make(chan Answer, 1)
	l.mu.Lock()
	if l.waiting[addr] == nil {
		l.waiting[addr] = map[chan Answer]struct{}{}
	}
	l.waiting[addr][answers] = struct{}{}
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if delete(l.waiting[addr], answers); len(l.waiting[addr]) == 0 {
			delete(l.waiting, addr)
		}
	}()
	r := l.asker.rhythm()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for asked := 0; ; {
		select {
		case answer := <-answers:
			return answer, nil
		case <-ctx.Done():
			return Answer{}, fmt.Errorf("nobody answered before the end of the time given: %w", ctx.Err())
		case <-l.ended:
			return Answer{}, errors.Join(errors.New("the socket was lost"), l.err)
		case <-timer.C:
			if asked == r.questions {
				return Answer{}, nil
			}
			if err := l.asker.ask(addr); err != nil {
				return Answer{}, err
			}
			asked++
			timer.Reset(r.gap)
		}
	}
}
