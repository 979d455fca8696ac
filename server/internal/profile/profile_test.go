package profile_test

import (
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/profile"
)

func linux(change func(*metal.BootProfileSpec)) metal.BootProfileSpec {
	s := metal.BootProfileSpec{Kernel: &metal.BootFile{Source: "http://m/linux"}, Variables: map[string]string{"disk": "/dev/sda"}}
	change(&s)
	return s
}

func answering(text string) metal.BootProfileSpec {
	return linux(func(s *metal.BootProfileSpec) { s.Answers = []metal.AnswerFile{{Name: "a.cfg", Content: text}} })
}

func TestTemplatesSayWhatIsKnownOfTheMachine(t *testing.T) {
	for name, c := range map[string]struct{ template, want string }{
		"names":                   {"{{.Name}} {{.FQDN}} {{.Domain}}", "sample sample.example.com example.com"},
		"addresses":               {"{{.Address}}/{{.Prefix}} {{.Netmask}} {{.Gateway}}", "192.0.2.10/24 255.255.255.0 192.0.2.1"},
		"URLs":                    {"{{.Server}} {{.Files}} {{.Done}}", "http://192.0.2.1:7080 http://192.0.2.1:7080/files/ http://192.0.2.1:7080/done"},
		"variables and secrets":   {"{{.Var.disk}} {{.Secret.hash}}", "/dev/sda $6$x"},
		"a loop":                  {"{{range .MACs}}<{{.}}>{{end}}", "<52:54:00:00:00:01><52:54:00:00:00:02>"},
		"a loop by the root":      {"{{with .Var}}{{range $.DNS}}{{.}}{{end}}{{end}}", "192.0.2.1"},
		"the first of a list":     {"{{index .NTP 0}}", "192.0.2.1"},
		"a condition":             {`{{if and (eq .Name "sample") (not .Var.x)}}a{{else}}b{{end}}`, ""},
		"a word for a shell":      {`{{shell "it's"}}`, `'it'\''s'`},
		"a JSON string":           {`{{json "a\"<b>&"}}`, `"a\"<b>&"`},
		"text for XML":            {`{{xml "a<b&\""}}`, "a&lt;b&amp;&#34;"},
		"a joined list":           {`{{join .MACs ","}}`, "52:54:00:00:00:01,52:54:00:00:00:02"},
		"what is known otherwise": {"{{len .MACs}}", "2"},
	} {
		t.Run(name, func(t *testing.T) {
			s := answering(c.template)
			got, err := profile.Answer(s, "a.cfg", profile.Sample(s.Variables, map[string]string{"hash": "$6$x"}, nil))
			if c.want == "" {
				if metal.CodeOf(err) != metal.Invalid {
					t.Fatalf("got %q, %v; want it refused: a variable is missing", got, err)
				}
				return
			}
			if err != nil || got != c.want {
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			}
		})
	}
}

func TestAProfileThatCouldNotBeBootedIsRefusedWithFileAndLine(t *testing.T) {
	for name, c := range map[string]struct {
		spec metal.BootProfileSpec
		want string
	}{
		"neither kernel nor iso":       {metal.BootProfileSpec{}, "either a kernel or an iso"},
		"both":                         {linux(func(s *metal.BootProfileSpec) { s.ISO = &metal.BootFile{} }), "either a kernel or an iso"},
		"an iso with a command line":   {metal.BootProfileSpec{ISO: &metal.BootFile{}, CommandLine: "x"}, "the iso brings its own"},
		"a missing variable":           {answering("\n\n{{.Var.none}}"), "a.cfg:3"},
		"a missing secret":             {answering("\n{{.Secret.none}}"), "a.cfg:2"},
		"a missing fact":               {answering("{{.Absent}}"), "a.cfg:1"},
		"an open action":               {answering("a\n{{if .Name}}"), "a.cfg:2"},
		"an unknown function":          {answering("{{env \"HOME\"}}"), "a.cfg:1"},
		"printf, which pads":           {answering(`{{printf "%999999d" 1}}`), "there is no function printf"},
		"a call within brackets":       {answering(`{{len (print 1)}}`), "there is no function print"},
		"a template of its own":        {answering(`{{define "x"}}{{template "x"}}{{end}}`), "define"},
		"a call of itself":             {answering(`{{template "a.cfg" .}}`), "no other templates"},
		"a long loop":                  {answering("{{range 1000000000}}{{end}}"), "range takes one of"},
		"a loop over a variable":       {answering("{{$n := 9}}{{range $n}}{{end}}"), "range takes one of"},
		"loops that are nested deep":   {answering("{{range .DNS}}{{range $.DNS}}{{range $.DNS}}{{end}}{{end}}{{end}}"), "nested"},
		"quotes that grow":             {answering(`{{$x := "''''''''"}}` + strings.Repeat("{{$x = shell $x}}", 30)), "more than 65536 bytes"},
		"more text than may be":        {answering(`{{$x := "'"}}` + strings.Repeat("{{$x = shell $x}}", 9) + strings.Repeat("{{$x}}", 300)), "more text than"},
		"two answer files of one name": {linux(func(s *metal.BootProfileSpec) { s.Answers = []metal.AnswerFile{{Name: "a"}, {Name: "a"}} }), "two answer files"},
		"two initrds of one name":      {linux(func(s *metal.BootProfileSpec) { s.Initrds = []metal.BootFile{{Name: "a"}, {Name: "a"}} }), "two initrds"},
		"a secret on the command line": {linux(func(s *metal.BootProfileSpec) { s.CommandLine = "p={{.Secret.hash}}" }), "command_line:1"},
		"iPXE's words on it":           {linux(func(s *metal.BootProfileSpec) { s.CommandLine = "a || shell" }), "iPXE"},
		"iPXE's settings on it":        {linux(func(s *metal.BootProfileSpec) { s.CommandLine = "a=${net0/mac}" }), "iPXE"},
		"too long a command line":      {linux(func(s *metal.BootProfileSpec) { s.CommandLine = strings.Repeat("abcdefg ", 300) }), "2399 bytes"},
		"a variable of an odd name":    {linux(func(s *metal.BootProfileSpec) { s.Variables = map[string]string{"a-b": ""} }), `"a-b"`},
		"answer files without measure": {linux(func(s *metal.BootProfileSpec) {
			s.Answers = []metal.AnswerFile{{Name: "a", Content: strings.Repeat("x", 1<<20)}}
		}), "together"},
		"a function that is given junk": {answering("{{join .Name .Name}}"), "a.cfg:1"},
	} {
		t.Run(name, func(t *testing.T) {
			err := profile.Check(c.spec, map[string]string{"hash": "tiger"}, nil)
			if metal.CodeOf(err) != metal.Invalid || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %.300v; want invalid with %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "tiger") {
				t.Errorf("got %v; want no secret in it", err)
			}
		})
	}
}

func TestACommandLineIsOneLineWithItsURLs(t *testing.T) {
	s := linux(func(s *metal.BootProfileSpec) {
		s.CommandLine = "auto=true\n url={{.Files}}preseed.cfg  ds=nocloud-net;s={{.Files}}\n"
	})
	f := profile.Sample(nil, nil, nil)
	f.URLs("http://10.0.0.1:7080", "/boot/install/m/t")
	const want = "auto=true url=http://10.0.0.1:7080/boot/install/m/t/files/preseed.cfg ds=nocloud-net;s=http://10.0.0.1:7080/boot/install/m/t/files/"
	if got, err := profile.CommandLine(s, f); err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	if _, err := profile.Answer(s, "none", f); metal.CodeOf(err) != metal.NotFound {
		t.Errorf("an answer file that is not there: got %v; want not found", err)
	}
}

func TestAMachineHasTheProfileOfItsTagAndAnUnknownOneThatForUnknownOnes(t *testing.T) {
	all := []metal.BootProfile{
		{Name: "db", Spec: metal.BootProfileSpec{Tags: []string{"db", "sql"}}},
		{Name: "any", Spec: metal.BootProfileSpec{Unknown: true}},
	}
	for name, c := range map[string]struct {
		known bool
		tags  []string
		want  string
	}{
		"nobody declared it":          {false, nil, "any"},
		"it has a tag":                {true, []string{"x", "sql"}, "db"},
		"it has no tag of a profile":  {true, []string{"x"}, ""},
		"it is declared without tags": {true, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if p := profile.For(all, c.known, c.tags); p != nil {
				got = p.Name
			}
			if got != c.want {
				t.Errorf("got %q; want %q", got, c.want)
			}
		})
	}
}

// Whatever a template is, it ends, and makes no more than an answer file may have.
func FuzzTemplatesEndAndAreBounded(f *testing.F) {
	for _, seed := range []string{
		"{{.Name}}", "{{range .MACs}}{{.}}{{end}}", "{{range 9}}{{end}}", `{{template "a.cfg"}}`, "{{$x := shell .Name}}{{$x}}",
		`{{with .Var}}{{.disk}}{{end}}`, `{{json (join .DNS ",")}}`, "{{break}}", "{{index .MACs 9}}", "{{.Facts.URLs}}", `{{.URLs "a" "b"}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := answering(text)
		out, err := profile.Answer(s, "a.cfg", profile.Sample(s.Variables, nil, nil))
		if len(out) > 1<<20 {
			t.Errorf("got %d bytes; want 1 MiB at most", len(out))
		}
		if err != nil && metal.CodeOf(err) != metal.Invalid {
			t.Errorf("got %v; want invalid", err)
		}
	})
}
