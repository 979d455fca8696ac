package metadata

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

func TestTextIsBareOnlyWhereEveryReaderTakesItForText(t *testing.T) {
	for in, want := range map[string]string{
		"node7":             "node7",
		"web.example.org":   "web.example.org",
		"a-b":               "a-b",
		"off":               `"off"`,
		"no":                `"no"`,
		"null":              `"null"`,
		"n":                 `"n"`,
		"":                  `""`,
		"12:34:56":          `"12:34:56"`,
		"1e5":               `"1e5"`,
		"0x1f":              `"0x1f"`,
		"192.0.2.1":         `"192.0.2.1"`,
		"a: b":              `"a: b"`,
		"a #b":              `"a #b"`,
		"- a":               `"- a"`,
		"a\nruncmd: [x]":    `"a\nruncmd: [x]"`,
		`a"b\c`:             `"a\"b\\c"`,
		"{}":                `"{}"`,
		"é":                 `"é"`,
		"\u2028":            `"\L"`,
		"\x00":              `"\0"`,
		"&a *b !c %d @e `f": "\"&a *b !c %d @e `f\"",
	} {
		got := newDocument().put("k", text(in)).String()
		if got != "k: "+want+"\n" {
			t.Errorf("%q: got %q; want %q", in, got, "k: "+want+"\n")
		}
	}
}

func TestLongTextIsNotFolded(t *testing.T) {
	long := strings.Repeat("word and ", 500)
	if got := newDocument().put("k", list(text(long))).String(); strings.Count(got, "\n") != 2 {
		t.Errorf("got %d lines; want 2", strings.Count(got, "\n"))
	}
}

func TestAnEmptyDocumentIsAMapping(t *testing.T) {
	if got := newDocument().String(); got != "{}\n" {
		t.Errorf("got %q; want {}", got)
	}
}

func FuzzTextComesBackAsItWentIn(f *testing.F) {
	for _, s := range []string{"", "a", "a\nb: c", "\"", "'", "\\", "- ", "off", "\u0085", "\ufeff", "\t", "\r\n", "%YAML", "---", "!!int 3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			return // no fact gets here that is not text
		}
		out := newDocument().put("k", text(s)).put("l", list(text(s))).put("end", text("end")).String()
		if strings.Count(out, "\n") != 4 {
			t.Errorf("%q is written on several lines: %q", s, out)
		}
		var got struct {
			K   any
			L   []any
			End string
		}
		if err := yaml.Unmarshal([]byte(out), &got); err != nil {
			t.Fatalf("%q cannot be read: %v", out, err)
		}
		if diff := cmp.Diff([]any{s, s, "end"}, []any{got.K, got.L[0], got.End}); diff != "" {
			t.Errorf("%q (-want +got):\n%s", out, diff)
		}
	})
}
