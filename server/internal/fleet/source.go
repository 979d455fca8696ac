package fleet

import (
	"net/url"
	"path/filepath"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// checkSource refuses a place to fetch from that is neither an absolute path on the server nor a whole http(s) URL
// without a user name and a password: everybody who may read what is declared would see them. name is what the error
// calls the place. The place itself is never shown, because what cannot be read may hold a password as well.
func checkSource(name, place string) error {
	if filepath.IsAbs(place) {
		return nil
	}
	u, err := url.Parse(place)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Fragment != "":
		return metal.Errorf(metal.Invalid, "%s is neither an http(s) URL nor an absolute path on the server; in a URL, %%, # and spaces are written %%25, %%23 and %%20", name)
	case u.User != nil:
		return metal.Errorf(metal.Invalid, "%s has a user name or a password in it, which everybody who may read it here would see: serve the file without to this server, or put it below images.directories", name)
	}
	return nil
}
