package metadata

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestParseFirstBoot(t *testing.T) {
	for _, tt := range []struct {
		name, raw string
		want      FirstBoot
	}{
		{"it begins", `{}`, FirstBoot{}},
		{"all went well", `{"over":true,"errors":[],"log":"secret things"}`, FirstBoot{Over: true}},
		{
			"a script failed", `{"over":true,"errors":["('scripts_user', RuntimeError('1 failed'))"],"log":"+ apt install x\n\nE: no such package\n"}`,
			FirstBoot{Over: true, Errors: []string{"('scripts_user', RuntimeError('1 failed'))"}, Log: []string{"+ apt install x", "E: no such package"}},
		},
		{
			"what is no text", `{"over":true,"errors":["a\u001b[31m\u0000b\tc"],"log":"\u0007\n"}`,
			FirstBoot{Over: true, Errors: []string{"a[31mb c"}},
		},
		{
			"too much of everything", `{"over":true,"errors":["` + strings.Repeat("e", 400) + strings.Repeat(`","e`, 20) + `"],"log":"` + strings.Repeat(`l\n`, 50) + `end"}`,
			FirstBoot{
				Over: true, Errors: append([]string{strings.Repeat("e", 300) + "..."}, strings.Split(strings.Repeat("e", 9), "")...),
				Log: append(strings.Split(strings.Repeat("l", 19), ""), "end"),
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseFirstBoot([]byte(tt.raw))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	for _, raw := range []string{"", "hostname=a", `{"errors":"all of them"}`, `[1]`} {
		if _, err := ParseFirstBoot([]byte(raw)); metal.CodeOf(err) != metal.Invalid {
			t.Errorf("%q: got %v; want an invalid error", raw, err)
		}
	}
}

func FuzzParseFirstBoot(f *testing.F) {
	f.Add(`{"over":true,"errors":["a","b\nc"],"log":"x\ny"}`)
	f.Add(`{"over":true,"errors":["\u0000\ud800"],"log":"\u009b"}`)
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := ParseFirstBoot([]byte(raw))
		if err != nil {
			return
		}
		if len(got.Errors) > mostErrors || len(got.Log) > mostLines || len(got.Errors) == 0 && len(got.Log) > 0 {
			t.Errorf("got %d errors and %d lines; want what a person reads", len(got.Errors), len(got.Log))
		}
		for _, line := range append(got.Errors, got.Log...) {
			if line == "" || strings.ContainsAny(line, "\x00\x1b\r\n\t") || len([]rune(line)) > mostLine+3 {
				t.Errorf("got the line %q; want a line of text", line)
			}
		}
	})
}

// The command is run as cloud-init runs it, but that the files it reads are the test's.
func TestTheWatcherTellsWhatCloudInitLeft(t *testing.T) {
	tool(t, "python3")
	reports := make(chan FirstBoot, 2)
	tries := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if tries++; tries == 1 { // it has to try again
			http.Error(w, "not now", http.StatusServiceUnavailable)
			return
		}
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		report, err := ParseFirstBoot(raw)
		if err != nil {
			t.Errorf("%q: %v", raw, err)
		}
		reports <- report
	}))
	defer server.Close()
	dir := t.TempDir()
	put := func(name, content string) string {
		at := filepath.Join(dir, name)
		if err := os.WriteFile(at, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
		return at
	}
	result := filepath.Join(dir, "result.json")
	put("cloud-init-per", "#!/bin/sh\nshift 2\nexec \"$@\"\n")
	log := put("output.log", "Setting up\nE: broken\n")
	words := watch(server.URL + "/phone-home/op/token" + FirstBootPath)
	for i := range words {
		words[i] = strings.NewReplacer("/run/cloud-init/result.json", result, "/var/log/cloud-init-output.log", log).Replace(words[i])
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, words[0]), words[1:]...)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("start the watcher: got %q, %v; want it in the background", out, err)
	}
	if got := <-reports; got.Over {
		t.Fatalf("the first report: got %+v; want one that says there will be another", got)
	}
	left, err := json.Marshal(map[string]any{"v1": map[string]any{"datasource": "NoCloud", "errors": []string{"scripts_user failed"}}})
	if err != nil {
		t.Fatal(err)
	}
	put("draft", string(left))
	if err := os.Rename(filepath.Join(dir, "draft"), result); err != nil {
		t.Fatal(err)
	}
	want := FirstBoot{Over: true, Errors: []string{"scripts_user failed"}, Log: []string{"Setting up", "E: broken"}}
	if diff := cmp.Diff(want, <-reports); diff != "" {
		t.Errorf("the last report (-want +got):\n%s", diff)
	}
}
