package fleet

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// A bearer token is "metal_" and 32 random bytes: the prefix lets scanners of leaked secrets find it. Only its
// SHA-256 is stored: the token has enough entropy that nothing slower is needed.
const tokenPrefix = "metal_"

func newToken() (token string, hash []byte) {
	raw := make([]byte, 32)
	rand.Read(raw)
	token = tokenPrefix + base64.RawURLEncoding.EncodeToString(raw)
	return token, hashToken(token)
}

func hashToken(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// Authenticate returns the name of a token; metal.Unauthorized for one that is not known.
func (f *Fleet) Authenticate(ctx context.Context, token string) (name string, err error) {
	err = f.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		name, err = tx.TokenByHash(hashToken(token))
		return err
	})
	if metal.CodeOf(err) == metal.NotFound {
		return "", metal.Errorf(metal.Unauthorized, "the token is not valid: log in again, or ask for a new token")
	}
	return name, err
}

// MakeToken makes a token that did not exist.
func (f *Fleet) MakeToken(ctx context.Context, name string) (token string, err error) {
	token, hash := newToken()
	return token, f.cfg.DB.Update(ctx, func(tx *store.Tx) error { return tx.InsertToken(name, hash) })
}

// HasTokens says whether there is any token.
func (f *Fleet) HasTokens(ctx context.Context) (has bool, err error) {
	err = f.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		list, err := tx.Tokens()
		has = len(list) > 0
		return err
	})
	return has, err
}

// ListTokens lists tokens, without the tokens themselves.
func (f *Fleet) ListTokens(ctx context.Context, _ api.None) (l api.List[api.Token], err error) {
	l.Items = []api.Token{}
	err = f.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		list, err := tx.Tokens()
		for _, t := range list {
			l.Items = append(l.Items, api.Token{Name: t.Name, CreatedAt: t.CreatedAt, UsedAt: t.UsedAt})
		}
		return err
	})
	return l, err
}

// CreateToken makes a token and tells it, this once.
func (f *Fleet) CreateToken(ctx context.Context, in api.CreateTokenRequest) (api.NewToken, error) {
	token, err := f.MakeToken(ctx, in.Name)
	if metal.CodeOf(err) == metal.Conflict {
		return api.NewToken{}, metal.Errorf(metal.Conflict, "there is a token %s already: revoke it, or choose another name", in.Name)
	}
	if err != nil {
		return api.NewToken{}, err
	}
	return api.NewToken{Token: api.Token{Name: in.Name}, Secret: token}, nil
}

// DeleteToken revokes a token. The one that the call came with stays: nobody locks himself out by accident.
func (f *Fleet) DeleteToken(ctx context.Context, in api.ByName) (api.None, error) {
	if f.cfg.Caller(ctx) == in.Name {
		return api.None{}, metal.Errorf(metal.Conflict, "token %s is the one you are using: revoke it with another one", in.Name)
	}
	return api.None{}, f.cfg.DB.Update(ctx, func(tx *store.Tx) error { return tx.DeleteToken(in.Name) })
}

// GetStatus tells who the caller and the server are.
func (f *Fleet) GetStatus(ctx context.Context, _ api.None) (api.ServerStatus, error) {
	return api.ServerStatus{Version: f.cfg.Version, Started: f.cfg.Started, Token: f.cfg.Caller(ctx), Services: f.cfg.Services}, nil
}
