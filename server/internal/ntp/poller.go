package ntp

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"encoding/binary"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const (
	answerWithin = 1900 * time.Millisecond // below burstEvery
	lookUpWithin = 5 * time.Second

	// lookEvery is how often a clock that was set is looked for.
	lookEvery = 8 * time.Second

	// maxServers bounds the work; more than four or so make no time better (RFC 8633, section 3.2).
	maxServers = 32
)

// A Poller compares this machine's clock with those of NTP servers. It does not set it.
type Poller struct {
	localStratum int
	log          *slog.Logger
	began        time.Time // what moments are counted from

	mu     sync.Mutex
	roster roster
	choice atomic.Pointer[choice] // written with mu held
}

// Upstreams makes a poller of servers, each a host or host:port, where a host is a name or an address; the port is 123
// by default. Of a name one address is asked at a time. With four servers one that tells a false time is found out and
// left out, with two neither is believed once they differ. localStratum is Kernel's, for when none of them is to be had.
//
// A server that cannot be one is metal.Invalid.
func Upstreams(servers []string, localStratum int, log *slog.Logger) (*Poller, error) {
	if len(servers) > maxServers {
		return nil, metal.Errorf(metal.Invalid, "ask %d NTP servers: more than %d; name fewer", len(servers), maxServers)
	}
	for _, server := range servers {
		if _, _, err := splitServer(server); err != nil {
			return nil, err
		}
	}
	p := &Poller{localStratum: localStratum, log: log, began: time.Now(), roster: newRoster(servers)}
	p.choice.Store(&choice{})
	return p, nil
}

// Clock says how good this machine's clock is at the time now, which has a monotonic reading. It is not synchronised
// until some server has answered several times, or while a majority of them says that it is off by more than 128 ms,
// or while there is no majority. When no server answers any more, it is said to be ever more wrong, and after some
// hours not synchronised. The error is always nil.
func (p *Poller) Clock(now time.Time) (Clock, error) {
	return p.choice.Load().clock(p.moment(now), p.localStratum), nil
}

// moment is what time.Now returned, in two parts.
func (p *Poller) moment(now time.Time) moment {
	return moment{wall: now.Round(0), uptime: now.Sub(p.began)}
}

// Run asks the servers, every 64 to 1024 s each, until ctx ends, and then returns nil.
func (p *Poller) Run(ctx context.Context) error {
	var group errgroup.Group
	for i := range p.roster.peers {
		group.Go(func() error { p.follow(ctx, i); return nil })
	}
	return group.Wait()
}

// follow asks one server until ctx ends or it says never to come again.
func (p *Poller) follow(ctx context.Context, i int) {
	for {
		asked := time.Now()
		wait, ok := p.poll(ctx, i)
		if !ok {
			return
		}
		// Not all at once, nor all sites at once (RFC 5905, appendix A.5.7.1).
		if wait > burstEvery {
			wait += mathrand.N(wait / 16)
		}
		if !p.rest(ctx, i, asked, wait) {
			return
		}
	}
}

// rest waits until server i, asked at a time, is to be asked again: after wait, or when this machine's clock is set. It
// is false when ctx ends.
func (p *Poller) rest(ctx context.Context, i int, asked time.Time, wait time.Duration) bool {
	for {
		left := wait - time.Since(asked)
		if left <= 0 {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(min(left, lookEvery)):
		}
		if now := time.Now(); p.moment(now).setSince(p.moment(asked)).Abs() >= setNoticed {
			p.mu.Lock()
			p.roster.peers[i].set()
			p.mu.Unlock()
			return true
		}
	}
}

// poll asks server i once. It returns how long to wait until the next time, and false where there is none.
func (p *Poller) poll(ctx context.Context, i int) (time.Duration, bool) {
	p.mu.Lock()
	server := p.roster.peers[i]
	p.mu.Unlock()
	if server.stale() {
		addrs, err := lookUp(ctx, server.name)
		if err != nil && ctx.Err() == nil {
			p.log.Warn("NTP server not found", "server", server.name, "error", err)
		}
		server.move(addrs)
	}
	var s sample
	var what outcome
	if server.addr.IsValid() {
		var err error
		if s, what, err = p.exchange(ctx, server.addr); err != nil && ctx.Err() == nil {
			p.log.Debug("NTP server did not answer", "server", server.name, "address", server.addr, "error", err)
		}
	}
	if ctx.Err() != nil {
		return 0, false
	}
	now := p.moment(time.Now())
	p.mu.Lock()
	defer p.mu.Unlock()
	peer := &p.roster.peers[i]
	peer.addr = server.addr
	peer.asked()
	peer.take(s, what)
	if what == denied {
		p.log.Warn("NTP server refuses us and is not asked again; name another", "server", peer.name, "address", peer.addr)
	}
	p.conclude(now)
	return peer.wait(), !peer.denied
}

// conclude chooses anew, and logs what changed. p.mu is held.
func (p *Poller) conclude(now moment) {
	before, after := *p.choice.Load(), p.roster.choose(now, kernelDrift())
	p.choice.Store(&after)
	wasOff, off := before.offsetAt(now).Abs() > maxOffset, after.offsetAt(now).Abs() > maxOffset
	if before.verdict == after.verdict && before.name == after.name && wasOff == off {
		return
	}
	switch {
	case after.verdict == unreachable:
		p.log.Warn("no NTP server answers; check the network and the servers' names")
	case after.verdict == disagreeing:
		p.log.Warn("no majority of the NTP servers tells the same time; name more of them")
	case after.verdict == chosen && off:
		p.log.Warn("this machine's clock is off, so its time is not told; run a daemon such as chrony here",
			"offset", after.offset, "server", after.name)
	case after.verdict == chosen:
		p.log.Info("this machine's clock is compared", "offset", after.offset, "distance", after.distance(),
			"server", after.name, "stratum", after.stratum, "agree", after.agree)
	}
}

// exchange asks the server at addr once.
func (p *Poller) exchange(ctx context.Context, addr netip.AddrPort) (sample, outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	// A new socket, and so a new port, each time: one more thing that who forges answers has to guess (RFC 9109).
	conn, err := new(net.Dialer).DialContext(ctx, "udp", addr.String())
	if err != nil {
		return sample{}, foreign, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	var nonce [8]byte
	rand.Read(nonce[:]) // never fails
	q := query{nonce: binary.BigEndian.Uint64(nonce[:])}
	if local, ok := conn.LocalAddr().(*net.UDPAddr); ok {
		q.self = refID(local.AddrPort().Addr())
	}
	request := q.packet()
	q.sent = p.moment(time.Now())
	if _, err := conn.Write(request); err != nil {
		return sample{}, foreign, err
	}
	answer := make([]byte, requestSize)
	for {
		n, err := conn.Read(answer)
		if err != nil {
			return sample{}, foreign, err
		}
		if s, what := q.read(answer[:n], p.moment(time.Now())); what != foreign {
			return s, what, nil
		}
	}
}

// refID is how an address is written as a reference id (RFC 5905, section 7.3). MD5 here hides nothing.
func refID(addr netip.Addr) [4]byte {
	if addr = addr.Unmap(); addr.Is4() {
		return addr.As4()
	}
	hash := md5.Sum(addr.AsSlice())
	return [4]byte(hash[:])
}

// lookUp returns the addresses of a server.
func lookUp(ctx context.Context, server string) ([]netip.AddrPort, error) {
	host, port, err := splitServer(server)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, lookUpWithin)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	addrs := make([]netip.AddrPort, len(found))
	for i, addr := range found {
		addrs[i] = netip.AddrPortFrom(addr.Unmap(), port)
	}
	return addrs, nil
}

// splitServer reads host, host:port, an IPv6 address, or one in brackets with a port.
func splitServer(server string) (host string, port uint16, err error) {
	const ntpPort = 123
	if _, err := netip.ParseAddr(server); err == nil {
		return server, ntpPort, nil
	}
	host, portText, splitErr := net.SplitHostPort(server)
	if splitErr != nil {
		host, portText = server, strconv.Itoa(ntpPort)
	}
	n, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || n == 0 || host == "" || strings.ContainsAny(host, " /[]") || splitErr != nil && strings.Contains(host, ":") {
		return "", 0, metal.Errorf(metal.Invalid, "ask NTP server %q: no host or host:port; write it as in \"ntp1.example.com\" or \"[2001:db8::1]:123\"", server)
	}
	return host, uint16(n), nil
}
