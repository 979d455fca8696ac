// Package bootcfg finds out what a boot loader on a disk would start: kernel, initramfs and command line. It reads
// GRUB's grub.cfg and the Boot Loader Specification's entries tolerantly, as files of any fs.FS.
package bootcfg

import (
	"strings"
)

// Entry is one way to start a system. Paths are as the loader's configuration writes them, slashes first.
type Entry struct {
	Kernel  string
	Initrds []string
	Args    string // kernel command line
}

// maxConfig bounds what is read of a configuration; distributions' are some tens of kilobytes.
const maxConfig = 1 << 20

// ParseGRUB returns the first entry of a grub.cfg that starts a Linux kernel: the first linux command with the initrd
// commands that follow it, up to the next menu entry. Variables that the file sets are put in, others are empty;
// conditions are taken as true. It returns false when there is no linux command.
func ParseGRUB(config string, variables map[string]string) (Entry, bool) {
	set := map[string]string{}
	for k, v := range variables {
		set[k] = v
	}
	var e Entry
	for line := range strings.Lines(config) {
		words := split(line, set)
		if len(words) == 0 {
			continue
		}
		switch command := words[0]; command {
		case "set":
			if len(words) > 1 {
				if name, value, ok := strings.Cut(words[1], "="); ok {
					set[name] = value
				}
			}
		case "linux", "linux16", "linuxefi":
			if e.Kernel != "" {
				return e, true
			}
			if len(words) > 1 {
				e.Kernel, e.Args = stripDevice(words[1]), strings.Join(words[2:], " ")
			}
		case "initrd", "initrd16", "initrdefi":
			if e.Kernel == "" {
				continue
			}
			for _, w := range words[1:] {
				e.Initrds = append(e.Initrds, stripDevice(w))
			}
		case "menuentry", "submenu":
			if e.Kernel != "" {
				return e, true
			}
		}
	}
	return e, e.Kernel != ""
}

// stripDevice takes GRUB's device from a path: "(hd0,gpt1)/boot/vmlinuz" is "/boot/vmlinuz".
func stripDevice(path string) string {
	if strings.HasPrefix(path, "(") {
		if i := strings.IndexByte(path, ')'); i >= 0 {
			path = path[i+1:]
		}
	}
	return path
}

// split cuts a line in words by GRUB's rules of quoting, which are the shell's, and puts variables in. A comment ends
// the line.
func split(line string, variables map[string]string) []string {
	var words []string
	var word strings.Builder
	inWord := false
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ';':
			if inWord {
				words = append(words, word.String())
			}
			word.Reset()
			inWord = false
		case c == '#' && !inWord:
			return words
		case c == '\'':
			end := strings.IndexByte(line[i+1:], '\'')
			if end < 0 {
				end = len(line) - i - 1
			}
			word.WriteString(line[i+1 : i+1+end])
			i += end + 1
			inWord = true
		case c == '"':
			i += quoted(&word, line[i+1:], variables)
			inWord = true
		case c == '\\' && i+1 < len(line):
			i++
			word.WriteByte(line[i])
			inWord = true
		case c == '$':
			value, n := variable(line[i+1:], variables)
			// An unquoted variable makes as many words as it has.
			fields := strings.Fields(value)
			for j, f := range fields {
				if j > 0 {
					words = append(words, word.String())
					word.Reset()
				}
				word.WriteString(f)
				inWord = true
			}
			i += n
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	if inWord {
		words = append(words, word.String())
	}
	return words
}

// quoted writes the content of double quotes to word and returns how many bytes it took, the closing quote included.
func quoted(word *strings.Builder, s string, variables map[string]string) int {
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return i + 1
		case s[i] == '\\' && i+1 < len(s) && strings.IndexByte("\"\\$", s[i+1]) >= 0:
			i++
			word.WriteByte(s[i])
		case s[i] == '$':
			value, n := variable(s[i+1:], variables)
			word.WriteString(value)
			i += n
		default:
			word.WriteByte(s[i])
		}
	}
	return len(s)
}

// variable reads the name behind a dollar sign and returns its value and the name's length in s.
func variable(s string, variables map[string]string) (value string, n int) {
	if strings.HasPrefix(s, "{") {
		if end := strings.IndexByte(s, '}'); end >= 0 {
			return variables[s[1:end]], end + 1
		}
		return "", len(s)
	}
	for n < len(s) && (s[n] == '_' || s[n] >= '0' && s[n] <= '9' || s[n] >= 'A' && s[n] <= 'Z' || s[n] >= 'a' && s[n] <= 'z') {
		n++
	}
	return variables[s[:n]], n
}

// ParseEnv reads GRUB's environment block: NAME=VALUE lines, padded with #.
func ParseEnv(block string) map[string]string {
	set := map[string]string{}
	for line := range strings.Lines(block) {
		if name, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), "="); ok && !strings.HasPrefix(line, "#") {
			set[name] = value
		}
	}
	return set
}

// ParseBLS reads one entry of the Boot Loader Specification, type 1. It returns false when it names no kernel.
func ParseBLS(text string, variables map[string]string) (Entry, bool) {
	var e Entry
	var args []string
	for line := range strings.Lines(text) {
		words := split(line, variables)
		if len(words) < 2 {
			continue
		}
		switch words[0] {
		case "linux":
			e.Kernel = stripDevice(words[1])
		case "initrd":
			for _, w := range words[1:] {
				e.Initrds = append(e.Initrds, stripDevice(w))
			}
		case "options":
			args = append(args, words[1:]...)
		}
	}
	e.Args = strings.Join(args, " ")
	return e, e.Kernel != ""
}
