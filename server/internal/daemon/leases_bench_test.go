package daemon

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/dhcp"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// hardware is the MAC address of the n-th client, address what the first of them get.
func hardware(n int) net.HardwareAddr {
	return net.HardwareAddr{2, 0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
}

func address(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(1 + n>>16), byte(n >> 8), byte(n)})
}

// crowd is a rig whose subnet has so many leases and reservations.
func crowd(b *testing.B, count int, reserved bool) *rig {
	b.Helper()
	r := newRig(b)
	r.subnet(b, "rack", "10.0.0.0/8", "10.1.0.0", "10.250.255.255")
	err := r.db.Update(b.Context(), func(tx *store.Tx) error {
		var list []store.HeldLease
		for n := range count {
			mac := metal.MACOf(hardware(n))
			if !reserved {
				list = append(list, store.HeldLease{Client: string(mac), Lease: metal.Lease{
					Subnet: "rack", Addr: address(n), MAC: mac, State: metal.LeaseActive, ExpiresAt: tx.Now.Add(time.Hour),
				}})
				continue
			}
			name := fmt.Sprintf("r-%d", n)
			err := tx.PutReservation(&metal.Reservation{Name: name, Addr: address(n), Spec: metal.ReservationSpec{Subnet: "rack", MAC: mac}})
			if err == nil {
				err = tx.Assign(metal.Assignment{Subnet: "rack", Addr: address(n), Reservation: name, MAC: mac})
			}
			if err != nil {
				return err
			}
		}
		return tx.PutLeases(list, tx.Now)
	})
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// message is a packet of the n-th client, and the query that the server makes of it.
func message(b *testing.B, n int, kind dhcpv4.MessageType, options ...dhcpv4.Modifier) (*dhcpv4.DHCPv4, dhcp.Query) {
	pkt, err := dhcpv4.New(append([]dhcpv4.Modifier{dhcpv4.WithHwAddr(hardware(n)), dhcpv4.WithMessageType(kind)}, options...)...)
	if err != nil {
		b.Error(err)
	}
	here := netip.AddrFrom4([4]byte{10, 0, 0, 1})
	return pkt, dhcp.Query{MAC: metal.MACOf(hardware(n)), Client: dhcp.Client(pkt), Via: here, Ours: here}
}

// BenchmarkOffer asks for addresses: nothing is stored.
func BenchmarkOffer(b *testing.B) {
	for _, count := range []int{100, 100_000} {
		for _, reserved := range []bool{false, true} {
			for _, known := range []bool{false, true} {
				b.Run(fmt.Sprintf("%d there, reserved %t, known %t", count, reserved, known), func(b *testing.B) {
					r := crowd(b, count, reserved)
					var next atomic.Int64
					b.ResetTimer()
					b.RunParallel(func(pb *testing.PB) {
						for pb.Next() {
							n := int(next.Add(1))
							if known {
								n %= count
							} else {
								n += count
							}
							pkt, q := message(b, n, dhcpv4.MessageTypeDiscover)
							r.Exchange(q, func(v dhcp.View, now time.Time) dhcp.Answer { return dhcp.Respond(pkt, v, now) }, func(a dhcp.Answer, err error) {
								if err != nil || a.Reply == nil {
									b.Errorf("client %d: got %v, %q", n, err, a.Why)
								}
							})
						}
					})
					b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "offers/s")
				})
			}
		}
	}
}

// BenchmarkLease goes through DISCOVER and REQUEST, with so many clients at once.
func BenchmarkLease(b *testing.B) {
	for _, count := range []int{100, 100_000} {
		for _, renew := range []bool{false, true} {
			for _, atOnce := range []int{1, 16, 256} {
				b.Run(fmt.Sprintf("%d there, renewed %t, %d at once", count, renew, atOnce), func(b *testing.B) {
					r := crowd(b, count, false)
					room := make(chan struct{}, atOnce)
					var wg sync.WaitGroup
					b.ResetTimer()
					for i := range b.N {
						n := count + i
						if renew {
							n = i % count
						}
						room <- struct{}{}
						wg.Add(1)
						ended := func() { <-room; wg.Done() }
						pkt, q := message(b, n, dhcpv4.MessageTypeDiscover)
						r.Exchange(q, func(v dhcp.View, now time.Time) dhcp.Answer { return dhcp.Respond(pkt, v, now) }, func(a dhcp.Answer, err error) {
							pkt, q := message(b, n, dhcpv4.MessageTypeRequest, wanting(given(a)))
							r.Exchange(q, func(v dhcp.View, now time.Time) dhcp.Answer { return dhcp.Respond(pkt, v, now) }, func(a dhcp.Answer, err error) {
								if err != nil || a.Reply == nil || a.Reply.MessageType() != dhcpv4.MessageTypeAck {
									b.Errorf("client %d: got %v, %q", n, err, a.Why)
								}
								ended()
							})
						})
					}
					wg.Wait()
					b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "leases/s")
				})
			}
		}
	}
}
