package fleet_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// BenchmarkReserve makes a reservation of the next address in a subnet where so many are taken, and deletes it: by one
// caller, and by 64 at once.
func BenchmarkReserve(b *testing.B) {
	for _, size := range []int{100, 100_000} {
		r := start(b)
		r.subnet(b, "s", "10.0.0.0/8")
		must(b, r.db.Update(b.Context(), func(tx *store.Tx) error {
			a := addr("10.0.0.1")
			for i := range size {
				x := &metal.Reservation{Name: fmt.Sprint("old", i), Addr: a, Spec: metal.ReservationSpec{Subnet: "s"}}
				if err := tx.PutReservation(x); err != nil {
					return err
				}
				if err := tx.Assign(metal.Assignment{Subnet: "s", Addr: a, Reservation: x.Name}); err != nil {
					return err
				}
				a = a.Next()
			}
			return nil
		}))
		var n atomic.Int64
		take := func() {
			name := named(fmt.Sprint("new", n.Add(1)))
			if _, err := r.PutReservation(b.Context(), api.PutReservationRequest{ByName: name, Body: metal.ReservationSpec{Subnet: "s"}}); err != nil {
				b.Error(err)
			}
			if _, err := r.DeleteReservation(b.Context(), api.DeleteByNameRequest{ByName: name}); err != nil {
				b.Error(err)
			}
		}
		b.Run(fmt.Sprint(size, "/1"), func(b *testing.B) {
			for b.Loop() {
				take()
			}
		})
		b.Run(fmt.Sprint(size, "/64"), func(b *testing.B) {
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					take()
				}
			})
		})
	}
}
