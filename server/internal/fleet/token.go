package fleet

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"time"

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

// useNoted is how long a use of a token may go unnoted: a write for every request would cost more than it tells.
const useNoted = time.Minute

// Authenticate returns the name of a token; metal.Unauthorized for one that is not known.
func (f *Fleet) Authenticate(ctx context.Context, token string) (name string, err error) {
	var t store.Token
	var stale bool
	err = f.cfg.DB.Read(ctx, func(tx *store.Tx) (err error) {
		t, err = tx.TokenByHash(hashToken(token))
		stale = tx.Now.Sub(t.UsedAt) > useNoted
		return err
	})
	if metal.CodeOf(err) == metal.NotFound {
		return "", metal.Errorf(metal.Unauthorized, "the token is not valid: log in again, or ask for a new token")
	}
	if err == nil && stale {
		// A full disk must not lock people out of what they need to make room.
		if err := f.cfg.DB.Update(ctx, func(tx *store.Tx) error { return tx.UseToken(t.Name) }); err != nil {
			f.cfg.Log.Warn("note that a token was used", "token", t.Name, "error", err)
		}
	}
	return t.Name, err
}

// MakeToken makes a token that did not exist. keep, where it is not nil, gets the token before it is valid: what
// could not be kept is of no use to anybody.
func (f *Fleet) MakeToken(ctx context.Context, name string, keep func(token string) error) (token string, err error) {
	token, hash := newToken()
	if keep != nil {
		if err := keep(token); err != nil {
			return "", err
		}
	}
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
	token, err := f.MakeToken(ctx, in.Name, nil)
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
