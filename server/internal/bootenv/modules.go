package bootenv

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// tree is the modules of one kernel, /lib/modules/RELEASE.
type tree struct {
	fsys    fs.FS             // rooted at the release's folder
	files   map[string]string // name to path
	builtin map[string]bool   // names
}

func openTree(fsys fs.FS) (*tree, error) {
	t := &tree{fsys: fsys, files: map[string]string{}, builtin: map[string]bool{}}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && isModule(name) {
			t.files[moduleName(name)] = name
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the kernel's modules: %w", err)
	}
	raw, err := fs.ReadFile(fsys, "modules.builtin")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list what is built in: %w", err)
	}
	for line := range strings.Lines(string(raw)) {
		t.builtin[moduleName(strings.TrimSpace(line))] = true
	}
	return t, nil
}

// moduleName returns the name of the module in a file, as the kernel writes it: without .ko and with underscores.
func moduleName(file string) string {
	name, _, _ := strings.Cut(path.Base(file), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

func isModule(name string) bool {
	for _, end := range []string{".ko", ".ko.xz", ".ko.zst", ".ko.gz"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

// kept is one module that goes into the RAM environment.
type kept struct {
	name  string
	path  string // of the unpacked file, relative to the release's folder
	data  []byte
	info  modinfo
	needs []string // names of all modules it needs, the deepest first
}

// choose returns the modules of a set with all they need, sorted by path.
func (t *tree) choose(set ModuleSet) ([]kept, error) {
	c := chooser{tree: t, done: map[string]*kept{}}
	for _, name := range set.Required {
		if t.files[name] == "" && !t.builtin[name] {
			return nil, metal.Errorf(metal.Invalid, "the kernel has no module %s, which the module set %q cannot do without: take another kernel package", name, set.Name)
		}
	}
	for _, name := range slices.Concat(set.Required, set.Modules) {
		name = strings.ReplaceAll(name, "-", "_")
		if t.files[name] == "" {
			continue
		}
		if err := c.visit(name, nil); err != nil {
			return nil, err
		}
	}
	var all []kept
	for _, k := range c.done {
		all = append(all, *k)
	}
	slices.SortFunc(all, func(a, b kept) int { return strings.Compare(a.path, b.path) })
	return all, nil
}

type chooser struct {
	*tree
	done map[string]*kept
}

// visit takes a module and what it needs. chain holds the modules that led here.
func (c *chooser) visit(name string, chain []string) error {
	if c.done[name] != nil {
		return nil
	}
	if slices.Contains(chain, name) {
		return metal.Errorf(metal.Invalid, "modules depend on each other in a circle: %s", strings.Join(append(chain, name), " needs "))
	}
	chain = append(slices.Clip(chain), name)
	file := c.files[name]
	data, err := readModule(c.fsys, file)
	if err != nil {
		return err
	}
	info, err := readModinfo(data)
	if err != nil {
		return fmt.Errorf("module %s: %w", file, err)
	}
	k := &kept{name: name, path: plainPath(file), data: data, info: info}
	for i, dep := range slices.Concat(info.depends, info.softPre) {
		dep = strings.ReplaceAll(dep, "-", "_")
		soft := i >= len(info.depends)
		if c.builtin[dep] || (soft && (c.files[dep] == "" || slices.Contains(chain, dep))) {
			continue
		}
		if c.files[dep] == "" {
			return metal.Errorf(metal.Invalid, "module %s needs module %s, which the kernel package does not have: the package is not whole", name, dep)
		}
		if err := c.visit(dep, chain); err != nil {
			return err
		}
		k.needs = append(k.needs, c.done[dep].needs...)
		k.needs = append(k.needs, dep)
	}
	k.needs = firstOfEach(k.needs)
	c.done[name] = k
	return nil
}

// firstOfEach drops repetitions. The list has each module after what it needs; the first place is the right one.
func firstOfEach(names []string) []string {
	seen := map[string]bool{}
	return slices.DeleteFunc(names, func(name string) bool {
		again := seen[name]
		seen[name] = true
		return again
	})
}

func plainPath(file string) string {
	base, _, _ := strings.Cut(path.Base(file), ".ko")
	return path.Join(path.Dir(file), base+".ko")
}

// indexes returns modules.dep and modules.alias for the modules, as depmod(8) writes them: sorted, each module with
// everything it needs, the deepest last.
func indexes(modules []kept) (dep, alias []byte) {
	paths := map[string]string{}
	for _, k := range modules {
		paths[k.name] = k.path
	}
	var deps bytes.Buffer
	var aliases []string
	for _, k := range modules {
		fmt.Fprintf(&deps, "%s:", k.path)
		for _, need := range slices.Backward(k.needs) {
			fmt.Fprintf(&deps, " %s", paths[need])
		}
		fmt.Fprintln(&deps)
		for _, a := range k.info.aliases {
			aliases = append(aliases, fmt.Sprintf("alias %s %s\n", a, k.name))
		}
	}
	slices.Sort(aliases)
	return deps.Bytes(), []byte(strings.Join(aliases, ""))
}
