package metadata

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"unicode/utf8"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// MaxUserData bounds user data, as given and unpacked.
const MaxUserData = 1 << 20

// userData returns a person's user data as the seed carries it: unchanged, whether it is #cloud-config, a script or
// MIME. Only gzip is undone, which cloud-init would do first thing: a seed travels as text. What is not text then is
// refused, as it would arrive mutilated.
func userData(b []byte) (string, error) {
	if len(b) == 0 {
		return "#cloud-config\n{}\n", nil
	}
	if len(b) > MaxUserData {
		return "", metal.Errorf(metal.Invalid, "the user data have %d bytes; at most %d are allowed", len(b), MaxUserData)
	}
	if bytes.HasPrefix(b, []byte("\x1f\x8b")) {
		var err error
		if b, err = gunzip(b); err != nil {
			return "", err
		}
	}
	if !utf8.Valid(b) {
		return "", metal.Errorf(metal.Invalid, "the user data are neither text in UTF-8 nor such text in gzip: put binary parts in MIME with base64, or in write_files with encoding b64")
	}
	return string(b), nil
}

func gunzip(b []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err == nil {
		b, err = io.ReadAll(io.LimitReader(r, MaxUserData+1))
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, metal.Errorf(metal.Invalid, "the user data are gzip that was cut off")
	}
	if err != nil {
		return nil, metal.Errorf(metal.Invalid, "the user data begin like gzip, but cannot be unpacked: %v", err)
	}
	if len(b) > MaxUserData {
		return nil, metal.Errorf(metal.Invalid, "the user data unpack to more than %d bytes", MaxUserData)
	}
	return b, nil
}
