package store

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/metalform/terraform-provider-metal/server/internal/seal"
)

func options(t *testing.T) Options {
	t.Helper()
	sealer, err := seal.New(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return Options{Sealer: sealer, Now: time.Now, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
}

func TestThePragmasHoldOnEveryConnection(t *testing.T) {
	db, err := Open(t.Context(), filepath.Join(t.TempDir(), "metald.db"), options(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for name, pool := range map[string]struct {
		db        *sql.DB
		conns     int
		queryOnly string
		logPages  string // only who writes ends the log
	}{"writer": {db.write, 1, "0", "4096"}, "readers": {db.read, 16, "1", "1000"}} {
		var held []*sql.Conn
		for range pool.conns { // all at once, so that each is another one
			conn, err := pool.db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			held = append(held, conn)
			for pragma, want := range map[string]string{
				"journal_mode": "wal", "foreign_keys": "1", "busy_timeout": "5000", "synchronous": "2", "query_only": pool.queryOnly,
				"wal_autocheckpoint": pool.logPages,
			} {
				var got string
				if err := conn.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
					t.Errorf("%s, connection %d: %s is %s, %v; want %s", name, len(held), pragma, got, err, want)
				}
			}
		}
		for _, conn := range held {
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestASnapshotIsKeptBeforeAMigration gives the database one migration more than it has.
func TestASnapshotIsKeptBeforeAMigration(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metald.db")
	db, err := Open(t.Context(), path, options(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Update(t.Context(), func(tx *Tx) error { return tx.AddEvent("machine", "m-1", "was here") }); err != nil {
		t.Fatal(err)
	}
	next := fstest.MapFS{}
	files, err := os.ReadDir("migrations")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join("migrations", f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		next[f.Name()] = &fstest.MapFile{Data: text}
	}
	const version = 9000 // the numbers have gaps, so that counting them does not give the next one
	next[fmt.Sprintf("%04d_next.sql", version)] = &fstest.MapFile{Data: []byte("-- +goose Up\nDELETE FROM event;\n-- +goose Down\nSELECT 1;\n")}
	snapshot := fmt.Sprintf("%s.before-%d", path, version)
	if err := os.WriteFile(snapshot, []byte("of an attempt before this one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := db.migrateTo(t.Context(), path, next); err != nil {
		t.Fatal(err)
	}
	if got := events(t, path); got != 0 {
		t.Errorf("events after the migration: got %d; want none", got)
	}
	if got := events(t, snapshot); got != 1 {
		t.Errorf("events in the snapshot: got %d; want 1", got)
	}
}

func events(t *testing.T, path string) (n int) {
	t.Helper()
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM event").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestEveryMigrationCanBeReadByGoose(t *testing.T) {
	db, err := sql.Open("sqlite3", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	p, err := goose.NewProvider(goose.DialectSQLite3, db, os.DirFS("migrations"))
	if err != nil {
		t.Fatal(err)
	}
	for v := int64(1); v <= int64(len(p.ListSources())); v++ {
		if _, err := p.UpTo(context.Background(), v); err != nil {
			t.Errorf("migration %d: %v", v, err)
		}
	}
}
