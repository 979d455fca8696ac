// Package profile renders boot profiles: facts about a machine and a profile in, a kernel command line and answer
// files out. It does no I/O.
package profile

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"unicode/utf8"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const (
	maxAnswer  = 1 << 20   // bytes of a rendered answer file
	maxValue   = 64 << 10  // bytes of what one function returns
	maxAnswers = 512 << 10 // bytes of all templates of a profile
)

// Facts are what templates can say about the machine that installs. Text is empty where nothing is known.
type Facts struct {
	Name   string // host name; one that nobody declared is called host- and its MAC address
	FQDN   string
	Domain string
	MAC    string // that the machine boots from, as in 52:54:00:12:34:56
	MACs   []string
	// Address, Netmask, Prefix (the length of the network's prefix) and Gateway are of the network it boots from.
	Address, Netmask, Gateway string
	Prefix                    int
	DNS, NTP                  []string // addresses of servers
	SSHKeys                   []string // lines as in authorized_keys
	Server                    string   // base URL of the boot server, without a slash at the end
	// Files is the URL that the names of answer files are appended to. It ends in a slash.
	Files string
	// Progress, Done and Failed are URLs that the installer calls home by, with GET or POST.
	Progress, Done, Failed string
	Var                    map[string]string
	Secret                 map[string]string
}

// Sample returns facts as a machine may have them: what a profile is tried with before it is taken.
func Sample(variables map[string]string, secrets map[string]string, keys []string) Facts {
	const base = "http://192.0.2.1:7080"
	return Facts{
		Name: "sample", FQDN: "sample.example.com", Domain: "example.com",
		MAC: "52:54:00:00:00:01", MACs: []string{"52:54:00:00:00:01", "52:54:00:00:00:02"},
		Address: "192.0.2.10", Netmask: "255.255.255.0", Prefix: 24, Gateway: "192.0.2.1",
		DNS: []string{"192.0.2.1"}, NTP: []string{"192.0.2.1"}, SSHKeys: keys, Server: base,
		Files: base + "/files/", Progress: base + "/progress", Done: base + "/done", Failed: base + "/failed",
		Var: variables, Secret: secrets,
	}
}

// CommandLine renders the kernel command line: one line of at most metal.MaxCommandLine bytes. A secret in it is
// metal.Invalid: whoever is on the machine or its network could read it.
func CommandLine(spec metal.BootProfileSpec, f Facts) (string, error) {
	f.Secret = nil
	out, err := render("command_line", spec.CommandLine, f)
	if err != nil {
		return "", err
	}
	words := strings.Fields(out)
	for _, w := range words {
		odd := strings.ContainsFunc(w, func(r rune) bool { return r < ' ' || r > '~' })
		if odd || w == "||" || w == "&&" || w == ";" || w[0] == '#' || strings.Contains(w, "${") || strings.HasSuffix(w, `\`) {
			return "", metal.Errorf(metal.Invalid, "command_line: iPXE would not hand over the word %.80q as it is: write it in another way, or into an answer file", w)
		}
	}
	line := strings.Join(words, " ")
	if len(line) > metal.MaxCommandLine {
		return "", metal.Errorf(metal.Invalid, "command_line: it has %d bytes, and a kernel takes %d: put the rest into an answer file", len(line), metal.MaxCommandLine)
	}
	return line, nil
}

// Answer renders an answer file; metal.NotFound where the profile has none of the name.
func Answer(spec metal.BootProfileSpec, name string, f Facts) (string, error) {
	for _, a := range spec.Answers {
		if a.Name == name {
			return render(a.Name, a.Content, f)
		}
	}
	return "", metal.Errorf(metal.NotFound, "the boot profile has no answer file %.80q", name)
}

func named() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,62}$`) }

// Check refuses, with metal.Invalid, a profile that could not be booted: templates are rendered with sample facts,
// and a fault says file and line. keys are the spec's SSH keys, resolved.
func Check(spec metal.BootProfileSpec, secrets map[string]string, keys []string) error {
	if (spec.Kernel == nil) == (spec.ISO == nil) {
		return metal.Errorf(metal.Invalid, "a boot profile has either a kernel or an iso")
	}
	if spec.ISO != nil && (len(spec.Initrds) > 0 || spec.CommandLine != "") {
		return metal.Errorf(metal.Invalid, "a boot profile with an iso has no initrds and no command_line: the iso brings its own")
	}
	for name := range spec.Variables {
		if !named().MatchString(name) {
			return metal.Errorf(metal.Invalid, "variable %.80q: a name is a letter, then letters, digits and underscores, at most 63", name)
		}
	}
	for name := range secrets {
		if !named().MatchString(name) {
			return metal.Errorf(metal.Invalid, "secret %.80q: a name is a letter, then letters, digits and underscores, at most 63", name)
		}
	}
	f := Sample(spec.Variables, secrets, keys)
	if _, err := CommandLine(spec, f); err != nil {
		return err
	}
	return checkAnswers(spec, f)
}

func checkAnswers(spec metal.BootProfileSpec, f Facts) error {
	total, seen := 0, map[string]bool{}
	for _, file := range spec.Initrds {
		if file.Name != "" && seen[file.Name] {
			return metal.Errorf(metal.Invalid, "two initrds are called %s", file.Name)
		}
		seen[file.Name] = true
	}
	clear(seen)
	for _, a := range spec.Answers {
		if total += len(a.Content); total > maxAnswers {
			return metal.Errorf(metal.Invalid, "the answer files have more than %d bytes together", maxAnswers)
		}
		if seen[a.Name] {
			return metal.Errorf(metal.Invalid, "two answer files are called %s", a.Name)
		}
		seen[a.Name] = true
		if _, err := Answer(spec, a.Name, f); err != nil {
			return err
		}
	}
	return nil
}

var errLong = errors.New("it makes more text than an answer file may have")

// bounded keeps at most maxAnswer bytes.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxAnswer {
		return 0, errLong
	}
	return b.Buffer.Write(p)
}

func render(name, text string, f Facts) (string, error) {
	t, err := parsed(name, text)
	if err != nil {
		return "", err
	}
	var out bounded
	if err := t.Execute(&out, f); err != nil {
		return "", metal.Errorf(metal.Invalid, "%s", said(err))
	}
	return out.String(), nil
}

// said is what text/template says, which begins with file and line, as far as it is short and readable.
func said(err error) string {
	text := strings.ToValidUTF8(err.Error(), "?")
	if len(text) > 500 {
		text = strings.ToValidUTF8(text[:500], "") + "..."
	}
	return text
}

// functions are what templates can call beside the language's own.
func functions() template.FuncMap {
	return template.FuncMap{
		// shell quotes for a POSIX shell.
		"shell": func(s string) (string, error) { return short("'" + strings.ReplaceAll(s, "'", `'\''`) + "'") },
		// json makes a JSON string, which YAML reads too.
		"json": func(v string) (string, error) {
			var out bytes.Buffer
			e := json.NewEncoder(&out)
			e.SetEscapeHTML(false)
			if err := e.Encode(v); err != nil {
				return "", err
			}
			return short(strings.TrimSuffix(out.String(), "\n"))
		},
		"xml": func(s string) (string, error) {
			var out bytes.Buffer
			if err := xml.EscapeText(&out, []byte(s)); err != nil {
				return "", err
			}
			return short(out.String())
		},
		"join": func(list []string, with string) (string, error) { return short(strings.Join(list, with)) },
	}
}

// short bounds what a function returns: what calls itself again and again would grow without end.
func short(s string) (string, error) {
	if len(s) > maxValue {
		return "", fmt.Errorf("it makes more than %d bytes", maxValue)
	}
	if !utf8.ValidString(s) {
		return "", errors.New("it makes text that is not UTF-8")
	}
	return s, nil
}

// For returns the profile for a machine that boots: the first one with one of its tags, or the one for machines that
// nobody declared. Nil: there is none.
func For(profiles []metal.BootProfile, known bool, tags []string) *metal.BootProfile {
	for i, p := range profiles {
		tagged := slices.ContainsFunc(p.Spec.Tags, func(t string) bool { return slices.Contains(tags, t) })
		if known && tagged || !known && p.Spec.Unknown {
			return &profiles[i]
		}
	}
	return nil
}

// URLs fills in the URLs of one installation. base is the boot server's, at where the installation is on it.
func (f *Facts) URLs(base, at string) {
	at = base + at
	f.Server, f.Files, f.Progress, f.Done, f.Failed = base, at+"/files/", at+"/progress", at+"/done", at+"/failed"
}
