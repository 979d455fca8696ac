package dns

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// tlsServer is a DNS server by TLS, with a certificate for a name.
type tlsServer struct {
	addr        netip.AddrPort
	roots       *x509.CertPool
	connections atomic.Int64
	open        sync.Map // net.Conn
}

func newTLSServer(t testing.TB, name string, answer func(q *dns.Msg) *dns.Msg) *tlsServer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	s := &tlsServer{roots: x509.NewCertPool()}
	s.roots.AddCert(cert)
	listener, err := tls.Listen("tcp4", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	if err != nil {
		t.Fatal(err)
	}
	s.addr = netip.MustParseAddrPort(listener.Addr().String())
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.open.Store(conn, true)
			running.Go(func() {
				defer conn.Close()
				s.serve(conn, answer)
			})
		}
	})
	t.Cleanup(func() { listener.Close(); s.hangUp(); running.Wait() })
	return s
}

func (s *tlsServer) serve(conn net.Conn, answer func(q *dns.Msg) *dns.Msg) {
	if conn.(*tls.Conn).Handshake() != nil {
		return
	}
	s.connections.Add(1)
	client := &dns.Conn{Conn: conn}
	for {
		q, err := client.ReadMsg()
		if err != nil {
			return
		}
		if m := answer(q); m != nil && client.WriteMsg(m) != nil {
			return
		}
	}
}

// hangUp closes all connections.
func (s *tlsServer) hangUp() {
	s.open.Range(func(conn, _ any) bool { conn.(net.Conn).Close(); return true })
}

// wwwOnly answers every question with one address.
func wwwOnly(q *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetReply(q)
	m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.IPv4(192, 0, 2, 80)}}
	return m
}

func TestUpstreamsByTLS(t *testing.T) {
	t.Parallel() // one of them is silent
	s := newTLSServer(t, "dns.example.com", wwwOnly)
	stranger := newTLSServer(t, "dns.example.com", wwwOnly)
	cases := []struct {
		name  string
		addr  netip.AddrPort
		host  string
		rcode int
	}{
		{"the name of the certificate", s.addr, "dns.example.com", dns.RcodeSuccess},
		{"another name", s.addr, "dns.example.net", dns.RcodeServerFailure},
		{"a certificate that nobody trusts", stranger.addr, "dns.example.com", dns.RcodeServerFailure},
		{"a server without TLS", serve(t, world(t), Forward{}), "dns.example.com", dns.RcodeServerFailure},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			server := serve(t, rack(t), Forward{Upstreams: []Upstream{{c.addr, c.host}}, Allow: loopback, Roots: s.roots})
			for i := range 3 {
				answer := ask(t, server, recursive(t, fmt.Sprintf("www%d.example.com. A", i)))
				if answer.Rcode != c.rcode || len(answer.Answer) != 1 && c.rcode == 0 {
					t.Errorf("got %v; want %s", answer, dns.RcodeToString[c.rcode])
				}
			}
		})
	}
	if n := s.connections.Load(); n != 1 {
		t.Errorf("got %d connections; want one for all questions", n)
	}
}

func TestRequestsByTLSArePaddedAndShareOneConnection(t *testing.T) {
	const crowd = 20
	var wrong atomic.Int64
	held := make(chan *dns.Msg, crowd)
	s := newTLSServer(t, "dns.example.com", func(q *dns.Msg) *dns.Msg {
		if q.Len()%padding != 0 {
			wrong.Add(1)
		}
		held <- q
		return nil
	})
	c := newTLSClient(Upstream{s.addr, "dns.example.com"}, s.roots)
	defer c.close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	results := make(chan error, crowd)
	for i := range crowd {
		go func() {
			q := recursive(t, fmt.Sprintf("%d.example.com. A", i))
			q.SetEdns0(ednsSize, false)
			got, err := c.exchange(ctx, q)
			if err == nil && got.Question[0] != q.Question[0] {
				err = errOther
			}
			results <- err
		}()
	}
	var list []*dns.Msg
	for range crowd { // all of them are on their way before the first is answered
		list = append(list, <-held)
	}
	s.open.Range(func(conn, _ any) bool {
		client := &dns.Conn{Conn: conn.(net.Conn)}
		for i := range list { // the last one first
			client.WriteMsg(wwwOnly(list[len(list)-1-i]))
		}
		return true
	})
	for range crowd {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if n := s.connections.Load(); n != 1 || wrong.Load() > 0 {
		t.Errorf("got %d connections, %d requests not padded; want 1, none", n, wrong.Load())
	}
}

func TestAConnectionThatIsGoneIsMadeAnew(t *testing.T) {
	s := newTLSServer(t, "dns.example.com", wwwOnly)
	c := newTLSClient(Upstream{s.addr, "dns.example.com"}, s.roots)
	defer c.close()
	for range 3 {
		if _, err := c.exchange(t.Context(), recursive(t, "www.example.com. A")); err != nil {
			t.Fatal(err)
		}
		s.hangUp()
	}
	if n := s.connections.Load(); n != 3 {
		t.Errorf("got %d connections; want 3", n)
	}
}
