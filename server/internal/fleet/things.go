package fleet

import (
	"context"
	"reflect"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/metadata"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// ListPools lists pools.
func (f *Fleet) ListPools(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.Pool], error) {
	return list(ctx, f, in, func(tx *store.Tx) ([]metal.Pool, error) { return tx.Pools(in.After, limitOf(in.Page), in.Names) },
		func(p metal.Pool) string { return p.Name })
}

// GetPool reads a pool.
func (f *Fleet) GetPool(ctx context.Context, in api.ByName) (metal.Pool, error) {
	return get(ctx, f, func(tx *store.Tx) (*metal.Pool, error) { return tx.Pool(in.Name) })
}

// PutPool makes or changes a pool.
func (f *Fleet) PutPool(ctx context.Context, in api.PutPoolRequest) (out metal.Pool, err error) {
	err = f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		p, err := tx.Pool(in.Name)
		if p, err = orNew(p, err, metal.Pool{Name: in.Name}); err != nil {
			return err
		}
		if err := precondition(in.Precondition, "pool "+in.Name, p.Revision); err != nil {
			return err
		}
		if p.Revision == 0 || p.Description != in.Body.Description {
			p.Description = in.Body.Description
			if err := tx.PutPool(p); err != nil {
				return err
			}
		}
		out = *p
		return nil
	})
	return out, err
}

// DeletePool deletes an empty pool.
func (f *Fleet) DeletePool(ctx context.Context, in api.DeleteByNameRequest) (api.None, error) {
	return api.None{}, f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		p, err := tx.Pool(in.Name)
		if err != nil {
			return err
		}
		switch {
		case p.Name == DefaultPool:
			return metal.Errorf(metal.Conflict, "the pool %s cannot be deleted: machines that name no pool are put there", DefaultPool)
		case p.Machines > 0:
			return metal.Errorf(metal.Conflict, "cannot delete pool %s: %d machines are in it; move or forget them first", p.Name, p.Machines)
		}
		if err := precondition(in.Precondition, "pool "+in.Name, p.Revision); err != nil {
			return err
		}
		return tx.DeletePool(p.Name)
	})
}

// ListSSHKeys lists keys.
func (f *Fleet) ListSSHKeys(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.SSHKey], error) {
	return list(ctx, f, in, func(tx *store.Tx) ([]metal.SSHKey, error) { return tx.SSHKeys(in.After, limitOf(in.Page), in.Names) },
		func(k metal.SSHKey) string { return k.Name })
}

// GetSSHKey reads a key.
func (f *Fleet) GetSSHKey(ctx context.Context, in api.ByName) (metal.SSHKey, error) {
	return get(ctx, f, func(tx *store.Tx) (*metal.SSHKey, error) { return tx.SSHKey(in.Name) })
}

// PutSSHKey makes or changes a key.
func (f *Fleet) PutSSHKey(ctx context.Context, in api.PutSSHKeyRequest) (out metal.SSHKey, err error) {
	key, _, err := metadata.ParseSSHKey(in.Body.PublicKey)
	if err != nil {
		return out, err
	}
	err = f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		k, err := tx.SSHKey(in.Name)
		if k, err = orNew(k, err, metal.SSHKey{Name: in.Name}); err != nil {
			return err
		}
		if err := precondition(in.Precondition, "SSH key "+in.Name, k.Revision); err != nil {
			return err
		}
		if k.PublicKey != key {
			k.PublicKey = key
			if err := tx.PutSSHKey(k); err != nil {
				return err
			}
		}
		out = *k
		return nil
	})
	return out, err
}

// DeleteSSHKey deletes a key. Machines that were deployed with it keep it.
func (f *Fleet) DeleteSSHKey(ctx context.Context, in api.DeleteByNameRequest) (api.None, error) {
	return api.None{}, f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		k, err := tx.SSHKey(in.Name)
		if err != nil {
			return err
		}
		if err := precondition(in.Precondition, "SSH key "+in.Name, k.Revision); err != nil {
			return err
		}
		return tx.DeleteSSHKey(in.Name)
	})
}

// Keys resolves a deployment's keys: names of stored ones, or keys themselves.
func Keys(tx *store.Tx, list []string) ([]string, error) {
	keys := make([]string, 0, len(list))
	for _, entry := range list {
		if key, _, err := metadata.ParseSSHKey(entry); err == nil {
			keys = append(keys, key)
			continue
		}
		k, err := tx.SSHKey(entry)
		if metal.CodeOf(err) == metal.NotFound {
			return nil, metal.Errorf(metal.Invalid, "%.60q is neither the name of a stored SSH key nor a public key as in authorized_keys", entry)
		}
		if err != nil {
			return nil, err
		}
		keys = append(keys, k.PublicKey)
	}
	return keys, nil
}

// ListImages lists images.
func (f *Fleet) ListImages(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.Image], error) {
	return list(ctx, f, in, func(tx *store.Tx) ([]metal.Image, error) { return tx.Images(in.After, limitOf(in.Page), in.Names) },
		func(i metal.Image) string { return i.Name })
}

// GetImage reads an image.
func (f *Fleet) GetImage(ctx context.Context, in api.GetImageRequest) (out metal.Image, err error) {
	err = f.poll(ctx, in.Wait, func(tx *store.Tx) (bool, error) {
		i, err := tx.Image(in.Name)
		if err != nil {
			return false, err
		}
		out = *i
		return i.State != metal.ImageImporting, nil
	})
	return out, err
}

// PutImage makes an image and starts its import.
func (f *Fleet) PutImage(ctx context.Context, in api.PutImageRequest) (out metal.Image, err error) {
	spec := in.Body
	completeImage(&spec)
	if err := checkImage(spec); err != nil {
		return out, err
	}
	if spec.Source != "" {
		if err := f.cfg.Images.Allowed(spec); err != nil {
			return out, err
		}
	}
	err = f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		i, err := tx.Image(in.Name)
		if i, err = orNew(i, err, metal.Image{Name: in.Name, State: metal.ImageWaiting}); err != nil {
			return err
		}
		if err := precondition(in.Precondition, "image "+in.Name, i.Revision); err != nil {
			return err
		}
		was := i.Spec
		if i.Revision > 0 {
			completeImage(&was) // one of an older server has no kind
		}
		if i.Revision > 0 && i.State != metal.ImageFailed && reflect.DeepEqual(was, spec) {
			out = *i
			return nil
		}
		fetch := spec.Source != "" && (i.State == metal.ImageFailed || otherContent(was, spec))
		i.Spec = spec
		if fetch {
			if i.State == metal.ImageImporting {
				return &metal.Error{Code: metal.Conflict, Operation: i.OperationID, Message: "cannot change image " + i.Name + ": operation " + i.OperationID + " imports it; wait for it"}
			}
			op, err := f.cfg.Engine.StartImport(tx, i.Name)
			if err != nil {
				return err
			}
			i.State, i.OperationID, i.Failure = metal.ImageImporting, op.ID, nil
		} else if spec.Source == "" && (was.SHA256 != spec.SHA256 || was.SHA512 != spec.SHA512 || was.Kind != spec.Kind || was.Source != "") { // what it holds is not what is asked for
			i.State, i.Failure = metal.ImageWaiting, nil
		}
		if err := tx.PutImage(i); err != nil {
			return err
		}
		out = *i
		return nil
	})
	return out, err
}

// UploadImage takes the content of an image that has no source. It answers when the content is converted.
func (f *Fleet) UploadImage(ctx context.Context, in api.UploadImageRequest) (out metal.Image, err error) {
	var spec metal.ImageSpec
	err = f.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		i, err := tx.Image(in.Name)
		if err == nil && i.Spec.Source != "" {
			return metal.Errorf(metal.Conflict, "image %s is imported from its source: it takes no upload", in.Name)
		}
		if err == nil {
			spec = i.Spec
		}
		return err
	})
	if err != nil {
		return out, err
	}
	content, uploadErr := f.cfg.Images.Upload(ctx, spec, in.Body)
	// What became of the upload is noted also when the client went away in the middle of it.
	err = f.cfg.DB.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		i, err := tx.Image(in.Name)
		if err != nil {
			return err
		}
		if uploadErr != nil {
			if i.State != metal.ImageReady { // a failed replacement leaves what was there
				i.State, i.Failure = metal.ImageFailed, &metal.Failure{Step: "upload", Message: uploadErr.Error()}
			}
			return tx.PutImage(i)
		}
		i.State, i.Failure = metal.ImageReady, nil
		i.Digest, i.RawBytes, i.StoredBytes = content.Digest, content.RawBytes, content.StoredBytes
		out = *i
		return tx.PutImage(i)
	})
	if uploadErr != nil {
		return out, uploadErr
	}
	return out, err
}

// DeleteImage deletes an image that no deployment names, and its content where nothing else has the same.
func (f *Fleet) DeleteImage(ctx context.Context, in api.DeleteByNameRequest) (api.None, error) {
	var orphan string
	err := f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		i, err := tx.Image(in.Name)
		if err != nil {
			return err
		}
		if err := precondition(in.Precondition, "image "+in.Name, i.Revision); err != nil {
			return err
		}
		users, err := tx.DeploymentsOf(in.Name)
		if err != nil {
			return err
		}
		if len(users) > 0 {
			return metal.Errorf(metal.Conflict, "cannot delete image %s: it is named by %d deployments, as by %s on machine %s; redeploy or delete them first", in.Name, len(users), users[0].ID, users[0].MachineID)
		}
		if i.State == metal.ImageImporting {
			return metal.Errorf(metal.Conflict, "cannot delete image %s: operation %s imports it; wait for it", in.Name, i.OperationID)
		}
		if err := tx.DeleteImage(in.Name); err != nil {
			return err
		}
		keep, err := tx.Digests()
		if !keep[i.Digest] {
			orphan = i.Digest
		}
		return err
	})
	if err != nil {
		return api.None{}, err
	}
	return api.None{}, f.cfg.Images.Remove(orphan)
}
