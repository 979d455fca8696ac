package link

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// A service that failed is tried again after firstRetry, then after twice as long each time, up to lastRetry.
	firstRetry = time.Second
	lastRetry  = time.Minute
)

// A Service is what Each runs once per interface.
type Service struct {
	// Name is for the log.
	Name string
	// Run serves the interface, as it was when Run was called, until ctx ends. An error before that is logged, and Run
	// is called again later; after nil it is not called again until the interface changes.
	Run func(ctx context.Context, l Link) error
	// ByAddress has Run ended and called again when the addresses of the interface change, not only when the first one
	// comes or the last one goes.
	ByAddress bool
	Log       *slog.Logger
}

// Each runs the service on each interface of w that is up and has an address, until ctx ends. It ends the service where
// the interface goes away, goes down or loses its last address, and starts it anew where the interface is made anew or
// its hardware address or VLAN changes. What happens on one interface does not touch the others. It returns nil after
// the last call of s.Run has returned.
func Each(ctx context.Context, w *Watcher, s Service) error {
	running := map[string]*worker{} // by name; also those that are about to end
	var all sync.WaitGroup
	defer all.Wait()
	for {
		changed := w.Changed()
		current := map[string]Link{}
		for name, worker := range running {
			if worker.ended() {
				delete(running, name)
			} else if !worker.told {
				current[name] = worker.link
			}
		}
		stop, start := diff(current, w.Now(), s.ByAddress)
		for _, name := range stop {
			running[name].stop()
		}
		for _, l := range start {
			running[l.Name] = launch(ctx, &all, s, l, running[l.Name])
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

// diff says which services to end, by the name of the interface, and then to start, so that the running ones are right
// for the interfaces as they are now. Both are sorted by name.
func diff(running map[string]Link, now []Link, byAddress bool) (stop []string, start []Link) {
	wanted := map[string]Link{}
	for _, l := range now {
		if l.served() {
			wanted[l.Name] = l
		}
	}
	keep := func(old, l Link) bool { return l.sameDevice(old) && (!byAddress || l.sameService(old)) }
	for name, old := range running {
		if l, still := wanted[name]; !still || !keep(old, l) {
			stop = append(stop, name)
		}
	}
	for name, l := range wanted {
		if old, runs := running[name]; !runs || !keep(old, l) {
			start = append(start, l)
		}
	}
	slices.Sort(stop)
	slices.SortFunc(start, func(a, b Link) int { return strings.Compare(a.Name, b.Name) })
	return stop, start
}

// worker is the service on one interface.
type worker struct {
	link   Link
	cancel context.CancelFunc
	done   chan struct{} // closed when the service has returned
	told   bool          // to stop
}

// launch starts the service once the former one of that name, if any, has returned: two must not want the same sockets.
func launch(ctx context.Context, all *sync.WaitGroup, s Service, l Link, former *worker) *worker {
	ctx, cancel := context.WithCancel(ctx)
	w := &worker{link: l, cancel: cancel, done: make(chan struct{})}
	all.Go(func() {
		defer close(w.done)
		defer cancel()
		if former != nil {
			<-former.done
		}
		s.keep(ctx, l)
	})
	return w
}

func (w *worker) stop() {
	w.told = true
	w.cancel()
}

// ended says whether a worker that was told to stop has done so. One that ended by itself stays, so that it is not
// started again before its interface changes.
func (w *worker) ended() bool {
	select {
	case <-w.done:
		return w.told
	default:
		return false
	}
}

// keep calls Run until ctx ends or Run returns nil.
func (s Service) keep(ctx context.Context, l Link) {
	log := s.Log.With("service", s.Name, "interface", l.Name)
	log.DebugContext(ctx, "service starts on the interface", "index", l.Index, "vlan", l.VLAN, "addresses", l.Addrs)
	wait := firstRetry
	for ctx.Err() == nil {
		began := time.Now()
		err := s.Run(ctx, l)
		if ctx.Err() != nil {
			if err != nil && !errors.Is(err, context.Canceled) {
				log.WarnContext(ctx, "service did not end cleanly on the interface", "error", err)
			}
			break
		}
		if err == nil {
			break
		}
		if time.Since(began) >= lastRetry {
			wait = firstRetry
		}
		log.WarnContext(ctx, "service failed on the interface; trying again", "error", err, "in", wait)
		sleep(ctx, wait)
		wait = min(2*wait, lastRetry)
	}
	log.DebugContext(ctx, "service ended on the interface")
}
