// Package module loads the kernel's modules: for the devices that are there, and by name when the kernel asks.
// There is no udev and no modprobe in the RAM environment.
package module

import (
	"bufio"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// An Index tells which modules exist, what they need and which devices they are for. It is read from modules.dep
// and modules.alias as depmod(8) writes them.
type Index struct {
	modules map[string]entry   // by name, dashes as underscores
	aliases map[string][]alias // by the pattern's part up to the colon
}

type entry struct {
	path  string
	needs []string // paths, the nearest first
}

type alias struct{ pattern, name string }

// ReadIndex reads modules.dep and modules.alias. It returns an Invalid error for lines of another form.
func ReadIndex(dep, aliases io.Reader) (*Index, error) {
	x := &Index{modules: map[string]entry{}, aliases: map[string][]alias{}}
	lines := bufio.NewScanner(dep)
	for lines.Scan() {
		file, needs, ok := strings.Cut(lines.Text(), ":")
		if !ok || file == "" {
			return nil, metal.Errorf(metal.Invalid, "modules.dep has the line %q, which is not \"path: paths\": build the RAM environment again", lines.Text())
		}
		x.modules[NameOf(file)] = entry{file, strings.Fields(needs)}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read modules.dep: %w", err)
	}
	lines = bufio.NewScanner(aliases)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || fields[0] == "#" {
			continue
		}
		if len(fields) != 3 || fields[0] != "alias" {
			return nil, metal.Errorf(metal.Invalid, "modules.alias has the line %q, which is not \"alias PATTERN MODULE\": build the RAM environment again", lines.Text())
		}
		kind, _, _ := strings.Cut(fields[1], ":")
		x.aliases[kind] = append(x.aliases[kind], alias{fields[1], normal(fields[2])})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read modules.alias: %w", err)
	}
	return x, nil
}

// NameOf returns the name of the module in a file, as the kernel writes it: without .ko and with underscores.
func NameOf(file string) string {
	name, _, _ := strings.Cut(path.Base(file), ".ko")
	return normal(name)
}

func normal(name string) string { return strings.ReplaceAll(name, "-", "_") }

// For returns the names of the modules that want a device with this modalias, or that answer to it as a name.
func (x *Index) For(modalias string) []string {
	kind, _, _ := strings.Cut(modalias, ":")
	var names []string
	for _, a := range x.aliases[kind] {
		if match(a.pattern, modalias) {
			names = append(names, a.name)
		}
	}
	if _, ok := x.modules[normal(modalias)]; ok {
		names = append(names, normal(modalias))
	}
	return names
}

// Has says whether there is a module of this name.
func (x *Index) Has(name string) bool {
	_, ok := x.modules[normal(name)]
	return ok
}

// Paths returns the files to load for a module, in the order in which they must be loaded. It is empty when there
// is no such module.
func (x *Index) Paths(name string) []string {
	e, ok := x.modules[normal(name)]
	if !ok {
		return nil
	}
	paths := make([]string, 0, len(e.needs)+1)
	for i := len(e.needs) - 1; i >= 0; i-- { // modules.dep names the deepest one last
		paths = append(paths, e.needs[i])
	}
	return append(paths, e.path)
}

// match is fnmatch(3) with *, ? and [set], as modalias patterns use them. It runs in time linear in the text for
// each star: a star that has matched is never taken back beyond the next one.
func match(pattern, text string) bool {
	star, mark := -1, 0
	p, t := 0, 0
	for t < len(text) {
		if p < len(pattern) && pattern[p] == '*' {
			star, mark = p, t
			p++
			continue
		}
		if width := matchOne(pattern[min(p, len(pattern)):], text[t]); width > 0 {
			p += width
			t++
			continue
		}
		if star < 0 {
			return false
		}
		mark++
		p, t = star+1, mark
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// matchOne says how many bytes of the pattern match the one byte c; 0 when it does not match.
func matchOne(pattern string, c byte) int {
	if pattern == "" {
		return 0
	}
	switch pattern[0] {
	case '?':
		return 1
	case '[':
		end := strings.IndexByte(pattern, ']')
		if end < 0 {
			break
		}
		for set := pattern[1:end]; set != ""; {
			low, high := set[0], set[0]
			if len(set) > 2 && set[1] == '-' {
				high, set = set[2], set[3:]
			} else {
				set = set[1:]
			}
			if low <= c && c <= high {
				return end + 1
			}
		}
		return 0
	}
	if pattern[0] == c {
		return 1
	}
	return 0
}
