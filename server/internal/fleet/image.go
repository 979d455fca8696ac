package fleet

import (
	"fmt"
	"path/filepath"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// maxMirrors bounds how many other places an import may go to.
const maxMirrors = 8

// completeImage fills in what spec leaves open.
func completeImage(spec *metal.ImageSpec) {
	if spec.Format == "" {
		spec.Format = "auto"
	}
	if spec.Kind == "" {
		spec.Kind = metal.ImageDisk
		if isRootFormat(spec.Format) {
			spec.Kind = metal.ImageRoot
		}
	}
	if spec.Arch == "" {
		spec.Arch = metal.AMD64
	}
}

// checkImage refuses a complete spec whose fields contradict each other.
func checkImage(spec metal.ImageSpec) error {
	switch root := isRootFormat(spec.Format); {
	case root && spec.Kind == metal.ImageDisk:
		return metal.Errorf(metal.Invalid, "format %s is of kind root, and kind says disk: declare kind root, or leave format out where the archive holds one disk image", spec.Format)
	case !root && spec.Format != "auto" && spec.Kind == metal.ImageRoot:
		return metal.Errorf(metal.Invalid, "format %s is of kind disk, and kind says root: a root is a tar archive or a squashfs file system", spec.Format)
	}
	if spec.Source != "" {
		if err := checkSource("source", spec.Source); err != nil {
			return err
		}
	}
	if len(spec.Mirrors) == 0 {
		return nil
	}
	switch {
	case len(spec.Mirrors) > maxMirrors:
		return metal.Errorf(metal.Invalid, "mirrors has %d entries: at most %d are tried", len(spec.Mirrors), maxMirrors)
	case spec.Source == "" || filepath.IsAbs(spec.Source):
		return metal.Errorf(metal.Invalid, "mirrors needs a source that is an http(s) URL")
	case spec.SHA256 == "" && spec.SHA512 == "":
		return metal.Errorf(metal.Invalid, "mirrors needs sha256 or sha512: nothing else says that they hold the same file as source")
	}
	for i, mirror := range spec.Mirrors {
		name := fmt.Sprintf("mirrors[%d]", i)
		if filepath.IsAbs(mirror) {
			return metal.Errorf(metal.Invalid, "%s is not an http(s) URL", name)
		}
		if err := checkSource(name, mirror); err != nil {
			return err
		}
	}
	return nil
}

// otherContent says whether a change of spec asks for other content. Mirrors are other ways to the same.
func otherContent(was, spec metal.ImageSpec) bool {
	return was.Source != spec.Source || was.SHA256 != spec.SHA256 || was.SHA512 != spec.SHA512 || was.Format != spec.Format || was.Kind != spec.Kind
}

func isRootFormat(format string) bool { return format == "tar" || format == "squashfs" }
