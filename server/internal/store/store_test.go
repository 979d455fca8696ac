package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/seal"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// start is when the tests' clock begins.
var start = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// rig is a database in a real file, with a clock that stands still unless it is moved.
type rig struct {
	*store.DB
	path string
	now  time.Time
}

func open(t *testing.T) *rig {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "metald.db"))
}

func openAt(t *testing.T, path string) *rig {
	t.Helper()
	r := &rig{path: path, now: start}
	var err error
	if r.DB, err = store.Open(t.Context(), path, r.options(t)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *rig) options(t *testing.T) store.Options {
	t.Helper()
	sealer, err := seal.New(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return store.Options{Sealer: sealer, Now: func() time.Time { return r.now }, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
}

// update runs f in a transaction that must succeed.
func (r *rig) update(t *testing.T, f func(tx *store.Tx) error) {
	t.Helper()
	if err := r.Update(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

// pool makes the pool that machines are put in.
func (r *rig) pool(t *testing.T) {
	t.Helper()
	r.update(t, func(tx *store.Tx) error { return tx.PutPool(&metal.Pool{Name: "default"}) })
}

// machine makes the n-th machine.
func machine(n int) *metal.Machine {
	return &metal.Machine{
		ID: fmt.Sprintf("m-%03d", n), State: metal.Ready, Settled: true,
		Spec: metal.MachineSpec{Name: fmt.Sprintf("n%d", n), Pool: "default", MACs: []metal.MAC{mac(n)}},
	}
}

func mac(n int) metal.MAC { return metal.MACOf([]byte{0x52, 0x54, 0, 0x77, byte(n >> 8), byte(n)}) }

func TestAFileIsMadeAndOpenedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a directory with spaces & ?", "metald.db")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	r := openAt(t, path)
	r.pool(t)
	again := openAt(t, path)
	err := again.Read(t.Context(), func(tx *store.Tx) error {
		p, err := tx.Pool("default")
		if err == nil && !p.CreatedAt.Equal(start) {
			t.Errorf("made at: got %s; want %s", p.CreatedAt, start)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(path + ".before-*"); len(left) != 0 {
		t.Errorf("a database that was new has snapshots %v", left)
	}
}

// raw runs one statement on the file, behind the store's back.
func raw(t *testing.T, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

func TestADatabaseOfANewerServerIsRefused(t *testing.T) {
	r := open(t)
	raw(t, r.path, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)")
	_, err := store.Open(t.Context(), r.path, r.options(t))
	if metal.CodeOf(err) != metal.Invalid || !strings.Contains(err.Error(), "999") || !strings.Contains(err.Error(), "newer metald") {
		t.Errorf("got %v; want a refusal that says what to do", err)
	}
}

func TestWhatIsNoDatabaseIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metald.db")
	if err := os.WriteFile(path, bytes.Repeat([]byte("no database "), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	if db, err := store.Open(t.Context(), path, (&rig{now: start}).options(t)); err == nil {
		t.Errorf("it was opened; closing: %v", db.Close())
	}
}

func TestAnUpdateThatFailsLeavesNothing(t *testing.T) {
	r := open(t)
	sad := errors.New("sad")
	err := r.Update(t.Context(), func(tx *store.Tx) error {
		return errors.Join(tx.PutPool(&metal.Pool{Name: "default"}), sad)
	})
	if !errors.Is(err, sad) {
		t.Errorf("got %v; want the error of the function", err)
	}
	r.wantNoPool(t)
}

func (r *rig) wantNoPool(t *testing.T) {
	t.Helper()
	err := r.Read(t.Context(), func(tx *store.Tx) error { _, err := tx.Pool("default"); return err })
	if metal.CodeOf(err) != metal.NotFound {
		t.Errorf("the pool: got %v; want not_found", err)
	}
}

func TestAPanicInAnUpdateLeavesNothingAndBlocksNobody(t *testing.T) {
	r := open(t)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = r.Update(context.Background(), func(tx *store.Tx) error {
			_ = tx.PutPool(&metal.Pool{Name: "default"})
			panic("surprise")
		})
	}()
	r.wantNoPool(t)
	r.pool(t)
}

func TestAReaderCannotWrite(t *testing.T) {
	r := open(t)
	err := r.Read(t.Context(), func(tx *store.Tx) error { return tx.PutPool(&metal.Pool{Name: "default"}) })
	if err == nil {
		t.Error("a write in a read transaction was accepted")
	}
}

func TestAReaderSeesOneMoment(t *testing.T) {
	r := open(t)
	err := r.Read(t.Context(), func(tx *store.Tx) error {
		before, err := tx.Pools("", 0, nil)
		if err != nil {
			return err
		}
		r.pool(t)
		after, err := tx.Pools("", 0, nil)
		if len(before) != 0 || len(after) != 0 {
			t.Errorf("pools: got %d, then %d; want none both times", len(before), len(after))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestChangedIsClosedByTheNextCommitAndByNothingElse(t *testing.T) {
	r := open(t)
	changed := r.Changed()
	_ = r.Update(t.Context(), func(*store.Tx) error { return errors.New("no") })
	select {
	case <-changed:
		t.Error("it was closed by a rollback")
	default:
	}
	r.pool(t)
	select {
	case <-changed:
	default:
		t.Error("it was not closed by a commit")
	}
}

func TestSecretsAreNotInTheFiles(t *testing.T) {
	const canary = "canary-4711-bird"
	r := open(t)
	r.pool(t)
	r.update(t, func(tx *store.Tx) error {
		d := &metal.Deployment{ID: "d-1", MachineID: "m-001"}
		token, err := tx.Secret("boot-token", func() []byte { return []byte(canary) })
		if err != nil || string(token) != canary {
			t.Errorf("made: got %q, %v", token, err)
		}
		return errors.Join(tx.InsertMachine(machine(1)), tx.InsertDeployment(d),
			tx.SetBMCPassword("m-001", metal.NewSecret(canary)), tx.SetUserData("d-1", []byte("#cloud-config\npassword: "+canary)))
	})
	files, err := filepath.Glob(r.path + "*")
	if err != nil || len(files) < 2 {
		t.Fatalf("files: got %v, %v; want the database and its log", files, err)
	}
	for _, f := range files {
		content, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(content, []byte(canary)) {
			t.Errorf("%s has a secret in it", f)
		}
	}
	err = r.Read(t.Context(), func(tx *store.Tx) error {
		password, err := tx.BMCPassword("m-001")
		data, err2 := tx.UserData("d-1")
		again, err3 := tx.Secret("boot-token", nil)
		if password.Reveal() != canary || !strings.HasSuffix(string(data), canary) || string(again) != canary {
			t.Errorf("opened: got %q, %q and %q", password.Reveal(), data, again)
		}
		return errors.Join(err, err2, err3)
	})
	if err != nil {
		t.Error(err)
	}
}
