package demo

import (
	"context"
	"path/filepath"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/lab/osimage"
)

// RootAssets are what a virtual rack needs to install root archives.
type RootAssets struct {
	Env  string // directory of RAM environments, with the programs that install
	Root string // archive of a Debian with cloud-init that starts from every layout
}

// BuildRoot makes the assets for root archives, or takes them out of the cache: that takes minutes the first time.
func BuildRoot(ctx context.Context, cache, programs string) (a RootAssets, err error) {
	if cache, err = filepath.Abs(cache); err != nil {
		return a, err
	}
	if a.Env, err = buildEnv(ctx, cache, programs, metal.AMD64, "-tools"); err != nil {
		return a, err
	}
	a.Root = filepath.Join(cache, "root.tar.zst")
	return a, osimage.BuildRoot(ctx, osimage.Options{Out: a.Root, CacheDir: filepath.Join(cache, "images")})
}
