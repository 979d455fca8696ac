package fleet

import (
	"context"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// list reads a page of named things.
func list[T any](ctx context.Context, f *Fleet, in api.ListByNamesRequest, read func(*store.Tx) ([]T, error), name func(T) string) (l api.List[T], err error) {
	err = f.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		items, err := read(tx)
		l = page(items, limitOf(in.Page)-1, name)
		return err
	})
	return l, err
}

// get reads one thing.
func get[T any](ctx context.Context, f *Fleet, read func(*store.Tx) (*T, error)) (out T, err error) {
	err = f.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		t, err := read(tx)
		if err == nil {
			out = *t
		}
		return err
	})
	return out, err
}

// orNew returns what was read, or fresh where there is none.
func orNew[T any](t *T, err error, fresh T) (*T, error) {
	if metal.CodeOf(err) == metal.NotFound {
		return &fresh, nil
	}
	return t, err
}
