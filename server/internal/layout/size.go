package layout

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

const (
	mib = int64(1) << 20
	// largest is more than any disk, and sums of a few hundred of it stay in an int64.
	largest = int64(1) << 54
)

// A share is a size as declared: bytes, a percentage of the whole, or what is left.
type share struct {
	bytes   int64
	percent int64
	rest    bool
}

var sizeText = regexp.MustCompile(`^([0-9]{1,15}) ?(K|M|G|T)(iB|B)$`)

// parseSize reads "20GiB", "50%" or "rest".
func parseSize(text string) (share, error) {
	if text == "rest" {
		return share{rest: true}, nil
	}
	if digits, ok := strings.CutSuffix(text, "%"); ok {
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n < 1 || n > 100 {
			return share{}, fmt.Errorf("%q is not a percentage from 1%% to 100%%", text)
		}
		return share{percent: n}, nil
	}
	n, err := parseBytes(text)
	return share{bytes: n}, err
}

// parseBytes reads "20GiB"; the units without i are those of 1000.
func parseBytes(text string) (int64, error) {
	m := sizeText.FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("%q is not a size as in 20GiB, 50%% or rest", text)
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a size: %w", text, err)
	}
	unit := int64(1024)
	if m[3] == "B" {
		unit = 1000
	}
	for range strings.Index("KMGT", m[2]) + 1 {
		if n > math.MaxInt64/unit {
			return 0, fmt.Errorf("%q is more than any disk has", text)
		}
		n *= unit
	}
	if n > largest {
		return 0, fmt.Errorf("%q is more than any disk has", text)
	}
	return n, nil
}

// A claim is one element's part of a whole.
type claim struct {
	at    string
	text  string
	share share
}

// divide gives each claim its part of whole, in multiples of unit. Bytes are rounded up, percentages and the rest
// down; the order of the claims does not matter.
func divide(what string, whole, unit int64, claims []claim) ([]int64, error) {
	parts := make([]int64, len(claims))
	left, percent, rest := whole/unit*unit, int64(0), -1
	for i, c := range claims {
		switch {
		case c.share.rest && rest >= 0:
			return nil, refuse(c.at+".size", "only one part of %s can be the rest, and %s is", what, claims[rest].at)
		case c.share.rest:
			rest = i
			continue
		case c.share.percent > 0:
			if percent += c.share.percent; percent > 100 {
				return nil, refuse(c.at+".size", "the percentages of %s come to %d%%; take away %d%%", what, percent, percent-100)
			}
			parts[i] = (whole/100*c.share.percent + whole%100*c.share.percent/100) / unit * unit // without an overflow
		default:
			parts[i] = (c.share.bytes + unit - 1) / unit * unit
		}
		if parts[i] == 0 {
			return nil, refuse(c.at+".size", "%q of %s is less than the least there can be, %s", c.text, what, size(unit))
		}
		if parts[i] > left {
			return nil, refuse(c.at+".size", "%s does not fit: %s of %s are left on %s; make this or another part smaller", c.text, size(left), size(whole), what)
		}
		left -= parts[i]
	}
	if rest >= 0 {
		if left == 0 {
			return nil, refuse(claims[rest].at+".size", "nothing is left of %s; make another part smaller", what)
		}
		parts[rest] = left
	}
	return parts, nil
}

// size writes bytes for a person.
func size(n int64) string {
	names := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	v, i := float64(n), 0
	for ; v >= 1024 && i < len(names)-1; i++ {
		v /= 1024
	}
	return strconv.FormatFloat(math.Floor(v*100)/100, 'f', -1, 64) + " " + names[i]
}
