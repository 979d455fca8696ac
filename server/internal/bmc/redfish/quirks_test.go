package redfish

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/bmc"
)

const (
	token     = "deadbeef42"
	resetPath = "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset"
	root      = `{"@odata.id":"/redfish/v1/","SessionService":{"@odata.id":"/redfish/v1/SessionService"},"Systems":{"@odata.id":"/redfish/v1/Systems"},"Links":{"Sessions":{"@odata.id":"/redfish/v1/SessionService/Sessions"}}}`
)

// service is a Redfish service with the habits that a test gives it.
type service struct {
	bmc.Endpoint
	mu    sync.Mutex
	heard []string // "METHOD path body", without reads
}

// system returns a ComputerSystem as JSON with further properties.
func system(properties string) string {
	return `{"@odata.id":"/redfish/v1/Systems/1","@odata.etag":"W/\"1\"","Id":"1","PowerState":"Off","Boot":{"BootSourceOverrideMode":"UEFI"},"Actions":{"#ComputerSystem.Reset":{"target":"` + resetPath + `"}}` + properties + `}`
}

func text(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// inTurn answers with one handler after the other, and with the last for good.
func inTurn(handlers ...http.HandlerFunc) http.HandlerFunc {
	var mu sync.Mutex
	n := 0
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		h := handlers[min(n, len(handlers)-1)]
		n++
		mu.Unlock()
		h(w, r)
	}
}

// serve starts a service; habits replace its handlers, by mux pattern.
func serve(t *testing.T, habits map[string]http.HandlerFunc) *service {
	t.Helper()
	s := &service{}
	handlers := map[string]http.HandlerFunc{
		"GET /redfish/v1/": text(200, root),
		"POST /redfish/v1/SessionService/Sessions": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Auth-Token", token)
			w.Header().Set("Location", "/redfish/v1/SessionService/Sessions/1")
			w.WriteHeader(http.StatusCreated)
		},
		"DELETE /redfish/v1/SessionService/Sessions/1": text(204, ""),
		"GET /redfish/v1/Systems":                      text(200, `{"Members":[{"@odata.id":"/redfish/v1/Systems/1"}]}`),
		"GET /redfish/v1/Systems/1":                    text(200, system("")),
		"PATCH /redfish/v1/Systems/1":                  text(200, "{}"),
		"POST " + resetPath:                            text(204, ""),
	}
	mux := http.NewServeMux()
	for pattern, h := range habits {
		handlers[pattern] = h
	}
	for pattern, h := range handlers {
		mux.HandleFunc(pattern, h)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err == nil && r.Method != http.MethodGet && !strings.Contains(r.URL.Path, "Session") {
			s.mu.Lock()
			s.heard = append(s.heard, fmt.Sprintf("%s %s %s", r.Method, r.URL.Path, body))
			s.mu.Unlock()
		}
		mux.ServeHTTP(w, r)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	sum := sha256.Sum256(server.Certificate().Raw)
	s.Endpoint = bmc.Endpoint{
		Address: server.URL, Username: account.Username, Password: account.Password,
		TLS: metal.BMCTLS{Fingerprint: hex.EncodeToString(sum[:])}, Timeout: 10 * time.Second,
	}
	return s
}

const (
	bootPatch = `PATCH /redfish/v1/Systems/1 {"Boot":{"BootSourceOverrideEnabled":"Once","BootSourceOverrideMode":"UEFI","BootSourceOverrideTarget":"Pxe"}}`
	resetPost = "POST " + resetPath + ` {"ResetType":"%s"}`
)

func TestControllerCopesWithHabits(t *testing.T) {
	on := func(ctx context.Context, c bmc.Controller) error { return c.SetPower(ctx, metal.PowerOn) }
	off := func(ctx context.Context, c bmc.Controller) error { return c.SetPower(ctx, metal.PowerOff) }
	boot := func(ctx context.Context, c bmc.Controller) error {
		return c.BootOnce(ctx, metal.BootNetwork, metal.UEFI)
	}
	power := func(ctx context.Context, c bmc.Controller) error { _, err := c.Power(ctx); return err }
	turnOn, turnOff := fmt.Sprintf(resetPost, "On"), fmt.Sprintf(resetPost, "ForceOff")
	withResets := func(types string) http.HandlerFunc {
		return text(200, strings.Replace(system(""), `"target"`, `"ResetType@Redfish.AllowableValues":[`+types+`],"target"`, 1))
	}
	in := func(state string) http.HandlerFunc {
		return text(200, strings.Replace(system(""), `"PowerState":"Off"`, `"PowerState":`+state, 1))
	}
	reply := func(id, message string) string {
		return `{"error":{"code":"Base.1.8.GeneralError","message":"general","@Message.ExtendedInfo":[{"MessageId":"Base.1.8.` + id + `","Message":"` + message + `"}]}}`
	}
	type habits = map[string]http.HandlerFunc
	for _, c := range []struct {
		name   string
		habits habits
		act    func(context.Context, bmc.Controller) error
		want   error  // a sentinel
		fails  string // part of the error
		heard  []string
	}{
		{"one without allowable values gets On", nil, on, nil, "", []string{turnOn}},
		{"one without On gets ForceOn", habits{"GET /redfish/v1/Systems/1": withResets(`"ForceOn","ForceOff"`)}, on, nil, "", []string{fmt.Sprintf(resetPost, "ForceOn")}},
		{"one without either is unsupported", habits{"GET /redfish/v1/Systems/1": withResets(`"Nmi"`)}, on, bmc.ErrUnsupported, "allows [Nmi] only", nil},
		{"one that is on gets nothing", habits{"GET /redfish/v1/Systems/1": in(`"On"`)}, on, nil, "", nil},
		{"one that comes up gets nothing", habits{"GET /redfish/v1/Systems/1": in(`"PoweringOn"`)}, on, nil, "", nil},
		{"one that goes down gets nothing", habits{"GET /redfish/v1/Systems/1": in(`"PoweringOff"`)}, off, nil, "", nil},
		{"one that is paused is turned off", habits{"GET /redfish/v1/Systems/1": in(`"Paused"`)}, off, nil, "", []string{turnOff}},
		{"one that does not know its power state is an error", habits{"GET /redfish/v1/Systems/1": in(`null`)}, power, nil, `power state ""`, nil},
		{"a busy one is asked again", habits{"POST " + resetPath: inTurn(text(503, ""), text(409, ""), text(204, ""))}, on, nil, "", []string{turnOn, turnOn, turnOn}},
		{"one that stays busy is asked four times", habits{"POST " + resetPath: text(503, reply("ServiceTemporarilyUnavailable", "Try later."))}, on, nil, "503 Service Unavailable: Try later.", []string{turnOn, turnOn, turnOn, turnOn}},
		{"a system that changed in between is read again", habits{"PATCH /redfish/v1/Systems/1": inTurn(text(412, ""), text(200, "{}"))}, boot, nil, "", []string{bootPatch, bootPatch}},
		{"an ETag that does not match itself is left out", habits{"PATCH /redfish/v1/Systems/1": func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("If-Match") != "" {
				w.WriteHeader(412)
			}
		}}, boot, nil, "", []string{bootPatch, bootPatch, bootPatch}},
		{"one without a boot mode is not told any", habits{"GET /redfish/v1/Systems/1": text(200, strings.Replace(system(""), `"BootSourceOverrideMode":"UEFI"`, "", 1))}, boot, nil, "",
			[]string{`PATCH /redfish/v1/Systems/1 {"Boot":{"BootSourceOverrideEnabled":"Once","BootSourceOverrideTarget":"Pxe"}}`}},
		{"one that cannot boot from the network is unsupported", habits{"GET /redfish/v1/Systems/1": text(200, strings.Replace(system(""), `"Boot":{`, `"Boot":{"BootSourceOverrideTarget@Redfish.AllowableValues":["None","Hdd"],`, 1))}, boot, bmc.ErrUnsupported, "not from Pxe", nil},
		{"one whose boot override is read-only is unsupported", habits{"PATCH /redfish/v1/Systems/1": text(400, reply("PropertyNotWritable", "Boot is read-only."))}, boot, bmc.ErrUnsupported, "Boot is read-only.", []string{bootPatch}},
		{"one that does not know the action is unsupported", habits{"POST " + resetPath: text(400, reply("ActionNotSupported", "No such action."))}, on, bmc.ErrUnsupported, "No such action.", []string{turnOn}},
		{"an account without the right is refused", habits{"POST " + resetPath: text(403, reply("InsufficientPrivilege", "Not yours."))}, on, bmc.ErrRefused, "Not yours.", []string{turnOn}},
		{"a page of HTML is shown in one line", habits{"POST " + resetPath: text(500, "<html>\n\n  oops\n</html>")}, on, nil, "500 Internal Server Error: <html> oops </html>", []string{turnOn}},
		{"secrets that come back are not shown", habits{"POST " + resetPath: text(500, "secret123 and "+token)}, on, nil, "[secret] and [secret]", []string{turnOn}},
		{"an answer that is no JSON is an error", habits{"GET /redfish/v1/Systems/1": text(200, "<html>")}, power, nil, "invalid character", nil},
		{"a link to another host is not followed", habits{"GET /redfish/v1/Systems/1": text(200, strings.Replace(system(""), resetPath, "@bmc.example.net/", 1))}, on, nil, `"https://bmc.example.net": refused`, nil},
		{"a redirection to another host is not followed", habits{"GET /redfish/v1/Systems/1": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://bmc.example.net/", http.StatusTemporaryRedirect)
		}}, power, nil, `"https://bmc.example.net": refused`, nil},
		{"a redirection to plain http is not followed", habits{"GET /redfish/v1/Systems/1": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+r.Host+"/", http.StatusTemporaryRedirect)
		}}, power, nil, `"http://127.0.0.1:`, nil},
		{"an answer without end is cut off", habits{"GET /redfish/v1/Systems/1": func(w http.ResponseWriter, _ *http.Request) {
			blank := make([]byte, 1<<20)
			for i := range blank {
				blank[i] = ' '
			}
			for range 64 {
				if _, err := w.Write(blank); err != nil {
					return
				}
			}
		}}, power, nil, "EOF", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, c.habits)
			controller := dial(t, s.Endpoint)
			defer controller.Close()
			err := c.act(t.Context(), controller)
			if (err != nil) != (c.fails != "") || err != nil && !strings.Contains(err.Error(), c.fails) {
				t.Errorf("got error %v; want %q", err, c.fails)
			}
			for _, sentinel := range []error{bmc.ErrRefused, bmc.ErrUnsupported} {
				if got := errors.Is(err, sentinel); got != errors.Is(c.want, sentinel) {
					t.Errorf("errors.Is(%v, %q): got %t", err, sentinel, got)
				}
			}
			if err != nil && (strings.Contains(err.Error(), token) || strings.Contains(err.Error(), "secret123")) {
				t.Errorf("the error shows a secret: %v", err)
			}
			if diff := cmp.Diff(c.heard, s.heard); diff != "" {
				t.Errorf("what the service heard (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDialFindsTheSystem(t *testing.T) {
	const both = `{"Members":[{"@odata.id":"/redfish/v1/Systems/1"},{"@odata.id":"/redfish/v1/Systems/2"}]}`
	on := text(200, strings.Replace(system(""), `"Off"`, `"On"`, 1))
	for _, c := range []struct {
		name    string
		members string
		path    string
		want    metal.Power // "" when Dial fails
		code    metal.Code
	}{
		{"the only one", `{"Members":[{"@odata.id":"/redfish/v1/Systems/1"}]}`, "", metal.PowerOff, ""},
		{"the one that is named", both, "/redfish/v1/Systems/2", metal.PowerOn, ""},
		{"not one of several", both, "", "", metal.Invalid},
		{"not one of none", `{"Members":[]}`, "", "", metal.Internal},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, map[string]http.HandlerFunc{"GET /redfish/v1/Systems": text(200, c.members), "GET /redfish/v1/Systems/2": on})
			s.Address += c.path
			controller, err := Dial(t.Context(), s.Endpoint)
			if metal.CodeOf(err) != c.code {
				t.Fatalf("got error %v; want code %q", err, c.code)
			}
			if err == nil {
				expectPower(t, controller, c.want)
				_ = controller.Close()
			}
		})
	}
}

func TestControllerLogsInAgainWhenTheSessionEnded(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{"GET /redfish/v1/Systems/1": inTurn(text(401, ""), text(200, system("")))})
	c := dial(t, s.Endpoint)
	defer c.Close()
	expectPower(t, c, metal.PowerOff)
}

func TestCloseAcceptsThatTheSessionHasEnded(t *testing.T) {
	for status, fails := range map[int]bool{204: false, 404: false, 401: false, 500: true} {
		s := serve(t, map[string]http.HandlerFunc{"DELETE /redfish/v1/SessionService/Sessions/1": text(status, "")})
		if err := dial(t, s.Endpoint).Close(); (err != nil) != fails {
			t.Errorf("Close with status %d: got %v; want an error: %t", status, err, fails)
		}
	}
}

func TestControllerGivesUpWhenTheNewSessionIsRefusedToo(t *testing.T) {
	s := serve(t, map[string]http.HandlerFunc{"GET /redfish/v1/Systems/1": text(401, "")})
	c := dial(t, s.Endpoint)
	defer c.Close()
	if _, err := c.Power(t.Context()); !errors.Is(err, bmc.ErrRefused) {
		t.Errorf("got %v; want %v", err, bmc.ErrRefused)
	}
}

func TestServiceWithoutSessionsGetsBasicAuthentication(t *testing.T) {
	guarded := func(w http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); !ok || user != "admin" || password != "secret123" {
			w.WriteHeader(401)
			return
		}
		_, _ = io.WriteString(w, system(""))
	}
	const sessions = "POST /redfish/v1/SessionService/Sessions"
	for name, habits := range map[string]map[string]http.HandlerFunc{
		"none to be found":     {sessions: text(404, "")},
		"none in the root":     {"GET /redfish/v1/": text(200, `{"@odata.id":"/redfish/v1/"}`)},
		"one without a token":  {sessions: text(201, "")},
		"a method not allowed": {sessions: text(405, "")},
	} {
		t.Run(name, func(t *testing.T) {
			habits["GET /redfish/v1/Systems/1"] = guarded
			c := dial(t, serve(t, habits).Endpoint)
			expectPower(t, c, metal.PowerOff)
			if err := c.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
}
