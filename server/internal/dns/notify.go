package dns

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/zone"
)

const (
	// notifyTimeout is how long a secondary server has to answer.
	notifyTimeout = 2 * time.Second

	// maxNotifying secondary servers are told at once.
	maxNotifying = 16

	// notifyPort is where they listen if nothing else is said.
	notifyPort = 53
)

// Notified is what a Notifier needs to know of zones.
type Notified interface {
	Now() *zone.View
	Watch() *zone.Watch
}

// A Notifier tells the secondary servers of zones that these have changed (RFC 1996): after the start, and then with
// each change, but each server once a second at most of each zone.
type Notifier struct {
	zones Notified
	keys  Keys
	from  []netip.Addr
	log   *slog.Logger
}

// NewNotifier makes a Notifier. Requests are sent from the first address of the target's family in from, which is where
// secondary servers know us; where there is none, the kernel decides. They are signed with the first of the keys that
// the zone has for transfers.
func NewNotifier(zones Notified, keys Keys, from []netip.Addr, log *slog.Logger) *Notifier {
	return &Notifier{zones: zones, keys: keys, from: from, log: log}
}

// Run notifies until ctx ends, and then returns nil.
func (n *Notifier) Run(ctx context.Context) error {
	watch := n.zones.Watch()
	defer watch.Close()
	var running sync.WaitGroup
	defer running.Wait()
	results := make(chan notified, maxNotifying)
	plan := newNotices()
	for z := range n.zones.Now().All() {
		plan.changed(z.Name(), targets(z.Spec().Transfer), time.Now())
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-watch.Changed():
			view := n.zones.Now()
			for _, name := range watch.Take() {
				var to []netip.AddrPort
				if z, ok := view.Zone(name); ok {
					to = targets(z.Spec().Transfer)
				}
				plan.changed(name, to, time.Now())
			}
		case r := <-results:
			if plan.done(r.notice, r.err == nil, time.Now()) {
				n.log.Warn("a secondary DNS server was not notified", "zone", r.zone, "server", r.server, "error", r.err)
			}
		case <-timer.C:
		}
		due, wait := plan.due(time.Now())
		timer.Reset(wait)
		for _, it := range due {
			running.Go(func() {
				err := n.tell(ctx, it)
				select {
				case results <- notified{it, err}:
				case <-ctx.Done():
				}
			})
		}
	}
}

type notified struct {
	notice
	err error
}

// targets are the servers to be told of a zone. What is no address is none.
func targets(spec metal.TransferSpec) (list []netip.AddrPort) {
	for _, text := range spec.Notify {
		if addr, err := netip.ParseAddr(text); err == nil {
			list = append(list, netip.AddrPortFrom(addr.Unmap(), notifyPort))
		} else if both, err := netip.ParseAddrPort(text); err == nil {
			list = append(list, both)
		}
	}
	return list
}

// tell notifies one server of one zone.
func (n *Notifier) tell(ctx context.Context, it notice) error {
	z, ok := n.zones.Now().Zone(it.zone)
	if !ok {
		return nil // it is gone meanwhile
	}
	m := new(dns.Msg).SetNotify(z.Name())
	m.Answer = []dns.RR{z.SOA()}
	client := &dns.Client{Net: "udp", Timeout: notifyTimeout, Dialer: &net.Dialer{Timeout: notifyTimeout}}
	for _, name := range z.Spec().Transfer.Keys {
		if k, ok := keyOf(n.keys, name); ok {
			client.TsigProvider = k
			m.Extra = []dns.RR{k.record(m.Id, time.Now())}
			break
		}
	}
	for _, from := range n.from {
		if from.Is4() == it.server.Addr().Is4() {
			client.Dialer.LocalAddr = &net.UDPAddr{IP: from.AsSlice()}
			break
		}
	}
	conn, err := client.DialContext(ctx, it.server.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	answer, _, err := client.ExchangeWithConnContext(ctx, m, conn)
	if err != nil {
		return err
	}
	if answer.Rcode != dns.RcodeSuccess {
		return fmt.Errorf("it answered %s", dns.RcodeToString[answer.Rcode])
	}
	return nil
}
