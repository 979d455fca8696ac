package ra

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"time"
)

// loop answers solicitors and sends what is due, until ctx ends. Then hosts are told that they have no router here any
// more (RFC 4861, section 6.2.5); what they know of prefixes stays true for its time, so that a restart leaves them
// alone.
func (s *Server) loop(ctx context.Context, solicitors <-chan netip.Addr, send func(to netip.Addr, a Advertisement)) {
	pace := newPace(time.Now(), s.config.Interval)
	timer := time.NewTimer(0)
	defer timer.Stop()
	var gone Settings // what hosts are to forget; told as often as what is new to them
	say := func() Advertisement {
		return s.told.advertisement(s.iface.HardwareAddr, s.config.Interval).forgetting(gone)
	}
	for {
		select {
		case <-ctx.Done():
			if s.told.Router {
				last := say()
				last.RouterLifetime = 0
				send(allNodes, last)
			}
			return
		case <-s.config.Changed:
			if settings, ok := s.changed(); ok {
				gone = s.told.minus(gone, settings)
				s.told = settings
				pace.changed(time.Now())
			}
		case source := <-solicitors:
			if pace.solicited(source, time.Now()) {
				send(source, say())
			}
		case <-timer.C:
			send(allNodes, say())
			if pace.multicast(time.Now(), rand.Float64()); pace.sent == initialCount {
				gone = Settings{}
			}
		}
		timer.Reset(time.Until(pace.next))
	}
}

// changed returns what hosts are to be told from now on, where that is something else. What no host would accept is
// left unsaid, and the last that one would stays.
func (s *Server) changed() (Settings, bool) {
	settings := s.config.Settings()
	if settings.equal(s.told) {
		return settings, false
	}
	if err := settings.check(); err != nil {
		s.log.Error("router advertisements stay as they were", "error", err)
		return settings, false
	}
	s.log.Info("router advertisements change", "router", settings.Router, "prefixes", len(settings.Prefixes))
	return settings, true
}
