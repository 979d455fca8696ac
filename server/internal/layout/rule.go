package layout

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// A picker hands out disks, each once.
type picker struct{ free []metal.Disk }

// usable are the disks that a system may be put on.
func usable(disks []metal.Disk) []metal.Disk {
	return slices.DeleteFunc(slices.Clone(disks), func(d metal.Disk) bool { return d.Removable || d.ReadOnly || d.Bytes <= 0 || d.Bytes > largest })
}

// pick takes the disks that a rule means: want of them where the rule does not say how many, and every one that matches
// where want is 0. named is a name, serial number or WWN that has to fit as well; empty for none.
func (p *picker) pick(at string, rule metal.DiskRule, named string, want int) ([]metal.Disk, error) {
	fits, err := matcher(at, rule)
	if err != nil {
		return nil, err
	}
	var found []metal.Disk
	for _, d := range p.free {
		if fits(d) && (named == "" || kernelName(named) == d.Name || named == d.Serial || sameWWN(named, d.WWN)) {
			found = append(found, d)
		}
	}
	slices.SortFunc(found, func(a, b metal.Disk) int { return compare(rule.Pick, a, b) })
	if rule.Count > 0 {
		want = rule.Count
	}
	asked := describeRule(rule, named)
	switch {
	case len(found) == 0 && len(p.free) == 0:
		return nil, refuse(at, "no disk is left that could be %s; removable and read-only disks are never taken", asked)
	case len(found) == 0:
		return nil, refuse(at, "no disk is %s; the machine has %s", asked, describeDisks(p.free))
	case want > len(found):
		return nil, refuse(at, "%d disks are asked for that are %s, and %d are: %s", want, asked, len(found), describeDisks(found))
	case want > 0 && want < len(found) && rule.Pick == "":
		return nil, refuse(at, "%d disks are %s, and %d is asked for: %s; narrow the rule, or set pick to smallest or largest", len(found), asked, want, describeDisks(found))
	case want > 0:
		found = found[:want]
	}
	p.free = slices.DeleteFunc(p.free, func(d metal.Disk) bool {
		return slices.ContainsFunc(found, func(f metal.Disk) bool { return f.Name == d.Name })
	})
	return found, nil
}

// compare orders disks by what a rule picks, then by where they are plugged in, so that the answer is the same each time.
func compare(pick string, a, b metal.Disk) int {
	bySize := 0
	switch pick {
	case "smallest":
		bySize = cmp.Compare(a.Bytes, b.Bytes)
	case "largest":
		bySize = cmp.Compare(b.Bytes, a.Bytes)
	}
	return cmp.Or(bySize, cmp.Compare(a.Path, b.Path), cmp.Compare(a.Serial, b.Serial), cmp.Compare(a.Name, b.Name))
}

// matcher makes a rule a function.
func matcher(at string, rule metal.DiskRule) (func(metal.Disk) bool, error) {
	least, most := int64(0), largest
	var err error
	if rule.MinSize != "" {
		if least, err = parseBytes(rule.MinSize); err != nil {
			return nil, refuse(at+".min_size", "%w", err)
		}
	}
	if rule.MaxSize != "" {
		if most, err = parseBytes(rule.MaxSize); err != nil {
			return nil, refuse(at+".max_size", "%w", err)
		}
	}
	if least > most {
		return nil, refuse(at+".min_size", "%s is more than max_size %s", rule.MinSize, rule.MaxSize)
	}
	if !slices.Contains([]string{"", "smallest", "largest"}, rule.Pick) {
		return nil, refuse(at+".pick", "%q is neither smallest nor largest", rule.Pick)
	}
	if !slices.Contains([]string{"", "ssd", "hdd", "nvme"}, rule.Kind) {
		return nil, refuse(at+".kind", "%q is none of ssd, hdd and nvme", rule.Kind)
	}
	if rule.Count < 0 {
		return nil, refuse(at+".count", "%d is not a number of disks", rule.Count)
	}
	if _, err := path.Match(glob(rule.Model), ""); err != nil {
		return nil, refuse(at+".model", "%q is not a pattern with * and ?", rule.Model)
	}
	same := func(want, got string) bool { return want == "" || want == got }
	return func(d metal.Disk) bool {
		return same(kernelName(rule.Name), d.Name) && same(rule.Path, d.Path) && same(rule.Serial, d.Serial) && (rule.WWN == "" || sameWWN(rule.WWN, d.WWN)) &&
			same(rule.Bus, d.Bus) && kindFits(rule.Kind, d) && modelFits(rule.Model, d.Model) && d.Bytes >= least && d.Bytes <= most
	}, nil
}

func kernelName(s string) string { return strings.TrimPrefix(s, "/dev/") }

// sameWWN compares however they are written: 0x5000..., naa.5000... or 5000....
func sameWWN(a, b string) bool {
	bare := func(s string) string {
		s = strings.ToLower(s)
		for _, prefix := range []string{"naa.", "eui.", "uuid.", "0x"} {
			s = strings.TrimPrefix(s, prefix)
		}
		return s
	}
	return b != "" && bare(a) == bare(b)
}

func kindFits(kind string, d metal.Disk) bool {
	switch kind {
	case "ssd":
		return !d.Rotational
	case "hdd":
		return d.Rotational
	case "nvme":
		return d.Bus == "nvme"
	default:
		return true
	}
}

// glob makes a pattern of ours one of path.Match, which has more special characters and treats a slash as a wall.
func glob(pattern string) string {
	return strings.NewReplacer("/", "\x00", `\`, `\\`, "[", `\[`).Replace(strings.ToLower(pattern))
}

func modelFits(pattern, model string) bool {
	if pattern == "" {
		return true
	}
	ok, err := path.Match(glob(pattern), strings.ReplaceAll(strings.ToLower(model), "/", "\x00"))
	return err == nil && ok
}

// describeRule writes a rule so that "no disk is ..." reads on.
func describeRule(r metal.DiskRule, named string) string {
	var list []string
	for _, f := range []struct{ name, value string }{
		{"named", named}, {"name", r.Name}, {"path", r.Path}, {"serial", r.Serial}, {"wwn", r.WWN}, {"model", r.Model},
		{"bus", r.Bus}, {"kind", r.Kind}, {"min_size", r.MinSize}, {"max_size", r.MaxSize},
	} {
		if f.value != "" {
			list = append(list, f.name+" "+f.value)
		}
	}
	if len(list) == 0 {
		return "fixed and writable"
	}
	return "of " + strings.Join(list, ", ")
}

func describeDisks(disks []metal.Disk) string {
	var list []string
	for i, d := range disks {
		if i == 8 {
			list = append(list, fmt.Sprintf("and %d more", len(disks)-i))
			break
		}
		text := fmt.Sprintf("%s (%s", d.Name, size(d.Bytes))
		for _, more := range []string{d.Bus, d.Model, d.Serial} {
			if more != "" {
				text += ", " + more
			}
		}
		list = append(list, text+")")
	}
	return strings.Join(list, ", ")
}
