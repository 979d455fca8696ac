package servertest_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/servertest"
)

// fileOf puts a file where metald may take it from.
func fileOf(t *testing.T, s *servertest.Server, name, content string) *metal.BootFile {
	t.Helper()
	path := filepath.Join(s.Images, name)
	must(t, os.WriteFile(path, []byte(content), 0o600))
	sum := sha256.Sum256([]byte(content))
	return &metal.BootFile{Source: path, SHA256: hex.EncodeToString(sum[:])}
}

// linuxProfile has one answer file, of which the secret and the variable are.
func linuxProfile(t *testing.T, s *servertest.Server) metal.BootProfileSpec {
	return metal.BootProfileSpec{
		Kernel: fileOf(t, s, "linux", "the kernel"), Initrds: []metal.BootFile{*fileOf(t, s, "initrd.gz", "the initrd")},
		CommandLine: "auto url={{.Files}}preseed.cfg",
		Answers:     []metal.AnswerFile{{Name: "preseed.cfg", Content: "{{.Name}} {{.Var.v}} {{.Secret.hash}} {{.Done}}"}},
		Variables:   map[string]string{"v": "one"},
	}
}

func putProfile(t *testing.T, s *servertest.Server, name string, spec metal.BootProfileSpec, secrets *map[string]string) metal.BootProfile {
	t.Helper()
	p, err := s.Client.PutBootProfile(t.Context(), api.PutBootProfileRequest{
		ByName: api.ByName{Name: name}, Body: api.BootProfileBody{BootProfileSpec: spec, Secrets: secrets},
	})
	must(t, err)
	return p
}

// ask sends a request as a booting machine does, and returns status and body.
func ask(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	must(t, err)
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp.StatusCode, string(text)
}

func bootScript(t *testing.T, s *servertest.Server, mac string) string {
	t.Helper()
	status, text := ask(t, "GET", s.Boot+"/boot/script/"+mac+"?platform=efi", "")
	if status != http.StatusOK {
		t.Fatalf("boot script: got %d %s; want it", status, text)
	}
	return text
}

// base is where the script has the installation.
func base(t *testing.T, script string) string {
	t.Helper()
	found := regexp.MustCompile(`kernel (http://\S+)/boot/kernel initrd=initrd0 auto url=(\S+)/files/preseed.cfg && initrd --name initrd0 (\S+)/boot/0 && boot`).FindStringSubmatch(script)
	if found == nil || found[1] != found[2] || found[1] != found[3] {
		t.Fatalf("script: got\n%s\nwant kernel, initrd and answers of one installation", script)
	}
	return found[1]
}

func installation(t *testing.T, s *servertest.Server, mac string) metal.Installation {
	t.Helper()
	l, err := s.Client.ListInstallations(t.Context(), api.ListByNamesRequest{Names: []string{mac}})
	must(t, err)
	if len(l.Items) != 1 {
		t.Fatalf("installations of %s: got %d; want 1", mac, len(l.Items))
	}
	return l.Items[0]
}

func wantAnswer(t *testing.T, at, want string) {
	t.Helper()
	if status, text := ask(t, "GET", at, ""); status != http.StatusOK || text != want {
		t.Errorf("GET %s: got %d %q; want %q", at, status, text, want)
	}
}

func wantStatus(t *testing.T, method, at string, want int) {
	t.Helper()
	if status, text := ask(t, method, at, ""); status != want {
		t.Errorf("%s %s: got %d %s; want %d", method, at, status, text, want)
	}
}

func TestAnUnknownMachineInstallsOnceByTheVersionItBeganWith(t *testing.T) {
	s := servertest.Start(t)
	const mac, name = "52:54:00:aa:00:01", "host-525400aa0001"
	spec := linuxProfile(t, s)
	spec.Unknown = true
	p := putProfile(t, s, "debian", spec, &map[string]string{"hash": "tiger"})
	if p.Version != 1 || !slices.Equal(p.Secrets, []string{"hash"}) {
		t.Fatalf("made: got %+v; want version 1 and the secret's name", p)
	}
	at := base(t, bootScript(t, s, mac))
	spec.Variables = map[string]string{"v": "two"}
	if p = putProfile(t, s, "debian", spec, nil); p.Version != 2 {
		t.Errorf("changed: got version %d; want 2", p.Version)
	}
	if p = putProfile(t, s, "debian", spec, nil); p.Version != 2 || p.Revision != 2 {
		t.Errorf("the same again: got version %d; want 2", p.Version)
	}
	old, err := s.Client.GetBootProfile(t.Context(), api.GetBootProfileRequest{ByName: api.ByName{Name: "debian"}, Version: 1})
	if err != nil || old.Spec.Variables["v"] != "one" {
		t.Errorf("version 1: got %+v, %v; want it as it was", old, err)
	}
	if again := base(t, bootScript(t, s, mac)); again != at {
		t.Errorf("the script again: got another installation %s; want %s", again, at)
	}
	wantAnswer(t, at+"/boot/kernel", "the kernel")
	wantAnswer(t, at+"/boot/0", "the initrd")
	wantAnswer(t, at+"/files/preseed.cfg", name+" one tiger "+at+"/done")
	for _, bad := range []string{"/boot/1", "/boot/iso", "/boot/x", "/files/none"} {
		wantStatus(t, "GET", at+bad, http.StatusNotFound)
	}
	wantStatus(t, "GET", at[:strings.LastIndex(at, "/")]+"/AAAA/files/preseed.cfg", http.StatusNotFound)
	wantStatus(t, "HEAD", at+"/done", http.StatusOK) // looks, and reports nothing
	wantStatus(t, "GET", at+"/progress?message=half%0away", http.StatusNoContent)
	if status, text := ask(t, "POST", at+"/progress", strings.Repeat("x", 1<<20)); status != http.StatusNoContent {
		t.Errorf("a long report: got %d %s; want it taken, cut short", status, text)
	}
	i := installation(t, s, mac)
	if i.State != metal.Installing || i.Boots != 2 || i.Version != 1 || len(i.Log) != 2 || i.Log[0] != "half way" || len(i.Log[1]) != metal.MaxInstallLine {
		t.Errorf("under way: got %+v; want 2 boots of version 1 and both reports", i)
	}
	if _, err := s.Client.GetBootProfile(t.Context(), api.GetBootProfileRequest{ByName: api.ByName{Name: "debian"}, Version: 3}); metal.CodeOf(err) != metal.NotFound {
		t.Errorf("a version that never was: got %v; want not found", err)
	}
	if err := s.Client.DeleteBootProfile(t.Context(), api.DeleteByNameRequest{ByName: api.ByName{Name: "debian"}}); metal.CodeOf(err) != metal.Conflict {
		t.Errorf("delete the profile now: got %v; want a conflict", err)
	}

	s.Kill() // starts again
	at = s.Boot + at[strings.Index(at, "/boot/install"):]
	wantStatus(t, "POST", at+"/done", http.StatusNoContent)
	wantStatus(t, "POST", at+"/done", http.StatusNoContent) // a repeat
	wantStatus(t, "GET", at+"/files/preseed.cfg", http.StatusNotFound)
	for range 2 {
		if got := bootScript(t, s, mac); !strings.Contains(got, "booting its own disk") || strings.Contains(got, "kernel") {
			t.Errorf("after the end: got\n%s\nwant its own disk", got)
		}
	}
	must(t, s.Client.DeleteInstallation(t.Context(), api.ByMAC{MAC: mac}))
	wantAnswer(t, base(t, bootScript(t, s, mac))+"/files/preseed.cfg", name+" two tiger "+base(t, bootScript(t, s, mac))+"/done")
}

func TestADeclaredMachineInstallsByItsTagUnlessTheLifeCycleHasIt(t *testing.T) {
	s := servertest.Start(t)
	box := s.NewMachine(t, 1)
	m := s.Commission(t, s.Declare(t, "n1", box).ID)
	spec := linuxProfile(t, s)
	spec.Tags = []string{"lab"}
	putProfile(t, s, "lab", spec, &map[string]string{"hash": "x"})
	if got := bootScript(t, s, string(box.MAC)); !strings.Contains(got, "own disk") {
		t.Errorf("without the tag: got\n%s\nwant its own disk", got)
	}
	tagged := m.Spec
	tagged.Tags = []string{"lab"}
	_, err := s.Client.UpdateMachine(t.Context(), api.UpdateMachineRequest{ByID: byID(m.ID), Body: api.MachineBody{MachineSpec: tagged}})
	must(t, err)
	wantAnswer(t, base(t, bootScript(t, s, string(box.MAC)))+"/files/preseed.cfg", "n1 one x "+base(t, bootScript(t, s, string(box.MAC)))+"/done")
	s.Allocate(t, "mine", metal.AllocationSpec{})
	if got := bootScript(t, s, string(box.MAC)); !strings.Contains(got, "own disk") {
		t.Errorf("allocated: got\n%s\nwant its own disk", got)
	}
}

func TestAnInstallerThatNeverCallsHomeIsGivenUp(t *testing.T) {
	s := servertest.Start(t)
	const mac = "52:54:00:aa:00:02"
	spec := linuxProfile(t, s)
	spec.Unknown = true
	putProfile(t, s, "debian", spec, &map[string]string{"hash": "x"})
	for range metal.MaxInstallBoots {
		base(t, bootScript(t, s, mac))
	}
	if got := bootScript(t, s, mac); !strings.Contains(got, "own disk") {
		t.Errorf("the boot after: got\n%s\nwant its own disk", got)
	}
	if i := installation(t, s, mac); i.State != metal.InstallFailed {
		t.Errorf("got %+v; want it failed", i)
	}
}

func TestAProfileThatCannotBeIsRefusedAndChangesNothing(t *testing.T) {
	s := servertest.Start(t)
	good := linuxProfile(t, s)
	good.Unknown, good.Tags = true, []string{"a"}
	putProfile(t, s, "first", good, &map[string]string{"hash": "x"})
	for name, c := range map[string]struct {
		change func(*metal.BootProfileSpec)
		code   metal.Code
		want   string
	}{
		"a fault in a template":    {func(p *metal.BootProfileSpec) { p.Answers[0].Content = "\n{{.Var.none}}" }, metal.Invalid, "preseed.cfg:2"},
		"another for unknown ones": {func(p *metal.BootProfileSpec) { p.Tags = nil }, metal.Conflict, "boot profile first is for unknown machines already"},
		"another for the tag":      {func(p *metal.BootProfileSpec) { p.Unknown = false }, metal.Conflict, `the tag "a"`},
		"a file that is another one": {func(p *metal.BootProfileSpec) {
			p.Kernel.SHA256 = strings.Repeat("0", 64)
			p.Tags, p.Unknown = nil, false
		}, metal.Invalid, "has the sha256"},
		"a key that nobody knows": {func(p *metal.BootProfileSpec) { p.SSHKeys = []string{"none"} }, metal.Invalid, "neither the name"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := linuxProfile(t, s)
			spec.Unknown, spec.Tags = true, []string{"a"}
			c.change(&spec)
			body := api.BootProfileBody{BootProfileSpec: spec, Secrets: &map[string]string{"hash": "x"}}
			_, err := s.Client.PutBootProfile(t.Context(), api.PutBootProfileRequest{ByName: api.ByName{Name: "second"}, Body: body})
			if metal.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v; want %s with %q", err, c.code, c.want)
			}
			if _, err := s.Client.GetBootProfile(t.Context(), api.GetBootProfileRequest{ByName: api.ByName{Name: "second"}}); metal.CodeOf(err) != metal.NotFound {
				t.Errorf("the profile afterwards: got %v; want not found", err)
			}
		})
	}
	must(t, s.Client.CheckBootProfile(t.Context(), api.CheckBootProfileRequest{ByName: api.ByName{Name: "first"}, Body: api.BootProfileBody{BootProfileSpec: good}}))
	must(t, s.Client.DeleteBootProfile(t.Context(), api.DeleteByNameRequest{ByName: api.ByName{Name: "first"}}))
}
