package storage

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxDepth bounds how deep devices are stacked on each other: array, LUKS, volume group, LUKS again, and to spare.
const maxDepth = 8

// holder is a device that holds another one: an array or a mapping.
type holder struct {
	name   string // md127, dm-3
	mapped string // the mapping's own name; empty for an array
}

// holders returns what holds a disk or one of its partitions, the outermost first: in the order in which it has to
// be taken down. sys is where sysfs is mounted.
func holders(sys, disk string) ([]holder, error) {
	var found []holder
	var visit func(dir string, depth int) error
	visit = func(dir string, depth int) error {
		if depth > maxDepth {
			return fmt.Errorf("devices on disk %s are stacked more than %d deep", disk, maxDepth)
		}
		entries, err := os.ReadDir(filepath.Join(dir, "holders"))
		if err != nil {
			return nil // gone meanwhile, or a kind of device that nothing can hold
		}
		for _, e := range entries {
			block := filepath.Join(sys, "class/block", e.Name())
			if err := visit(block, depth+1); err != nil {
				return err
			}
			h := holder{name: e.Name()}
			if raw, err := os.ReadFile(filepath.Join(block, "dm/name")); err == nil {
				h.mapped = strings.TrimSpace(string(raw))
			}
			if !slices.Contains(found, h) { // a mirror is met once a member
				found = append(found, h)
			}
		}
		return nil
	}
	dir := filepath.Join(sys, "class/block", disk)
	parts, err := filepath.Glob(filepath.Join(dir, "*", "partition"))
	if err != nil {
		return nil, fmt.Errorf("look for partitions of %s: %w", disk, err)
	}
	for _, p := range append(parts, filepath.Join(dir, "partition")) {
		if err := visit(filepath.Dir(p), 0); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// takeDownAll stops what is on the plan's disks: what an earlier try of this step left, or what the kernel put
// together by itself.
func (v *Volumes) takeDownAll(ctx context.Context) error {
	for _, want := range v.Plan.Disks {
		disk := v.disks[want.Name].Name
		found, err := holders(v.Sys, disk)
		if err != nil {
			return err
		}
		for _, h := range found {
			v.Log.Info("taking down", "device", h.name, "mapping", h.mapped, "on", disk)
			if h.mapped != "" {
				_, err = v.tool(ctx, nil, "dmsetup", "remove", "--retry", h.mapped)
			} else {
				_, err = v.tool(ctx, nil, "mdadm", "--stop", "/dev/"+h.name)
			}
			if err != nil {
				return fmt.Errorf("take down what is on disk %s: %w", disk, err)
			}
		}
	}
	return nil
}
