package zone

import "slices"

// A Watch gathers the names of zones that changed, for whoever tells secondary servers of it. However long nobody
// takes them, each is kept once.
type Watch struct {
	zones   *Zones
	changed map[string]struct{}
	wake    chan struct{}
}

// Watch starts to gather. Close ends it.
func (z *Zones) Watch() *Watch {
	w := &Watch{zones: z, changed: map[string]struct{}{}, wake: make(chan struct{}, 1)}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.watches[w] = struct{}{}
	return w
}

// Changed receives when there is something to Take.
func (w *Watch) Changed() <-chan struct{} { return w.wake }

// Take returns the names of the zones that got another serial, or were removed, since the last time, sorted.
func (w *Watch) Take() []string {
	w.zones.mu.Lock()
	defer w.zones.mu.Unlock()
	names := make([]string, 0, len(w.changed))
	for name := range w.changed {
		names = append(names, name)
	}
	clear(w.changed)
	slices.Sort(names)
	return names
}

// Close ends the watch.
func (w *Watch) Close() {
	w.zones.mu.Lock()
	defer w.zones.mu.Unlock()
	delete(w.zones.watches, w)
}

// tell is called with the zones' lock held.
func (w *Watch) tell(name string) {
	w.changed[name] = struct{}{}
	select {
	case w.wake <- struct{}{}:
	default:
	}
}
