package boot

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// known is what a test says of machines; it notes what the handler asks.
type known struct {
	facts  map[metal.MAC]Facts
	err    error
	tokens int
	loops  []int
}

func (k *known) BootFacts(_ context.Context, mac metal.MAC) (Facts, error) {
	return k.facts[mac], k.err
}
func (k *known) BootToken(metal.MAC) string { k.tokens++; return "TOKEN" }
func (k *known) Looping(_ context.Context, _ metal.MAC, times int) error {
	k.loops = append(k.loops, times)
	return nil
}

// temporary has every file, with its name for content.
func temporary(t *testing.T) Files {
	t.Helper()
	f := Files{Loaders: []string{t.TempDir(), t.TempDir()}, Env: t.TempDir()}
	put := func(path, content string) {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put(filepath.Join(f.Loaders[0], fileBIOS), fileBIOS)
	put(filepath.Join(f.Loaders[0], "secret"), "secret")
	put(filepath.Join(f.Loaders[0], debianShim), fileShim)
	put(filepath.Join(f.Loaders[1], debianGRUB), fileGRUB)
	put(filepath.Join(f.Loaders[1], fileUEFI), fileUEFI) // found in the second directory
	put(filepath.Join(f.Loaders[1], fileLocal), fileLocal)
	put(filepath.Join(f.Env, "amd64", fileKernel), fileKernel)
	put(filepath.Join(f.Env, "amd64", fileInitramfs), fileInitramfs)
	return f
}

func newTestHandler(k *known, f Files) *Handler {
	return NewHandler(k, nil, f, func(*http.Request) string { return testBase }, slog.New(slog.DiscardHandler))
}

func ask(h http.Handler, method, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, target, nil))
	return w
}

// filled does what iPXE does to a URL.
func filled(url string, mode metal.BootMode) string {
	platform := map[metal.BootMode]string{metal.BIOS: "pcbios", metal.UEFI: "efi"}[mode]
	return strings.TrimPrefix(strings.ReplaceAll(url, "${platform}", platform), testBase)
}

// TestWhatDHCPNamesCanBeFetched is the contract between DHCP, TFTP and HTTP: whatever a firmware is named is there,
// and so is everything that the script it comes to names.
func TestWhatDHCPNamesCanBeFetched(t *testing.T) {
	real := Files{Loaders: []string{"/usr/lib/ipxe"}}
	_, err := os.Stat("/usr/lib/ipxe")
	for name, files := range map[string]Files{"in temporary directories": temporary(t), "in Debian's package": real} {
		t.Run(name, func(t *testing.T) {
			debian := files.Env == ""
			if debian && err != nil {
				if os.Getenv("CI") != "" {
					t.Fatal("this test needs the package ipxe")
				}
				t.Skip("the package ipxe is not installed")
			}
			h := newTestHandler(&known{facts: map[metal.MAC]Facts{testMAC: {Name: "n", State: metal.Deployed}}}, files)
			for _, arch := range []uint16{ArchBIOS, ArchUEFI64, ArchUEFI64Alt, ArchUEFI64HTTP} {
				c := Client{MAC: testMAC, Arch: arch, PXE: arch != ArchUEFI64HTTP, HTTP: arch == ArchUEFI64HTTP}
				switch named := NameFor(c, testBase, false); {
				case named.TFTP:
					file, err := files.OpenTFTP(named.File)
					if err != nil {
						t.Errorf("arch %d: %s by TFTP: %v", arch, named.File, err)
						continue
					}
					file.Close()
				case named.HTTP:
					for _, method := range []string{"HEAD", "GET"} {
						if w := ask(h, method, filled(named.File, c.Mode())); w.Code != 200 || w.Header().Get("Content-Length") == "" {
							t.Errorf("arch %d: %s %s: got %d, length %q; want 200 with the length", arch, method, named.File, w.Code, w.Header().Get("Content-Length"))
						}
					}
				default:
					t.Errorf("arch %d: got %+v; want a file", arch, named)
				}
				c.IPXE = true
				for _, mac := range []metal.MAC{testMAC, "52:54:00:00:00:02"} { // one to boot its disk, one unknown
					c.MAC = mac
					w := ask(h, "GET", filled(NameFor(c, testBase, false).File, c.Mode()))
					if w.Code != 200 || !strings.HasPrefix(w.Body.String(), "#!ipxe\n") {
						t.Errorf("arch %d: the script: got %d, %q", arch, w.Code, w.Body)
					}
					if debian {
						continue // its package has neither our RAM environment nor localboot.efi
					}
					for _, word := range strings.Fields(w.Body.String()) {
						if !strings.HasPrefix(word, testBase) {
							continue
						}
						if w := ask(h, "GET", filled(word, c.Mode())); w.Code != 200 {
							t.Errorf("arch %d: the script names %s: got %d; want 200", arch, word, w.Code)
						}
					}
				}
			}
		})
	}
}

func TestOnlyBootFilesAreServed(t *testing.T) {
	files := temporary(t)
	h := newTestHandler(&known{}, files)
	for target, want := range map[string]int{
		"/boot/files/" + fileBIOS:              200,
		"/boot/files/" + fileLocal:             200,
		"/boot/env/amd64/kernel":               200,
		"/boot/files/secret":                   404,
		"/boot/files/..%2fsecret":              404,
		"/boot/env/amd64/..%2f..%2fsecret":     404,
		"/boot/env/..%2famd64/kernel":          404,
		"/boot/env/arm64/kernel":               404, // not built
		"/boot/env/riscv64/kernel":             404,
		"/boot/env/amd64/secret":               404,
		"/boot/":                               404,
		"/boot/script/":                        404,
		"/boot/script/01:00:5e:00:00:01":       400,
		"/boot/script/nonsense":                400,
		"/boot/script/52-54-00-00-00-01":       200,
		"/boot/script/5254.0000.0001?platform": 200,
	} {
		if w := ask(h, "GET", target); w.Code != want {
			t.Errorf("%s: got %d (%s); want %d", target, w.Code, strings.TrimSpace(w.Body.String()), want)
		}
	}
	if w := ask(h, "POST", "/boot/files/"+fileBIOS); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: got %d; want 405", w.Code)
	}
	for _, name := range []string{"secret", fileLocal, "../" + fileBIOS, ""} {
		if _, err := files.OpenTFTP(name); metal.CodeOf(err) != metal.NotFound {
			t.Errorf("TFTP of %q: got %v; want not found", name, err)
		}
	}
	w := ask(h, "GET", "/boot/env/amd64/kernel")
	if body, _ := io.ReadAll(w.Body); string(body) != fileKernel {
		t.Errorf("got %q; want the kernel", body)
	}
}

func TestMissingFilesAreListed(t *testing.T) {
	if faults := temporary(t).Missing(true); len(faults) != 0 {
		t.Errorf("got %v; want nothing", faults)
	}
	faults := Files{Loaders: []string{t.TempDir()}, Env: t.TempDir()}.Missing(false)
	if len(faults) != 5 {
		t.Fatalf("got %v; want five", faults)
	}
	for _, fault := range faults {
		if !strings.Contains(fault.Error(), "run metald bootenv build") {
			t.Errorf("got %q; want it to say what to do", fault)
		}
	}
}

func TestTokensAreMadeOnlyForThoseWhoBootTheRAMEnvironment(t *testing.T) {
	deployed := map[metal.MAC]Facts{testMAC: {Name: "n", State: metal.Deployed}}
	for name, c := range map[string]struct {
		method string
		facts  map[metal.MAC]Facts
		tokens int
	}{
		"a stranger enlists":              {"GET", nil, 1},
		"firmware looks before it loads":  {"HEAD", nil, 0},
		"a machine boots its own disk":    {"GET", deployed, 0},
		"a look at a machine of the disk": {"HEAD", deployed, 0},
	} {
		k := &known{facts: c.facts}
		w := ask(newTestHandler(k, Files{}), c.method, "/boot/script/"+string(testMAC))
		if k.tokens != c.tokens || strings.Contains(w.Body.String(), "TOKEN") != (c.tokens > 0) {
			t.Errorf("%s: got %d tokens; want %d\n%s", name, k.tokens, c.tokens, w.Body)
		}
		if w.Code != 200 || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: got %d, %v; want 200 that nobody keeps", name, w.Code, w.Header())
		}
	}
}

func TestWithoutFactsNothingIsBooted(t *testing.T) {
	w := ask(newTestHandler(&known{err: errors.New("disk full at /secret/path")}, Files{}), "GET", "/boot/script/"+string(testMAC))
	if w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), "secret") || strings.Contains(w.Body.String(), "#!ipxe") {
		t.Errorf("got %d, %q; want 503 without a script and without the cause", w.Code, w.Body)
	}
}

func TestALoopOfAMachineThatShouldBeUpIsTold(t *testing.T) {
	for name, c := range map[string]struct {
		method string
		facts  Facts
		told   int
	}{
		"a deployed machine":        {"GET", Facts{Name: "n", State: metal.Deployed}, 1},
		"looks do not count":        {"HEAD", Facts{Name: "n", State: metal.Deployed}, 0},
		"a machine that works":      {"GET", Facts{Name: "n", State: metal.Deploying, WantsAgent: true}, 0},
		"a stranger is not watched": {"GET", Facts{}, 0},
	} {
		k := &known{facts: map[metal.MAC]Facts{testMAC: c.facts}}
		h := newTestHandler(k, Files{})
		for range 9 {
			ask(h, c.method, "/boot/script/"+string(testMAC))
		}
		if len(k.loops) != c.told {
			t.Errorf("%s: got told %v; want %d times", name, k.loops, c.told)
		}
	}
}
