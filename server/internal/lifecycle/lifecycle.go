// Package lifecycle starts, runs, resumes and ends the operations that walk machines through the tables of
// internal/metal. A command inserts an operation in the caller's transaction; the engine sees it, works through its
// steps, and stores the step reached, so that after a kill -9 the next engine goes on from there. Nothing else
// assigns a machine's state.
package lifecycle

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/bmc"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// Limits are the times that the engine keeps. Zero fields take the default.
type Limits struct {
	// Boot is how long a machine may take from power-on until its agent calls; then it is power-cycled. Default 5 min.
	Boot time.Duration
	// Boots is how often that is tried. Default 3.
	Boots int
	// Silence is how long an agent may say nothing before it counts as gone. Default 90 s; agents speak every 55 s.
	Silence time.Duration
	// Report is how long an installed system may take until it calls back. Default 20 min.
	Report time.Duration
	// Idle is how long a machine that is ready keeps its agent in RAM, for the next command to start at once,
	// before it is powered off. Default 10 min.
	Idle time.Duration
	// State limits override those of the life-cycle table.
	State map[metal.State]time.Duration
}

func (l Limits) withDefaults() Limits {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&l.Boot, 5*time.Minute)
	set(&l.Silence, 90*time.Second)
	set(&l.Report, 20*time.Minute)
	set(&l.Idle, 10*time.Minute)
	if l.Boots == 0 {
		l.Boots = 3
	}
	return l
}

// of returns how long a working state may last.
func (l Limits) of(s metal.State) time.Duration {
	if d, ok := l.State[s]; ok {
		return d
	}
	if w, ok := metal.Working(s); ok {
		return w.Limit
	}
	return time.Hour
}

// A Seeder renders the cloud-init seed of a deployment: file name to content.
type Seeder func(tx *store.Tx, m *metal.Machine, d *metal.Deployment, userData []byte, phoneHome string) (map[string]string, error)

// An Importer brings an image's content into the store.
type Importer func(ctx context.Context, spec metal.ImageSpec, progress func(float64)) (Content, error)

// Content is what an import made.
type Content struct {
	Digest                string
	RawBytes, StoredBytes int64
}

// Config of an engine. Every field is needed.
type Config struct {
	DB      *store.DB
	Dial    map[string]bmc.Dial // by BMC type
	Seed    Seeder
	Layout  Layouter
	Import  Importer
	BaseURL string // of the boot server, as machines reach it
	Limits  Limits
	Now     func() time.Time
	Log     *slog.Logger
}

// Engine runs operations.
type Engine struct {
	cfg    Config
	limits Limits
	secret []byte             // signs boot tokens
	wiped  ed25519.PrivateKey // signs erase certificates

	mu      sync.Mutex
	running map[string]context.CancelFunc // by operation
	gates   map[string]*sync.Mutex        // by machine: a BMC gets one connection at a time
	refused map[string]bmc.Endpoint       // by machine: what its BMC refused last
	workers sync.WaitGroup
}

// New makes an engine; Run runs it.
func New(ctx context.Context, cfg Config) (*Engine, error) {
	e := &Engine{
		cfg: cfg, limits: cfg.Limits.withDefaults(), running: map[string]context.CancelFunc{},
		gates: map[string]*sync.Mutex{}, refused: map[string]bmc.Endpoint{},
	}
	err := cfg.DB.Update(ctx, func(tx *store.Tx) (err error) {
		if e.secret, err = tx.Secret("boot-token", freshSecret); err != nil {
			return err
		}
		seed, err := tx.Secret("erase-certificate", freshSeed)
		if err == nil {
			e.wiped = ed25519.NewKeyFromSeed(seed)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("load the secrets of boot tokens and erase certificates: %w", err)
	}
	return e, nil
}

// Run works on every open operation until ctx ends, then waits for its workers. Operations that are open at its
// start, because a metald before it was stopped or killed, are gone on with.
func (e *Engine) Run(ctx context.Context) error {
	defer e.workers.Wait()
	e.workers.Go(func() { e.watchPower(ctx) })
	e.workers.Go(func() { e.forget(ctx) })
	for {
		changed := e.cfg.DB.Changed()
		if err := e.reconcile(ctx); err != nil && ctx.Err() == nil {
			e.cfg.Log.Error("look for operations to work on", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-time.After(5 * time.Second): // a failed look is repeated
		}
	}
}

// reconcile gives every open operation a worker, and stops workers whose operation is over.
func (e *Engine) reconcile(ctx context.Context) error {
	var open []string
	err := e.cfg.DB.Read(ctx, func(tx *store.Tx) (err error) {
		open, err = tx.OpenOperations()
		return err
	})
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	still := make(map[string]bool, len(open))
	for _, id := range open {
		still[id] = true
		if e.running[id] != nil {
			continue
		}
		wctx, cancel := context.WithCancel(ctx)
		e.running[id] = cancel
		e.workers.Go(func() {
			defer func() {
				cancel()
				e.mu.Lock()
				delete(e.running, id)
				e.mu.Unlock()
			}()
			e.work(wctx, id)
		})
	}
	for id, cancel := range e.running {
		if !still[id] {
			cancel()
		}
	}
	return nil
}
