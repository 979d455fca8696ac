package link

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

const (
	// gap is the least time between two readings, so that the 4,094 events of a trunk that comes up cost a few readings.
	gap = 20 * time.Millisecond
	// pause is the wait before a socket that failed is opened anew.
	pause = time.Second
)

// A Watcher follows the selected interfaces of the network namespace it was made in.
type Watcher struct {
	selected  selection
	log       *slog.Logger
	state     atomic.Pointer[snapshot]
	subscribe func() (events, error)
}

// snapshot is never modified once it is published.
type snapshot struct {
	links   []Link // the selected ones, by index
	own     map[netip.Addr]struct{}
	changed chan struct{}
}

// events is a subscription to the kernel's notifications.
type events interface {
	// Wait blocks until something may have changed. It returns an error when notifications were lost (ENOBUFS), the
	// socket broke, or Close was called.
	Wait() error
	Close()
}

// New reads the interfaces that match a pattern: a name ("eth1"), a glob as of path.Match ("eth2.*", "*"), or a glob
// with "!" before it, for those to leave out whatever else matches them ("!docker*"). Globs do not match the loopback
// interface. Without patterns nothing is selected. It returns an Invalid error for a malformed pattern.
func New(patterns []string, log *slog.Logger) (*Watcher, error) {
	selected, err := parseSelection(patterns)
	if err != nil {
		return nil, err
	}
	w := &Watcher{selected: selected, log: log, subscribe: subscribe}
	w.publish(nil, nil)
	if err := w.read(); err != nil {
		return nil, err
	}
	return w, nil
}

// Now returns the selected interfaces, by index. The slice is shared: it must not be modified.
func (w *Watcher) Now() []Link { return w.state.Load().links }

// Changed returns a channel that is closed when Now would return something else. Take it before you call Now.
func (w *Watcher) Changed() <-chan struct{} { return w.state.Load().changed }

// ByIndex returns the selected interface with the kernel's number.
func (w *Watcher) ByIndex(index int) (Link, bool) {
	links := w.Now()
	at, found := slices.BinarySearchFunc(links, index, func(l Link, index int) int { return l.Index - index })
	if !found {
		return Link{}, false
	}
	return links[at], true
}

// OnLink returns the selected interface that is up and has the longest prefix around the address: where its owner can be
// asked by ARP or NDP. It finds none for link-local addresses, which are on every link.
func (w *Watcher) OnLink(addr netip.Addr) (Link, bool) {
	var best Link
	bits := -1
	if addr = addr.Unmap(); addr.IsLinkLocalUnicast() {
		return best, false
	}
	for _, l := range w.Now() {
		for _, prefix := range l.Addrs {
			if l.Up && prefix.Bits() > bits && prefix.Contains(addr) {
				best, bits = l, prefix.Bits()
			}
		}
	}
	return best, bits >= 0
}

// Own says whether the address is one of this host, on whatever interface, selected or not.
func (w *Watcher) Own(addr netip.Addr) bool {
	_, own := w.state.Load().own[addr.Unmap().WithZone("")]
	return own
}

// Run follows the interfaces until ctx ends. When notifications were lost or the socket broke, it subscribes anew and
// reads everything again.
func (w *Watcher) Run(ctx context.Context) error {
	for {
		err := w.follow(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, unix.ENOBUFS) {
			w.log.DebugContext(ctx, "interfaces changed faster than they were read: reading them again")
			continue
		}
		w.log.WarnContext(ctx, "interfaces cannot be followed; trying again", "error", err, "in", pause)
		sleep(ctx, pause)
	}
}

// follow returns the error that ended one subscription.
func (w *Watcher) follow(ctx context.Context) error {
	e, err := w.subscribe()
	if err != nil {
		return err
	}
	dirty, failed := make(chan struct{}, 1), make(chan error, 1)
	go func() {
		for {
			if err := e.Wait(); err != nil {
				failed <- err
				return
			}
			select {
			case dirty <- struct{}{}:
			default: // a reading is due already
			}
		}
	}()
	stop := func() error {
		e.Close()
		return <-failed
	}
	for {
		if err := w.read(); err != nil {
			return errors.Join(err, stop())
		}
		sleep(ctx, gap)
		select {
		case <-ctx.Done():
			_ = stop()
			return nil
		case err := <-failed:
			e.Close()
			return err
		case <-dirty:
		}
	}
}

func (w *Watcher) read() error {
	links, own, err := list(w.selected)
	if err != nil {
		return err
	}
	w.publish(links, own)
	return nil
}

// publish replaces the snapshot, and tells those who wait if its interfaces differ. Run is its only caller once it runs.
func (w *Watcher) publish(links []Link, own map[netip.Addr]struct{}) {
	old := w.state.Load()
	if old == nil {
		w.state.Store(&snapshot{links: links, own: own, changed: make(chan struct{})})
		return
	}
	if slices.EqualFunc(old.links, links, Link.Equal) {
		w.state.Store(&snapshot{links: old.links, own: own, changed: old.changed})
		return
	}
	w.state.Store(&snapshot{links: links, own: own, changed: make(chan struct{})})
	close(old.changed)
}

// notices is the subscription of rtnetlink.
type notices struct{ socket *nl.NetlinkSocket }

func subscribe() (events, error) {
	socket, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR)
	if err != nil {
		return nil, fmt.Errorf("subscribe to changes of interfaces: %w", err)
	}
	return notices{socket}, nil
}

func (n notices) Wait() error {
	if _, _, err := n.socket.Receive(); err != nil {
		return fmt.Errorf("receive changes of interfaces: %w", err)
	}
	return nil
}

func (n notices) Close() { n.socket.Close() }

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
