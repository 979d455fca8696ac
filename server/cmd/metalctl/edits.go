package main

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// edits are the changes of a spec that flags ask for: a flag that is not given changes nothing.
type edits[S any] struct {
	flags flagSet
	todo  []func(*S)
}

// flagSet is what edits need of a command's flags.
type flagSet interface {
	Func(name, usage string, parse func(string) error)
	BoolFunc(name, usage string, parse func(string) error)
}

func (e *edits[S]) apply(s *S) {
	for _, do := range e.todo {
		do(s)
	}
}

// edit adds a flag whose text parse turns into a value for a field.
func edit[S, V any](e *edits[S], name, usage string, parse func(string) (V, error), field func(*S) *V) {
	e.flags.Func(name, usage, func(text string) error {
		v, err := parse(text)
		if err == nil {
			e.todo = append(e.todo, func(s *S) { *field(s) = v })
		}
		return err
	})
}

// editList adds a flag that can be repeated, and that takes several values with commas between: together they replace
// the list that was there. Empty text empties it.
func editList[S, V any](e *edits[S], name, usage string, parse func(string) (V, error), field func(*S) *[]V) {
	editEach(e, name, usage, func(text string) (list []V, err error) {
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part == "" {
				continue
			}
			v, err := parse(part)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	}, field)
}

// editEach is editList for values that have commas in them.
func editEach[S, V any](e *edits[S], name, usage string, parse func(string) ([]V, error), field func(*S) *[]V) {
	var all []V
	first := true
	e.flags.Func(name, usage+"; can be repeated", func(text string) error {
		some, err := parse(text)
		if err != nil {
			return err
		}
		all = append(all, some...)
		if first {
			first = false
			e.todo = append(e.todo, func(s *S) { *field(s) = all })
		}
		return nil
	})
}

// editBool adds a flag that is true without a value.
func editBool[S any](e *edits[S], name, usage string, field func(*S) *bool) {
	e.flags.BoolFunc(name, usage, func(text string) error {
		on, err := strconv.ParseBool(text)
		if err == nil {
			e.todo = append(e.todo, func(s *S) { *field(s) = on })
		}
		return err
	})
}

func asText(s string) (string, error) { return s, nil }

func number(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a number", s)
	}
	return n, nil
}

// anAddress parses an address; empty text is none.
func anAddress(s string) (netip.Addr, error) {
	if s == "" {
		return netip.Addr{}, nil
	}
	return netip.ParseAddr(s)
}

// aMAC parses a MAC address; empty text is none.
func aMAC(s string) (metal.MAC, error) {
	if s == "" {
		return "", nil
	}
	return metal.ParseMAC(s)
}

// aRange parses a range of addresses.
func aRange(s string) (r metal.AddrRange, err error) {
	first, last, ok := strings.Cut(s, "-")
	if !ok {
		return r, fmt.Errorf("%q is not a range: write it as in 10.0.0.100-10.0.0.200", s)
	}
	if r.First, err = netip.ParseAddr(strings.TrimSpace(first)); err != nil {
		return r, err
	}
	r.Last, err = netip.ParseAddr(strings.TrimSpace(last))
	return r, err
}

// oneOf makes a parser of a few words.
func oneOf[V ~string](words ...V) func(string) (V, error) {
	return func(s string) (V, error) {
		for _, w := range words {
			if string(w) == s {
				return w, nil
			}
		}
		return "", fmt.Errorf("%q is none of %v", s, words)
	}
}

// editOptions adds the flags for what clients are told.
func editOptions[S any](e *edits[S], of func(*S) *metal.DHCPOptions) {
	edit(e, "mtu", "interface MTU that clients are told; 0: the VLAN's", number, func(s *S) *int { return &of(s).MTU })
	edit(e, "boot-server", "TFTP server of another boot service", asText, func(s *S) *string { return &of(s).BootServer })
	edit(e, "boot-file", "boot file of another boot service", asText, func(s *S) *string { return &of(s).BootFile })
	editList(e, "syslog", "log server", netip.ParseAddr, func(s *S) *[]netip.Addr { return &of(s).Syslog })
	edit(e, "time-zone", "time zone, as in Europe/Paris", asText, func(s *S) *string { return &of(s).TimeZone })
	edit(e, "wpad", "URL of a proxy configuration", asText, func(s *S) *string { return &of(s).WPAD })
	editEach(e, "option", "any option, as code:type:value, as in 43:hex:0102", anOption, func(s *S) *[]metal.DHCPOption { return &of(s).Custom })
}

// anOption parses code:type:value; empty text is none.
func anOption(s string) ([]metal.DHCPOption, error) {
	if s == "" {
		return nil, nil
	}
	parts := strings.SplitN(s, ":", 3)
	if len(parts) != 3 {
		return nil, fmt.Errorf("%q is not an option: write it as in 43:hex:0102", s)
	}
	code, err := number(parts[0])
	return []metal.DHCPOption{{Code: code, Type: parts[1], Value: parts[2]}}, err
}
