package metadata

import (
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A document is a YAML mapping that keeps the order in which it is filled.
type document struct{ node yaml.Node }

func newDocument() *document {
	return &document{yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}}
}

// put adds a key, which is a plain word.
func (d *document) put(key string, value *yaml.Node) *document {
	d.node.Content = append(d.node.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}, value)
	return d
}

// String returns the document as YAML.
func (d *document) String() string {
	if len(d.node.Content) == 0 {
		return "{}\n"
	}
	var b strings.Builder
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(&d.node); err != nil {
		panic("metadata: a document of scalars, lists and mappings cannot be written: " + err.Error())
	}
	return b.String()
}

// bare are the scalars that stay without quotes: words that no YAML reader takes for anything but text. Quotes around
// the rest keep YAML 1.1, which cloud-init's reader speaks, from seeing a number in 12:34:56 or a truth in "off".
var bare = regexp.MustCompile(`^[a-z][a-z0-9_-]*[a-z0-9](\.[a-z0-9-]*[a-z0-9])*$`)

// reserved are the words among them that YAML 1.1 reads as something else (https://yaml.org/type/bool.html, null.html).
var reserved = map[string]bool{"yes": true, "no": true, "on": true, "off": true, "true": true, "false": true, "null": true}

// text is a string, on one line whatever it holds.
func text(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	if !bare.MatchString(s) || reserved[s] {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

func truth(b bool) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(b)}
}

func number(i int) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.Itoa(i)}
}

// list is a sequence, one item a line.
func list(items ...*yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: items}
}

// texts is a sequence of whatever prints itself.
func texts[T any](items []T, show func(T) string) *yaml.Node {
	seq := list()
	for _, item := range items {
		seq.Content = append(seq.Content, text(show(item)))
	}
	return seq
}

func mapping(d *document) *yaml.Node { return &d.node }
