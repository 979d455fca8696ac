package profile

import (
	"fmt"
	"slices"
	"text/template"
	"text/template/parse"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// maxRanges is how deep loops may nest.
const maxRanges = 2

// lists are the fields of Facts that a template may loop over: they are short, so that every template ends soon.
func lists() []string { return []string{"MACs", "DNS", "NTP", "SSHKeys"} }

// allowed are the functions of templates: ours, and those of the language that take no time and make no text.
func allowed() []string {
	return []string{"shell", "json", "xml", "join", "and", "or", "not", "eq", "ne", "index", "len"}
}

// parsed parses a template, and refuses what could run for long: other templates, which may call each other for
// ever, and loops over anything but the lists of Facts.
func parsed(name, text string) (*template.Template, error) {
	t, err := template.New(name).Option("missingkey=error").Funcs(functions()).Parse(text)
	if err != nil {
		return nil, metal.Errorf(metal.Invalid, "%s", said(err))
	}
	if len(t.Templates()) > 1 || t.Tree == nil {
		return nil, metal.Errorf(metal.Invalid, "template %s defines templates of its own: write it without define and block", name)
	}
	c := checker{tree: t.Tree}
	c.list(t.Root, 0)
	if c.fault != "" {
		return nil, metal.Errorf(metal.Invalid, "template: %s", c.fault)
	}
	return t, nil
}

// checker walks a template and keeps the first fault.
type checker struct {
	tree  *parse.Tree
	fault string
}

func (c *checker) refuse(n parse.Node, format string, args ...any) {
	if c.fault == "" {
		where, _ := c.tree.ErrorContext(n)
		c.fault = where + ": " + fmt.Sprintf(format, args...)
	}
}

func (c *checker) list(l *parse.ListNode, ranges int) {
	if l == nil {
		return
	}
	for _, n := range l.Nodes {
		c.node(n, ranges)
	}
}

func (c *checker) node(n parse.Node, ranges int) {
	switch n := n.(type) {
	case *parse.ActionNode:
		c.pipe(n.Pipe)
	case *parse.IfNode:
		c.branch(&n.BranchNode, ranges)
	case *parse.WithNode:
		c.branch(&n.BranchNode, ranges)
	case *parse.RangeNode:
		if ranges == maxRanges {
			c.refuse(n, "loops are nested more than %d deep", maxRanges)
		}
		if !overList(n.Pipe) {
			c.refuse(n, "range takes one of %v as it is", lists())
		}
		c.branch(&n.BranchNode, ranges+1)
	case *parse.TemplateNode:
		c.refuse(n, "there are no other templates to call")
	}
}

func (c *checker) branch(b *parse.BranchNode, ranges int) {
	c.pipe(b.Pipe)
	c.list(b.List, ranges)
	c.list(b.ElseList, ranges)
}

func (c *checker) pipe(p *parse.PipeNode) {
	for _, cmd := range p.Cmds {
		for _, arg := range cmd.Args {
			c.argument(arg)
		}
	}
}

func (c *checker) argument(n parse.Node) {
	switch n := n.(type) {
	case *parse.IdentifierNode:
		if !slices.Contains(allowed(), n.Ident) {
			c.refuse(n, "there is no function %s: there are %v", n.Ident, allowed())
		}
	case *parse.PipeNode:
		c.pipe(n)
	case *parse.ChainNode:
		c.argument(n.Node)
	}
}

// overList says whether a loop goes over a field of Facts that may be looped over.
func overList(p *parse.PipeNode) bool {
	if len(p.Cmds) != 1 || len(p.Cmds[0].Args) != 1 {
		return false
	}
	switch n := p.Cmds[0].Args[0].(type) {
	case *parse.FieldNode:
		return len(n.Ident) == 1 && slices.Contains(lists(), n.Ident[0])
	case *parse.VariableNode:
		return len(n.Ident) == 2 && n.Ident[0] == "$" && slices.Contains(lists(), n.Ident[1])
	}
	return false
}
