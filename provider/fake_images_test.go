package main

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func (f *fake) serveImages() {
	on(f, api.ListImages, func(r *http.Request) (api.List[metal.Image], error) { return page(r, "names", f.images, every), nil })
	on(f, api.GetImage, func(r *http.Request) (metal.Image, error) { return lookup(f.images, "image", r) })
	on(f, api.PutImage, f.putImage)
	on(f, api.UploadImage, f.upload)
	on(f, api.DeleteImage, func(r *http.Request) (api.None, error) {
		for _, d := range f.deployments {
			if d.Spec.Image == r.PathValue("name") {
				return api.None{}, metal.Errorf(metal.Conflict, "cannot delete image %s: deployment %s names it", d.Spec.Image, d.ID)
			}
		}
		return remove(f.images, "image", r)
	})
}

func (f *fake) putImage(r *http.Request) (metal.Image, error) {
	spec, err := bodyOf[metal.ImageSpec](r)
	if err != nil {
		return metal.Image{}, err
	}
	name := r.PathValue("name")
	img, exists := f.images[name]
	if exists && sameSpec(img.Spec, spec) && img.State != metal.ImageFailed {
		return img, nil
	}
	if !exists {
		img = metal.Image{Name: name, State: metal.ImageWaiting}
	}
	fetch := spec.Source != "" && (img.State != metal.ImageReady || img.Spec.Source != spec.Source || img.Spec.SHA256 != spec.SHA256)
	img.Spec = spec
	if fetch {
		img.State = metal.ImageImporting
		img.OperationID = f.start(metal.OpImport, "", "", func(failure *metal.Failure) { f.imported(name, []byte(spec.Source), failure) }).ID
	}
	f.images[name] = img
	return img, nil
}

func (f *fake) imported(name string, content []byte, failure *metal.Failure) {
	img := f.images[name]
	img.State, img.Failure = metal.ImageReady, failure
	if failure != nil {
		img.State = metal.ImageFailed
	}
	sum := sha256.Sum256(content)
	img.Digest, img.RawBytes, img.StoredBytes = hex.EncodeToString(sum[:]), int64(len(content))+1, int64(len(content))
	f.images[name] = img
}

func (f *fake) upload(r *http.Request) (metal.Image, error) {
	content, err := io.ReadAll(r.Body)
	if err != nil {
		return metal.Image{}, metal.Errorf(metal.Invalid, "read the upload: %w", err)
	}
	name := r.PathValue("name")
	sum := sha256.Sum256(content)
	if want := f.images[name].Spec.SHA256; want != "" && want != hex.EncodeToString(sum[:]) {
		return metal.Image{}, metal.Errorf(metal.Invalid, "image %s: the upload's SHA-256 is %x, and not %s", name, sum, want)
	}
	f.imported(name, content, nil)
	return f.images[name], nil
}
