package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// fileStamp remembers which file had which content, so that a plan need not read gigabytes to see that nothing changed.
type fileStamp struct {
	Path     string    `json:"path"`
	Bytes    int64     `json:"bytes"`
	Modified time.Time `json:"modified"`
	SHA256   string    `json:"sha256"`
}

const stampKey = "file"

// private is the state that Terraform keeps for a provider beside a resource's own.
type private interface {
	GetKey(ctx context.Context, key string) ([]byte, diag.Diagnostics)
	SetKey(ctx context.Context, key string, value []byte) diag.Diagnostics
}

// loadStamp returns the stamp kept in p; the zero stamp, which fits no file, when there is none.
func loadStamp(ctx context.Context, p private) fileStamp {
	raw, diags := p.GetKey(ctx, stampKey)
	var s fileStamp
	if diags.HasError() || json.Unmarshal(raw, &s) != nil {
		return fileStamp{}
	}
	return s
}

func (s fileStamp) save(ctx context.Context, p private) diag.Diagnostics {
	raw, err := json.Marshal(s)
	if err != nil {
		return diag.Diagnostics{diag.NewErrorDiagnostic("Cannot remember the image file", err.Error())}
	}
	return p.SetKey(ctx, stampKey, raw)
}

// stampFile returns the stamp of the file as it is now. It reads the content only when size or time differ from known.
func stampFile(path string, known fileStamp) (fileStamp, error) {
	f, err := os.Open(path)
	if err != nil {
		return fileStamp{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fileStamp{}, err
	}
	if !info.Mode().IsRegular() {
		return fileStamp{}, fmt.Errorf("%s is not a regular file", path)
	}
	now := fileStamp{Path: path, Bytes: info.Size(), Modified: info.ModTime().UTC(), SHA256: known.SHA256}
	if now.Path == known.Path && now.Bytes == known.Bytes && now.Modified.Equal(known.Modified) && known.SHA256 != "" {
		return now, nil
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return fileStamp{}, fmt.Errorf("read %s: %w", path, err)
	}
	now.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return now, nil
}

// readFile takes the stamp of the model's file, and the checksum from it where nobody gave one. Without a file it
// does nothing.
func (m *imageResourceModel) readFile(known fileStamp) (fileStamp, error) {
	if m.File.ValueString() == "" {
		return fileStamp{}, nil
	}
	now, err := stampFile(m.File.ValueString(), known)
	if err == nil && (m.SHA256.IsUnknown() || m.SHA256.IsNull()) {
		m.SHA256 = types.StringValue(now.SHA256)
	}
	return now, err
}
