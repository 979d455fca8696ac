package agentapi

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Install asks to lay disks out, unpack a root archive on them, and make it start. The archive is a tar or a squashfs:
// the agent sees which.
type Install struct {
	Plan metal.StoragePlan `json:"plan"`
	// Memory asks for a system that runs from memory instead: Plan and Keys are empty, no disk is touched, and
	// Reboot.Loaded starts it.
	Memory      bool   `json:"memory,omitempty"`
	Digest      string `json:"digest"`       // SHA-256 of the archive without its compression, hex
	RawBytes    int64  `json:"raw_bytes"`    // size of that
	StoredBytes int64  `json:"stored_bytes"` // size of the stream
	// Files are written over what the archive holds and over what follows from the plan (fstab, crypttab,
	// mdadm.conf): path without a leading slash to content.
	Files map[string]string `json:"files,omitempty"`
	// Keys are the passphrases of encrypted volumes by the names that the plan refers to them by.
	Keys             map[string]string `json:"keys,omitempty"`
	KernelParameters string            `json:"kernel_parameters,omitempty"`
}

// Tools opens the stream of the programs that an installation runs: a tar archive, compressed with zstd. The caller
// closes it.
func (c *Client) Tools(ctx context.Context, arch metal.Arch) (io.ReadCloser, error) {
	req, err := c.request(ctx, http.MethodGet, PathTools+url.PathEscape(string(arch))+"/tools.tar.zst", nil)
	if err != nil {
		return nil, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("get the tools: %w", err)
	}
	switch res.StatusCode {
	case http.StatusOK:
		return res.Body, nil
	case http.StatusNotFound:
		res.Body.Close()
		return nil, metal.Errorf(metal.NotFound, "the server has no tools to install root archives on %s: run metald bootenv build -arch %s -tools there", arch, arch)
	}
	defer res.Body.Close()
	return nil, metal.Errorf(metal.Internal, "get the tools: the server answered %s", res.Status)
}
