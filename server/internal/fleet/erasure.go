package fleet

import (
	"context"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// ListEraseCertificates lists the signed records of wipes.
func (f *Fleet) ListEraseCertificates(ctx context.Context, in api.ListEraseCertificatesRequest) (l api.List[metal.EraseCertificate], err error) {
	limit := limitOf(in.Page)
	err = f.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		machine := in.Machine
		if machine != "" {
			m, err := tx.FindMachine(machine)
			if err != nil && metal.CodeOf(err) != metal.NotFound {
				return err
			}
			if err == nil {
				machine = m.ID
			}
		}
		list, err := tx.EraseCertificates(machine, in.After, limit)
		l = page(list, limit-1, func(c metal.EraseCertificate) string { return c.ID })
		return err
	})
	return l, err
}

// GetEraseCertificate reads the signed record of a wipe.
func (f *Fleet) GetEraseCertificate(ctx context.Context, in api.ByID) (c metal.EraseCertificate, err error) {
	err = f.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		found, err := tx.EraseCertificate(in.ID)
		if err == nil {
			c = *found
		}
		return err
	})
	return c, err
}

// GetEraseKey reads the public key that erase certificates are signed with.
func (f *Fleet) GetEraseKey(context.Context, api.None) (metal.JWK, error) {
	return f.cfg.Engine.EraseKey(), nil
}
