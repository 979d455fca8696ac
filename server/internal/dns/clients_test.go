package dns

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func TestConnectionsAreCountedByClient(t *testing.T) {
	cases := []struct {
		name, first, second string
		same                bool
	}{
		{"one address", "192.0.2.1", "192.0.2.1", true},
		{"as IPv6 sockets see it", "192.0.2.1", "::ffff:192.0.2.1", true},
		{"two addresses", "192.0.2.1", "192.0.2.2", false},
		{"one IPv6 network", "2001:db8::1", "2001:db8::ffff:1", true},
		{"two IPv6 networks", "2001:db8::1", "2001:db8:0:1::1", false},
		{"two interfaces", "fe80::1%eth0", "fe80::2%eth1", true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var all clients
			first, second := netip.MustParseAddr(c.first), netip.MustParseAddr(c.second)
			for range maxPerClient {
				if !all.enter(first) {
					t.Fatal("too few are allowed")
				}
			}
			if all.enter(first) {
				t.Error("one too many is allowed")
			}
			if got := !all.enter(second); got != c.same {
				t.Errorf("the other one is refused: got %t; want %t", got, c.same)
			}
			all.leave(first)
			if !all.enter(first) {
				t.Error("one that left made no room")
			}
		})
	}
	var all clients
	all.enter(netip.MustParseAddr("192.0.2.1"))
	all.leave(netip.MustParseAddr("192.0.2.1"))
	if len(all.open) != 0 {
		t.Errorf("clients without connections are kept: %v", all.open)
	}
}

func TestOneClientCannotHaveAllConnections(t *testing.T) {
	server := serve(t, rack(t), Forward{})
	var open []net.Conn
	defer func() {
		for _, conn := range open {
			conn.Close()
		}
	}()
	for i := range maxPerClient + 1 {
		conn, err := net.DialTimeout("tcp", server.String(), patience)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, conn)
		conn.SetDeadline(time.Now().Add(patience))
		client := &dns.Conn{Conn: conn}
		err = client.WriteMsg(query(t, "n1.lab.example. A"))
		if err == nil {
			_, err = client.ReadMsg()
		}
		var timeout net.Error
		if wanted := i < maxPerClient; wanted != (err == nil) || errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("connection %d: got %v", i, err)
		}
	}
}
