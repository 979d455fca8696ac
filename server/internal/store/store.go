// Package store keeps everything metald knows in one SQLite file. It is the only meeting place of the services: they
// decide inside one transaction, commit, and answer then. It holds rows, not rules.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"sync"
	"time"

	_ "github.com/mattn/go-sqlite3"
	"github.com/pressly/goose/v3"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/seal"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Options of Open. Every field is needed.
type Options struct {
	Sealer *seal.Sealer
	Now    func() time.Time
	Log    *slog.Logger
}

// DB is an open database: one writer, many readers.
type DB struct {
	opt   Options
	write *sql.DB
	read  *sql.DB

	mu        sync.Mutex // held from begin to after-commit, so that observers follow the order of commits
	observers []Observer

	changed chan struct{}
	chmu    sync.Mutex
}

// Open opens the file at path, makes it where there is none, and brings its schema up to date; before that it keeps
// a snapshot beside it. A file that a newer metald wrote is refused.
func Open(ctx context.Context, path string, opt Options) (*DB, error) {
	db := &DB{opt: opt, changed: make(chan struct{})}
	var err error
	if db.write, err = sql.Open("sqlite3", dsn(path, false)); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	db.write.SetMaxOpenConns(1)
	if err := db.migrate(ctx, path); err != nil {
		return nil, errors.Join(err, db.write.Close())
	}
	// Whoever makes the log too long waits until all of it is in the file. Pages that many commits change are written
	// there once: the longer the log, the less there is to write.
	const logPages = 4096 // 16 MiB
	if _, err := db.write.ExecContext(ctx, fmt.Sprintf("PRAGMA wal_autocheckpoint = %d", logPages)); err != nil {
		return nil, errors.Join(fmt.Errorf("set how long the log of %s may get: %w", path, err), db.write.Close())
	}
	if db.read, err = sql.Open("sqlite3", dsn(path, true)); err != nil {
		return nil, errors.Join(fmt.Errorf("open database: %w", err), db.write.Close())
	}
	db.read.SetMaxOpenConns(16)
	db.read.SetMaxIdleConns(16)
	return db, nil
}

// The pragmas stand in the DSN so that every pooled connection has them. synchronous=FULL: what an API call or a
// DHCPACK promised survives a power cut.
func dsn(path string, readOnly bool) string {
	v := url.Values{
		"_journal_mode": {"WAL"}, "_foreign_keys": {"1"}, "_busy_timeout": {"5000"},
		"_synchronous": {"FULL"}, "_stmt_cache_size": {"64"},
	}
	if readOnly {
		v.Set("_query_only", "1")
	} else {
		v.Set("_txlock", "immediate")
	}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: v.Encode()}).String()
}

func (db *DB) migrate(ctx context.Context, path string) error {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	return db.migrateTo(ctx, path, dir)
}

func (db *DB) migrateTo(ctx context.Context, path string, dir fs.FS) error {
	p, err := goose.NewProvider(goose.DialectSQLite3, db.write, dir)
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the schema version of %s: %w", path, err)
	}
	if have > want {
		return metal.Errorf(metal.Invalid, "the database %s has schema %d and this metald knows %d at most: start the newer metald that wrote it, or restore a backup", path, have, want)
	}
	if have == want {
		return nil
	}
	if have > 0 {
		snapshot := fmt.Sprintf("%s.before-%d", path, want)
		if err := os.Remove(snapshot); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove an old snapshot: %w", err)
		}
		if _, err := db.write.ExecContext(ctx, "VACUUM INTO ?", snapshot); err != nil {
			return fmt.Errorf("keep a snapshot before the migration: %w", err)
		}
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate %s from schema %d to %d: %w", path, have, want, err)
	}
	return nil
}

// Close closes the file.
func (db *DB) Close() error { return errors.Join(db.read.Close(), db.write.Close()) }

// Changed returns a channel that is closed after the next commit. Take it before you read what you wait for.
func (db *DB) Changed() <-chan struct{} {
	db.chmu.Lock()
	defer db.chmu.Unlock()
	return db.changed
}

// Update runs f in a write transaction and commits when it returns nil. Writers queue. Observers know
// what it changed when Update returns.
func (db *DB) Update(ctx context.Context, f func(*Tx) error) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	tx, err := db.begin(ctx, db.write)
	if err != nil {
		return err
	}
	// After the commit this does nothing. It is deferred for a panic in f: there is one connection that writes.
	defer tx.tx.Rollback() //nolint:errcheck // what was not committed is gone in any case
	if err := f(tx); err != nil {
		return err
	}
	if err := tx.tx.Commit(); err != nil {
		return translate("commit", err)
	}
	if len(tx.changes) > 0 {
		for _, o := range db.observers {
			o.Apply(tx.changes)
		}
	}
	db.chmu.Lock()
	close(db.changed)
	db.changed = make(chan struct{})
	db.chmu.Unlock()
	return nil
}

// Read runs f in a read transaction: it sees one moment of the database, and writers do not wait for it.
func (db *DB) Read(ctx context.Context, f func(*Tx) error) error {
	tx, err := db.begin(ctx, db.read)
	if err != nil {
		return err
	}
	defer tx.tx.Rollback() //nolint:errcheck // a read leaves nothing to undo
	return f(tx)
}

func (db *DB) begin(ctx context.Context, handle *sql.DB) (*Tx, error) {
	tx, err := handle.BeginTx(ctx, nil)
	if err != nil {
		return nil, translate("begin a transaction", err)
	}
	return &Tx{ctx: ctx, tx: tx, db: db, Now: db.opt.Now().UTC()}, nil
}
