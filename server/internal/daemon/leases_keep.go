package daemon

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/lease"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// keeper makes what DHCP promises durable. Answers that promise something gather while the transaction before is being
// committed, and are stored in one together: one wait for the disk serves them all.
type keeper struct {
	db    *store.DB
	table *lease.Table
	now   func() time.Time
	log   *slog.Logger

	mu      sync.Mutex
	room    *sync.Cond // there is room in the queue, or nothing will be stored any more
	queue   []*waiting
	busy    map[string]int // by client: exchanges that are not finished
	wake    chan struct{}  // the queue is not empty
	stopped bool
}

const (
	mostQueued = 4096 // answers that wait to be stored; whoever has one more to store waits
	mostAtOnce = 512  // answers in one transaction
	sweepEvery = time.Second
)

// An exchange is one packet on its way to an answer that may be sent.
type exchange interface {
	// client is whom it is about. Exchanges of one client are finished one after the other.
	client() string
	// decide decides what to answer on what is known now, and keeps in memory what that promises. Without a
	// transaction it may say that it needs one, to give a machine an address.
	decide(tx *store.Tx, now time.Time) (promise, error)
	// finish sends the answer, or with an error nothing. It is called once.
	finish(err error)
}

// A promise is what must be stored before an answer may be sent.
type promise struct {
	// place says that a machine has to be given an address first.
	place bool
	// drop are stored leases that go, put those that come then.
	drop []netAddr
	put  []store.HeldLease
	// epoch is the table's when it was made: with another one it may be nothing to promise any more.
	epoch uint64
}

type netAddr struct {
	subnet string
	addr   netip.Addr
}

func (p *promise) empty() bool { return !p.place && len(p.drop) == 0 && len(p.put) == 0 }

// waiting is an exchange with its promise; none yet where it came behind another one of its client.
type waiting struct {
	exchange
	promise
	decided bool
	err     error
}

func newKeeper(db *store.DB, table *lease.Table, now func() time.Time, log *slog.Logger) *keeper {
	k := &keeper{db: db, table: table, now: now, log: log, busy: map[string]int{}, wake: make(chan struct{}, 1)}
	k.room = sync.NewCond(&k.mu)
	return k
}

// do decides an exchange and finishes it: at once where nothing is to be stored.
func (k *keeper) do(x exchange) {
	w := &waiting{exchange: x}
	if !k.behind(x.client()) {
		var err error
		w.promise, err = x.decide(nil, k.table.Now(k.now()))
		if err != nil || w.empty() {
			x.finish(err)
			return
		}
		w.decided = true
	}
	if !k.enqueue(w) {
		x.finish(metal.Errorf(metal.Internal, "store a lease: metald is stopping"))
	}
}

// behind says whether another exchange of a client is not finished; then this one is counted too.
func (k *keeper) behind(client string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.busy[client] == 0 {
		return false
	}
	k.busy[client]++
	return true
}

// enqueue gives an exchange to Run, and waits for room. It says false when Run has ended.
func (k *keeper) enqueue(w *waiting) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if w.decided {
		k.busy[w.client()]++
	}
	for len(k.queue) >= mostQueued && !k.stopped {
		k.room.Wait()
	}
	if k.stopped {
		k.unbusy(w.client())
		return false
	}
	k.queue = append(k.queue, w)
	select {
	case k.wake <- struct{}{}:
	default:
	}
	return true
}

func (k *keeper) unbusy(client string) {
	if k.busy[client]--; k.busy[client] <= 0 {
		delete(k.busy, client)
	}
}

// Run stores what is promised, and tells of leases that ended, until ctx ends. Whatever waits then is not answered.
func (k *keeper) Run(ctx context.Context) error {
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			k.stop()
			return nil
		case <-sweep.C:
			k.sweep(ctx)
		case <-k.wake:
			for batch := k.next(); len(batch) > 0 && ctx.Err() == nil; batch = k.next() {
				k.commit(context.WithoutCancel(ctx), batch)
			}
		}
	}
}

func (k *keeper) stop() {
	k.mu.Lock()
	k.stopped = true
	left := k.queue
	k.queue = nil
	k.mu.Unlock()
	k.room.Broadcast()
	for _, w := range left {
		k.finish(w, metal.Errorf(metal.Internal, "store a lease: metald is stopping"))
	}
}

// next takes from the queue what goes into one transaction: of each client one exchange, the oldest.
func (k *keeper) next() (batch []*waiting) {
	k.mu.Lock()
	defer k.mu.Unlock()
	taken := make(map[string]bool, min(len(k.queue), mostAtOnce))
	rest := k.queue[:0:0]
	for i, w := range k.queue {
		if len(batch) == mostAtOnce {
			rest = append(rest, k.queue[i:]...)
			break
		}
		if taken[w.client()] {
			rest = append(rest, w)
			continue
		}
		taken[w.client()] = true
		batch = append(batch, w)
	}
	k.queue = rest
	k.room.Broadcast()
	return batch
}

func (k *keeper) finish(w *waiting, err error) {
	k.mu.Lock()
	k.unbusy(w.client())
	k.mu.Unlock()
	w.finish(err)
}
