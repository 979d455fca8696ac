package dnsload

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/testnet"
)

// askTime is how long an answer may take.
const askTime = time.Second

// An Asker asks the server of the network one query at a time.
type Asker struct{ conn *dns.Conn }

// NewAsker opens one. Close closes it.
func NewAsker(ctx context.Context, n *testnet.Net) (*Asker, error) {
	var conn net.Conn
	err := n.Client.Inside(func() (err error) {
		var d net.Dialer
		conn, err = d.DialContext(ctx, "udp", net.JoinHostPort(n.Server.Addr.String(), "53"))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("be a DNS client: %w", err)
	}
	return &Asker{&dns.Conn{Conn: conn}}, nil
}

// Close closes the socket.
func (a *Asker) Close() error { return a.conn.Close() }

// Address says whether the server answers for the name with exactly this address. No answer is an error; an answer
// with another address, or none, is not.
func (a *Asker) Address(name string, want netip.Addr) (bool, error) {
	kind := dns.TypeAAAA
	if want.Is4() {
		kind = dns.TypeA
	}
	query := new(dns.Msg)
	query.SetQuestion(dns.Fqdn(name), kind)
	if err := a.conn.SetDeadline(time.Now().Add(askTime)); err != nil {
		return false, err
	}
	if err := a.conn.WriteMsg(query); err != nil {
		return false, fmt.Errorf("ask for %s: %w", name, err)
	}
	for {
		answer, err := a.conn.ReadMsg()
		if err != nil {
			return false, fmt.Errorf("ask for %s: %w", name, err)
		}
		if answer.Id == query.Id { // else an answer that came after its query was given up
			return slices.Equal(addresses(answer), []netip.Addr{want}), nil
		}
	}
}

func addresses(m *dns.Msg) []netip.Addr {
	var all []netip.Addr
	for _, rr := range m.Answer {
		var ip net.IP
		switch r := rr.(type) {
		case *dns.A:
			ip = r.A
		case *dns.AAAA:
			ip = r.AAAA
		}
		if a, ok := netip.AddrFromSlice(ip); ok {
			all = append(all, a.Unmap())
		}
	}
	return all
}
