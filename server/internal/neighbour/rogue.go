package neighbour

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const (
	// patient is how long offers are waited for after the first question; it is asked again after half of it. dnsmasq
	// pings an address for 3 s before it offers it, and answers nobody meanwhile.
	patient = 5 * time.Second
	// mostRogues is how many servers one look can find: an attacker can make up any number.
	mostRogues = 64

	// enterprise is the private enterprise number that RFC 5612 keeps for examples: it can be no vendor's.
	enterprise = 32473
	marker     = "metalform-probe"
)

// A Rogue is a DHCP server that nobody declared.
type Rogue struct {
	Link int // index of the interface
	// Server is its server identifier (RFC 2132, section 9.7) for DHCPv4, and the source of its answer for DHCPv6.
	Server netip.Addr
	// Hardware is the sender of the frame: the server itself, or the relay or router in front of it.
	Hardware metal.MAC
	// Offered is the address it would have given; the zero Addr where it offered none.
	Offered netip.Addr
}

// IsProbe says whether a client identifier (option 61 of DHCPv4, option 1 of DHCPv6) is that of a Detector, of this
// server or of another. A server of ours does not answer it.
func IsProbe(clientID []byte) bool {
	if len(clientID) > 5 && clientID[0] == 255 { // RFC 4361: type, IAID, DUID
		clientID = clientID[5:]
	}
	return bytes.HasPrefix(clientID, probeDUID(nil))
}

// probeDUID is a DUID-EN (RFC 8415, section 11.3).
func probeDUID(suffix []byte) []byte {
	b := binary.BigEndian.AppendUint32([]byte{0, 2}, enterprise)
	return append(append(b, marker...), suffix...)
}

// A Detector asks for an address as a new client would, by DHCPv4 and DHCPv6, and tells who offers one. It never takes
// what is offered.
type Detector struct {
	link  int
	known func(netip.Addr) bool
	found func(ctx context.Context, rogues []Rogue)
	// client is the made-up card. It stays the same, so that servers that hold an address for a while hold one only.
	client  hardware
	patient time.Duration
}

// NewDetector returns a Detector for the interface with the index. known says which servers may be there: this host's
// own addresses, and those that were declared. found is told of all the others after each look, none as well, so that
// one that went away can be noticed.
func NewDetector(link int, known func(netip.Addr) bool, found func(ctx context.Context, rogues []Rogue)) *Detector {
	d := &Detector{link: link, known: known, found: found, patient: patient}
	_, _ = rand.Read(d.client[:])          // never fails: crypto/rand ends the program first
	d.client[0] = d.client[0]&^byte(1) | 2 // one card's, and locally administered (IEEE 802-2014, 8.2)
	return d
}

// Run looks at once and then again each time every has passed, until ctx ends, which is no error; it returns one when the
// interface cannot be used.
func (d *Detector) Run(ctx context.Context, every time.Duration) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		rogues, err := d.look(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("look for DHCP servers: %w", err)
		}
		d.found(ctx, rogues)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// question is one family's part of a look.
type question struct {
	wire  *wire
	frame []byte
	judge func(frame []byte) (Rogue, bool)
}

// look asks once.
func (d *Detector) look(ctx context.Context) ([]Rogue, error) {
	ctx, cancel := context.WithTimeout(ctx, d.patient)
	defer cancel()
	questions, err := d.questions()
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	found := map[pair]Rogue{}
	var readers sync.WaitGroup
	for _, q := range questions {
		readers.Go(func() {
			buffer := make([]byte, frameSpace)
			for {
				frame, err := q.wire.receive(buffer)
				if err != nil {
					return // closed below; or the interface is gone, and sending tells
				}
				rogue, ok := q.judge(frame)
				if !ok || d.known(rogue.Server) {
					continue
				}
				rogue.Link = d.link
				mu.Lock()
				if key := (pair{rogue.Server, sender(frame)}); len(found) < mostRogues {
					found[key] = rogue
				}
				mu.Unlock()
			}
		})
	}
	err = ask(ctx, questions, d.patient/2)
	for _, q := range questions {
		q.wire.close()
	}
	readers.Wait()
	if err != nil {
		return nil, err
	}
	rogues := make([]Rogue, 0, len(found))
	for _, rogue := range found {
		rogues = append(rogues, rogue)
	}
	slices.SortFunc(rogues, func(a, b Rogue) int {
		return cmp.Or(a.Server.Compare(b.Server), cmp.Compare(a.Hardware, b.Hardware))
	})
	return rogues, nil
}

// ask sends every question twice, since either may be lost, and waits for the end of ctx.
func ask(ctx context.Context, questions []question, gap time.Duration) error {
	for range 2 {
		for _, q := range questions {
			if err := q.wire.send(q.frame); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(gap):
		}
	}
	<-ctx.Done()
	return nil
}

// questions opens the sockets. Where the interface has no link-local address, IPv6 is off and nobody is asked by it.
func (d *Detector) questions() ([]question, error) {
	var random [7]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand ends the program first
	xid4, xid6 := [4]byte(random[:4]), [3]byte(random[4:])
	source, has, err := linkLocal(d.link)
	if err != nil {
		return nil, err
	}
	wire4, err := openWire(d.link, etherIPv4, onlyUDP4(clientPort4)...)
	if err != nil {
		return nil, err
	}
	questions := []question{{
		wire4, datagram4(wire4.hardware, clientPort4, serverPort4, discover(xid4, d.client)),
		func(frame []byte) (Rogue, bool) { return judgeOffer(frame, xid4, d.client) },
	}}
	if !has {
		return questions, nil
	}
	wire6, err := openWire(d.link, etherIPv6, onlyUDP6(clientPort6)...)
	if err != nil {
		wire4.close()
		return nil, err
	}
	return append(questions, question{
		wire6, datagram6(wire6.hardware, netip.AddrPortFrom(source, clientPort6), allServers(), solicit(xid6, d.client)),
		func(frame []byte) (Rogue, bool) { return judgeAdvertise(frame, xid6, d.client) },
	}), nil
}

func linkLocal(index int) (addr netip.Addr, has bool, err error) {
	device, err := net.InterfaceByIndex(index)
	if err != nil {
		return addr, false, metal.Errorf(metal.NotFound, "no interface has the index %d: %w", index, err)
	}
	addresses, err := device.Addrs()
	if err != nil {
		return addr, false, fmt.Errorf("read the addresses of %s: %w", device.Name, err)
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok {
			if addr, ok := netip.AddrFromSlice(n.IP); ok && addr.Is6() && addr.IsLinkLocalUnicast() {
				return addr, true, nil
			}
		}
	}
	return addr, false, nil
}
