// Package fleet is what the API does: it checks a request against the facts, changes them in one transaction, and
// starts operations. Every method of Fleet but a few is an endpoint of internal/api by the same name.
package fleet

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/lifecycle"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// Images is what the fleet needs of the image store.
type Images interface {
	// Upload reads the content of an image and converts it.
	Upload(ctx context.Context, spec metal.ImageSpec, body Body) (lifecycle.Content, error)
	// Allowed refuses a source that could never be imported, with metal.Invalid.
	Allowed(spec metal.ImageSpec) error
	// Remove forgets a content; one that is not there is no error.
	Remove(digest string) error
}

// Body is the stream of an upload.
type Body interface{ Read(p []byte) (int, error) }

// Config of a fleet. Every field but Probe and Serial is needed.
type Config struct {
	DB     *store.DB
	Engine *lifecycle.Engine
	Images Images
	// BootFiles keeps the files of boot profiles.
	BootFiles BootFiles
	// Leases reads lease files of other servers.
	Leases Leases
	// Zone is the DNS domain of what has no other, without a trailing dot.
	Zone string
	// Probe looks whether anybody answers on an address, and says who: by his MAC address where that is known. It is
	// asked before an address is given to a host, never within a transaction; nil: addresses are given unseen.
	Probe func(ctx context.Context, subnet metal.Subnet, addr netip.Addr) (who string, inUse bool)
	// CheckOptions refuses what could not be told to a DHCPv4 client, with metal.Invalid.
	CheckOptions func(metal.DHCPOptions) error
	// Serial returns the serial number of a zone's SOA record now; nil: 0 is told.
	Serial func(zone string) uint32
	// Own are addresses of the server itself, which no machine may get.
	Own     []netip.Addr
	Version string
	Started time.Time
	// Services tells what runs where, for the status.
	Services map[string]string
	// Caller returns the name of the token that a request came with.
	Caller func(context.Context) string
	Log    *slog.Logger
}

// Fleet serves the API.
type Fleet struct {
	cfg    Config
	ledger *ledger
}

// New makes a fleet, which observes the database from now on.
func New(ctx context.Context, cfg Config) (*Fleet, error) {
	cfg.Zone = strings.ToLower(strings.TrimSuffix(cfg.Zone, "."))
	f := &Fleet{cfg, newLedger(cfg.Own)}
	if err := cfg.DB.Observe(ctx, f.ledger); err != nil {
		return nil, fmt.Errorf("read what is allocated: %w", err)
	}
	return f, nil
}

// DefaultPool is the pool that is always there.
const DefaultPool = "default"

// EnsureDefaults makes what every fleet has.
func (f *Fleet) EnsureDefaults(ctx context.Context) error {
	return f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Pool(DefaultPool)
		if metal.CodeOf(err) == metal.NotFound {
			err = tx.PutPool(&metal.Pool{Name: DefaultPool, Description: "Machines that were put in no other pool"})
		}
		if err != nil {
			return err
		}
		_, err = tx.Fabric(metal.DefaultFabric)
		if metal.CodeOf(err) == metal.NotFound {
			err = tx.PutFabric(&metal.Fabric{Name: metal.DefaultFabric})
		}
		return err
	})
}

// precondition refuses a write that is conditional on another revision.
func precondition(p api.Precondition, what string, revision int64) error {
	if p.IfMatch == "" || p.IfMatch == "*" || strings.Trim(p.IfMatch, `"`) == fmt.Sprint(revision) {
		return nil
	}
	return metal.Errorf(metal.Conflict, "%s was changed since you read it (its ETag is \"%d\", yours was %s): read it again", what, revision, p.IfMatch)
}

// wait returns how long a long poll may last; at most a minute.
func wait(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, metal.Errorf(metal.Invalid, "wait %q is not a duration: write it as in 30s", text)
	}
	return min(d, time.Minute), nil
}

// poll calls look after every commit until it is satisfied, or for as long as text says.
func (f *Fleet) poll(ctx context.Context, text string, look func(*store.Tx) (done bool, err error)) error {
	limit, err := wait(text)
	if err != nil {
		return err
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		changed := f.cfg.DB.Changed()
		var done bool
		err := f.cfg.DB.Read(ctx, func(tx *store.Tx) (err error) { done, err = look(tx); return err })
		if err != nil || done || limit == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			return nil
		case <-changed:
		}
	}
}

// page cuts a list to its page, which was read one longer than asked.
func page[T any](items []T, limit int, key func(T) string) api.List[T] {
	l := api.List[T]{Items: items}
	if limit > 0 && len(items) > limit {
		l.Items = items[:limit]
		l.Next = key(items[limit-1])
	}
	return l
}

// limitOf returns how many rows to read for a page: one more, to see whether there is a next one.
func limitOf(p api.Page) int {
	if p.Limit <= 0 {
		return 501
	}
	return p.Limit + 1
}
