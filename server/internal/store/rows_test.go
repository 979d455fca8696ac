package store_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

func TestAStaleMachineIsNotWritten(t *testing.T) {
	r := open(t)
	r.pool(t)
	r.update(t, func(tx *store.Tx) error { return tx.InsertMachine(machine(1)) })
	stale := machine(1)
	stale.Revision = 1
	r.update(t, func(tx *store.Tx) error {
		m, err := tx.Machine("m-001")
		if err != nil {
			return err
		}
		m.Spec.Notes = "first"
		return tx.SaveMachine(m)
	})
	stale.Spec.Notes = "second"
	err := r.Update(t.Context(), func(tx *store.Tx) error { return tx.SaveMachine(stale) })
	if metal.CodeOf(err) != metal.Conflict || !strings.Contains(err.Error(), "somebody else") {
		t.Errorf("got %v; want a conflict", err)
	}
	r.update(t, func(tx *store.Tx) error {
		m, err := tx.FindMachine("n1")
		if m.Spec.Notes != "first" || m.Revision != 2 {
			t.Errorf("stored: got %q, revision %d; want first, 2", m.Spec.Notes, m.Revision)
		}
		return err
	})
}

func TestWhatMustBeUniqueIsAConflict(t *testing.T) {
	addr := netip.MustParseAddr("10.77.0.1")
	subnet := &metal.Subnet{Name: "fleet", Spec: metal.SubnetSpec{CIDR: netip.MustParsePrefix("10.77.0.0/16")}}
	r := open(t)
	r.pool(t)
	r.update(t, func(tx *store.Tx) error {
		return errors.Join(tx.InsertMachine(machine(1)), tx.InsertMachine(machine(2)), tx.PutSubnet(subnet), tx.InsertToken("admin", []byte{1}),
			tx.Assign(metal.Assignment{Subnet: "fleet", Addr: addr, MachineID: "m-001", MAC: mac(1)}),
			tx.InsertAllocation(&metal.Allocation{ID: "a-1", Name: "web", MachineID: "m-001"}),
			tx.InsertDeployment(&metal.Deployment{ID: "d-1", MachineID: "m-001"}),
			tx.PutBootSession(store.BootSession{MachineID: "m-001", Nonce: "n", BootID: "b", Hash: []byte{1}, BegunAt: r.now, SeenAt: r.now}))
	})
	for name, f := range map[string]func(tx *store.Tx) error{
		"a machine's name": func(tx *store.Tx) error {
			m := machine(3)
			m.Spec.Name = "n1"
			return tx.InsertMachine(m)
		},
		"a MAC address": func(tx *store.Tx) error {
			m := machine(3)
			m.Spec.MACs = append(m.Spec.MACs, mac(1))
			return tx.InsertMachine(m)
		},
		"an address": func(tx *store.Tx) error {
			return tx.Assign(metal.Assignment{Subnet: "fleet", Addr: addr, MachineID: "m-002", MAC: mac(2)})
		},
		"a second address of the machine on the subnet": func(tx *store.Tx) error {
			return tx.Assign(metal.Assignment{Subnet: "fleet", Addr: addr.Next(), MachineID: "m-001", MAC: mac(1)})
		},
		"a claim's name": func(tx *store.Tx) error {
			return tx.InsertAllocation(&metal.Allocation{ID: "a-2", Name: "web", MachineID: "m-002"})
		},
		"a claimed machine": func(tx *store.Tx) error {
			return tx.InsertAllocation(&metal.Allocation{ID: "a-2", Name: "db", MachineID: "m-001"})
		},
		"a second deployment": func(tx *store.Tx) error {
			return tx.InsertDeployment(&metal.Deployment{ID: "d-2", MachineID: "m-001"})
		},
		"a token's name": func(tx *store.Tx) error { return tx.InsertToken("admin", []byte{2}) },
		"a boot token that was used": func(tx *store.Tx) error {
			return tx.PutBootSession(store.BootSession{MachineID: "m-002", Nonce: "n", BootID: "c", Hash: []byte{2}})
		},
		"a machine that is claimed": func(tx *store.Tx) error { return tx.DeleteMachine("m-001") },
		"a pool that is used":       func(tx *store.Tx) error { return tx.DeletePool("default") },
		"a subnet that is used":     func(tx *store.Tx) error { return tx.DeleteSubnet("fleet") },
		"a pool that is not there": func(tx *store.Tx) error {
			m := machine(3)
			m.Spec.Pool = "none"
			return tx.InsertMachine(m)
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := r.Update(t.Context(), f); metal.CodeOf(err) != metal.Conflict {
				t.Errorf("got %v; want a conflict", err)
			}
		})
	}
}

func TestAMachineHasOneOpenOperation(t *testing.T) {
	r := open(t)
	op := func(id, key string) *metal.Operation {
		return &metal.Operation{ID: id, Kind: metal.OpDeploy, MachineID: "m-1", Key: key}
	}
	first := op("o-1", "k")
	r.update(t, func(tx *store.Tx) error { return tx.InsertOperation(first, nil) })
	insert := func(o *metal.Operation) error {
		return r.Update(t.Context(), func(tx *store.Tx) error { return tx.InsertOperation(o, nil) })
	}
	if err := insert(op("o-2", "")); metal.CodeOf(err) != metal.Conflict {
		t.Errorf("a second one: got %v; want a conflict", err)
	}
	r.update(t, func(tx *store.Tx) error { first.Status = metal.OpDone; return tx.SaveOperation(first, nil) })
	if err := insert(op("o-2", "k")); metal.CodeOf(err) != metal.Conflict {
		t.Errorf("with a key that was used: got %v; want a conflict", err)
	}
	if err := insert(op("o-2", "")); err != nil {
		t.Errorf("after the first ended: got %v", err)
	}
	if err := insert(&metal.Operation{ID: "o-3", Kind: metal.OpImport, Image: "a"}); err != nil {
		t.Errorf("an import: got %v", err)
	}
	if err := insert(&metal.Operation{ID: "o-4", Kind: metal.OpImport, Image: "a"}); metal.CodeOf(err) != metal.Conflict {
		t.Errorf("a second import of the image: got %v; want a conflict", err)
	}
	r.update(t, func(tx *store.Tx) error {
		found, err := tx.OperationByKey("m-1", metal.OpDeploy, "k")
		if found == nil || found.ID != "o-1" {
			t.Errorf("by its key: got %+v; want o-1", found)
		}
		open, err2 := tx.OpenOperations()
		if fmt.Sprint(open) != "[o-2 o-3]" {
			t.Errorf("open: got %v; want o-2 and o-3", open)
		}
		return errors.Join(err, err2)
	})
}

func TestAnOvertakenWorkerCannotWrite(t *testing.T) {
	r := open(t)
	r.update(t, func(tx *store.Tx) error {
		return tx.InsertOperation(&metal.Operation{ID: "o-1", Kind: metal.OpDeploy, MachineID: "m-1"}, map[string]int{"step": 0})
	})
	claim := func() *metal.Operation {
		var o *metal.Operation
		r.update(t, func(tx *store.Tx) (err error) {
			if o, err = tx.Operation("o-1", nil); err != nil {
				return err
			}
			return tx.ClaimOperation(o)
		})
		return o
	}
	old, now := claim(), claim()
	old.Step = "old"
	if err := r.Update(t.Context(), func(tx *store.Tx) error { return tx.SaveOperation(old, nil) }); metal.CodeOf(err) != metal.Conflict {
		t.Errorf("the overtaken worker: got %v; want a conflict", err)
	}
	if err := r.Update(t.Context(), func(tx *store.Tx) error { return tx.ClaimOperation(&metal.Operation{ID: "o-1", Job: 1}) }); metal.CodeOf(err) != metal.Conflict {
		t.Errorf("a claim with a stale number: got %v; want a conflict", err)
	}
	now.Step, now.Status = "new", metal.OpDone
	r.update(t, func(tx *store.Tx) error { return tx.SaveOperation(now, map[string]int{"step": 2}) })
	if err := r.Update(t.Context(), func(tx *store.Tx) error { return tx.SaveOperation(now, nil) }); metal.CodeOf(err) != metal.Conflict {
		t.Errorf("a write after the end: got %v; want a conflict", err)
	}
	r.update(t, func(tx *store.Tx) error {
		var work map[string]int
		o, err := tx.Operation("o-1", &work)
		if o.Step != "new" || work["step"] != 2 {
			t.Errorf("stored: got step %q and work %v; want new and 2", o.Step, work)
		}
		return err
	})
}

func TestLeases(t *testing.T) {
	a, b := netip.MustParseAddr("10.77.128.1"), netip.MustParseAddr("10.77.128.2")
	r := open(t)
	r.update(t, func(tx *store.Tx) error { return tx.PutSubnet(&metal.Subnet{Name: "fleet"}) })
	put := func(client string, addr netip.Addr, life time.Duration) error {
		return r.Update(t.Context(), func(tx *store.Tx) error {
			return tx.PutLease(client, metal.Lease{Subnet: "fleet", Addr: addr, MAC: mac(1), State: metal.LeaseActive, ExpiresAt: tx.Now.Add(life)})
		})
	}
	held := func(client string) (addr netip.Addr) {
		r.update(t, func(tx *store.Tx) error {
			l, err := tx.LeaseOf("fleet", client)
			if l != nil {
				addr = l.Addr
			}
			return err
		})
		return addr
	}
	if err := put("one", a, time.Minute); err != nil || held("one") != a {
		t.Fatalf("the first lease: got %v, %v", held("one"), err)
	}
	if err := put("two", a, time.Minute); metal.CodeOf(err) != metal.Conflict {
		t.Errorf("an address that another client holds: got %v; want a conflict", err)
	}
	if err := put("one", b, time.Minute); err != nil || held("one") != b {
		t.Errorf("another address in place of the first: got %v, %v", held("one"), err)
	}
	if err := put("two", a, time.Minute); err != nil {
		t.Errorf("the address that was given up: got %v", err)
	}
	r.now = r.now.Add(2 * time.Minute)
	r.update(t, func(tx *store.Tx) error {
		if list, err := tx.Leases("fleet"); err != nil || len(list) != 0 {
			t.Errorf("leases after they ended: got %v, %v; want none", list, err)
		}
		return nil
	})
	if held("two") != a {
		t.Error("a client that returns does not find its old address")
	}
	if err := put("three", a, time.Minute); err != nil || held("three") != a || held("two").IsValid() {
		t.Errorf("an address whose lease ended: got %v, %v", held("three"), err)
	}
}

func TestOldHistoryIsForgotten(t *testing.T) {
	const day = 24 * time.Hour
	r := open(t)
	r.update(t, func(tx *store.Tx) error {
		done := &metal.Operation{ID: "o-1", Kind: metal.OpDeploy, MachineID: "m-1"}
		err := errors.Join(tx.PutSubnet(&metal.Subnet{Name: "fleet"}), tx.InsertOperation(done, nil), tx.AppendLog("o-1", "old"), tx.AddEvent("x", "x", "old"),
			tx.InsertOperation(&metal.Operation{ID: "o-2", Kind: metal.OpDeploy, MachineID: "m-2"}, nil), tx.AppendLog("o-2", "old, and still open"),
			tx.PutLease("one", metal.Lease{Subnet: "fleet", Addr: netip.MustParseAddr("10.77.128.1"), ExpiresAt: tx.Now}))
		done.Status = metal.OpDone
		return errors.Join(err, tx.SaveOperation(done, nil))
	})
	r.now = r.now.Add(31 * day)
	r.update(t, func(tx *store.Tx) error {
		for i := range 5 {
			if err := tx.AddEvent("x", "x", fmt.Sprint(i)); err != nil {
				return err
			}
		}
		return tx.Prune(tx.Now.Add(-30*day), 3, tx.Now.Add(-day))
	})
	r.update(t, func(tx *store.Tx) error {
		events, err := tx.Events(0, 100)
		if len(events) != 3 || events[0].Text != "2" {
			t.Errorf("events: got %+v; want the newest three", events)
		}
		ended, err2 := tx.Log("o-1", 0, 10)
		open, err3 := tx.Log("o-2", 0, 10)
		lease, err4 := tx.LeaseOf("fleet", "one")
		if len(ended) != 0 || len(open) != 1 || lease != nil {
			t.Errorf("left: got %v of the ended, %v of the open operation, and %v", ended, open, lease)
		}
		return errors.Join(err, err2, err3, err4)
	})
}

func TestASettingIsReplaced(t *testing.T) {
	r := open(t)
	r.update(t, func(tx *store.Tx) error {
		if value, err := tx.Setting("answer"); value != nil || err != nil {
			t.Errorf("before: got %q, %v; want nothing", value, err)
		}
		return errors.Join(tx.PutSetting("answer", []byte("41")), tx.PutSetting("answer", []byte("42")))
	})
	r.update(t, func(tx *store.Tx) error {
		value, err := tx.Setting("answer")
		if string(value) != "42" {
			t.Errorf("after: got %q; want 42", value)
		}
		return err
	})
}

func TestManyTakersGetOneMachineEach(t *testing.T) {
	const takers, machines = 64, 20
	r := open(t)
	r.pool(t)
	r.update(t, func(tx *store.Tx) error {
		for i := range machines {
			if err := tx.InsertMachine(machine(i)); err != nil {
				return err
			}
		}
		return nil
	})
	var won, lost atomic.Int64
	var wg sync.WaitGroup
	for i := range takers {
		wg.Go(func() {
			err := r.Update(t.Context(), func(tx *store.Tx) error {
				free, err := tx.Machines(store.MachineFilter{State: string(metal.Ready), Limit: 1})
				if err != nil {
					return err
				}
				if len(free) == 0 {
					return metal.Errorf(metal.Exhausted, "none is free")
				}
				m := &free[0]
				m.State = metal.Allocated
				return errors.Join(tx.SaveMachine(m), tx.InsertAllocation(&metal.Allocation{ID: fmt.Sprint("a-", i), Name: fmt.Sprint("c", i), MachineID: m.ID}))
			})
			switch metal.CodeOf(err) {
			case "":
				won.Add(1)
			case metal.Exhausted:
				lost.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != machines || lost.Load() != takers-machines {
		t.Errorf("got %d winners and %d losers; want %d and %d", won.Load(), lost.Load(), machines, takers-machines)
	}
}

func TestAFullDiskLosesNothing(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size=2m", "metal-test", dir).CombinedOutput(); err != nil {
		t.Skipf("a small file system cannot be mounted: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	r := openAt(t, filepath.Join(dir, "metald.db"))
	add := func() error {
		return r.Update(t.Context(), func(tx *store.Tx) error { return tx.AddEvent("x", "x", strings.Repeat("x", 100_000)) })
	}
	var stored int
	var err error
	for err == nil && stored < 100 {
		if err = add(); err == nil {
			stored++
		}
	}
	if metal.CodeOf(err) != metal.Exhausted || !strings.Contains(err.Error(), "disk of the database is full") {
		t.Fatalf("after %d writes: got %v; want exhausted", stored, err)
	}
	count := func() (n int) {
		if err := r.Read(t.Context(), func(tx *store.Tx) error { list, err := tx.Events(0, 1000); n = len(list); return err }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if got := count(); got != stored {
		t.Errorf("events on the full disk: got %d; want %d", got, stored)
	}
	if out, err := exec.CommandContext(t.Context(), "mount", "-o", "remount,size=8m", dir).CombinedOutput(); err != nil {
		t.Fatalf("remount: %v: %s", err, out)
	}
	if err := add(); err != nil {
		t.Errorf("after there is room again: got %v", err)
	}
	if got := count(); got != stored+1 {
		t.Errorf("events: got %d; want %d", got, stored+1)
	}
}
