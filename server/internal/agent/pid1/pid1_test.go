package pid1

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParametersOfTheKernelCommandLine(t *testing.T) {
	tests := []struct {
		name, line string
		want       map[string]string
	}{
		{"as metald writes it", "console=ttyS0 metal.server=http://172.31.0.1:7080 metal.token=abc quiet\n", map[string]string{
			"console": "ttyS0", "metal.server": "http://172.31.0.1:7080", "metal.token": "abc", "quiet": "",
		}},
		{"a value with an equals sign", "root=LABEL=root", map[string]string{"root": "LABEL=root"}},
		{"the last one wins", "a=1 a=2", map[string]string{"a": "2"}},
		{"quoted blanks", `dyndbg="file a.c +p" b=1`, map[string]string{"dyndbg": "file a.c +p", "b": "1"}},
		{"nothing", " \n", map[string]string{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Parameters(tt.line)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzParameters(f *testing.F) {
	f.Add(`a="b c" d=e`)
	f.Add(`"`)
	f.Fuzz(func(t *testing.T, line string) {
		for key := range Parameters(line) {
			if bytes.ContainsAny([]byte(key), "=\"") {
				t.Errorf("got key %q", key)
			}
		}
	})
}

func TestConsoleStampsEachLineAndTellsTheKernel(t *testing.T) {
	var console, kernel bytes.Buffer
	c := &Console{console: &console, kernel: &kernel, now: func() float64 { return 3.25 }}
	if n, err := c.Write([]byte("one\ntwo\n")); n != 8 || err != nil {
		t.Errorf("got %d, %v; want 8, nil", n, err)
	}
	if want := "[    3.250000] metal-agent: one\n[    3.250000] metal-agent: two\n"; console.String() != want {
		t.Errorf("console: got %q; want %q", console.String(), want)
	}
	if want := "<7>metal-agent: one\n<7>metal-agent: two\n"; kernel.String() != want {
		t.Errorf("kernel: got %q; want %q", kernel.String(), want)
	}
}
