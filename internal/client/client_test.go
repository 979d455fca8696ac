package client_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const token = "t0p-secret-token"

func dial(t *testing.T, cfg client.Config) *client.Client {
	t.Helper()
	if cfg.Token.Empty() {
		cfg.Token = metal.NewSecret(token)
	}
	c, err := client.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// answer serves the same answer to everybody and counts them.
func answer(t *testing.T, status int, body string) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	var calls atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	return server, &calls
}

func TestARequestIsBuiltFromItsTags(t *testing.T) {
	var got *http.Request
	var body string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		got, body = r, string(text)
		io.WriteString(w, "{}")
	}))
	t.Cleanup(server.Close)
	c := dial(t, client.Config{URL: server.URL + "/behind/a/proxy/", UserAgent: "tester/1"})
	cases := []struct {
		name, target, body, header, value string
		call                              func() error
	}{
		{"a path parameter is escaped", "/v1/allocations/a%2Fb%3F", "", "User-Agent", "tester/1", func() error {
			_, err := c.GetAllocation(t.Context(), api.ByID{ID: "a/b?"})
			return err
		}},
		{"zero values are left out, lists are joined", "/v1/machines?ids=m-1%2Cm-2&limit=7&name=n", "", "Authorization", "Bearer " + token, func() error {
			_, err := c.ListMachines(t.Context(), api.ListMachinesRequest{Page: api.Page{Limit: 7}, IDs: []string{"m-1", "m-2"}, Name: "n"})
			return err
		}},
		{"headers of embedded structs are set", "/v1/pools/p", `{"description":"d"}`, "If-Match", `"3"`, func() error {
			_, err := c.PutPool(t.Context(), api.PutPoolRequest{ByName: api.ByName{Name: "p"}, Precondition: api.Precondition{IfMatch: `"3"`}, Body: api.PoolBody{Description: "d"}})
			return err
		}},
		{"a command has its key and no body", "/v1/machines/m/commission", "", "Idempotency-Key", "k", func() error {
			_, err := c.CommissionMachine(t.Context(), api.CommandRequest{ByID: api.ByID{ID: "m"}, Key: "k"})
			return err
		}},
		{"a body and a query go together", "/v1/allocation-previews?name=web", `{"pool":"p"}`, "Content-Type", "application/json", func() error {
			_, err := c.PreviewAllocation(t.Context(), api.PreviewAllocationRequest{Name: "web", Body: metal.AllocationSpec{Pool: "p"}})
			return err
		}},
		{"no parameters at all", "/v1/status", "", "Accept", "application/json", func() error {
			_, err := c.GetStatus(t.Context())
			return err
		}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			if err := tc.call(); err != nil {
				t.Fatal(err)
			}
			if want := "/behind/a/proxy" + tc.target; got.RequestURI != want {
				t.Errorf("target: got %s; want %s", got.RequestURI, want)
			}
			if body != tc.body || got.Header.Get(tc.header) != tc.value {
				t.Errorf("got body %q, %s %q; want %q, %q", body, tc.header, got.Header.Get(tc.header), tc.body, tc.value)
			}
		})
	}
}

func TestAnIDThatWouldBeAnotherPathIsRefused(t *testing.T) {
	server, calls := answer(t, 200, "{}")
	c := dial(t, client.Config{URL: server.URL})
	for _, id := range []string{"", ".", ".."} {
		if _, err := c.GetAllocation(t.Context(), api.ByID{ID: id}); metal.CodeOf(err) != metal.Invalid {
			t.Errorf("%q: got %v; want an Invalid error", id, err)
		}
	}
	if calls.Load() != 0 {
		t.Errorf("got %d calls; want none", calls.Load())
	}
}

func TestOnlySafeCallsAreRepeated(t *testing.T) {
	server, calls := answer(t, http.StatusServiceUnavailable, "down for a moment")
	c := dial(t, client.Config{URL: server.URL, Patience: 300 * time.Millisecond})
	cases := []struct {
		name   string
		repeat bool
		call   func() error
	}{
		{"GET", true, func() error { _, err := c.GetStatus(t.Context()); return err }},
		{"PUT", true, func() error {
			_, err := c.PutPool(t.Context(), api.PutPoolRequest{ByName: api.ByName{Name: "p"}})
			return err
		}},
		{"DELETE", true, func() error {
			return c.DeletePool(t.Context(), api.DeleteByNameRequest{ByName: api.ByName{Name: "p"}})
		}},
		{"POST", false, func() error {
			_, err := c.CommissionMachine(t.Context(), api.CommandRequest{ByID: api.ByID{ID: "m"}})
			return err
		}},
		{"POST with a key", true, func() error {
			_, err := c.CommissionMachine(t.Context(), api.CommandRequest{ByID: api.ByID{ID: "m"}, Key: "once"})
			return err
		}},
		{"POST that finds what the first one made", true, func() error {
			_, err := c.CreateDeployment(t.Context(), api.CreateDeploymentRequest{})
			return err
		}},
		{"POST that only asks", true, func() error {
			_, err := c.PreviewAllocation(t.Context(), api.PreviewAllocationRequest{})
			return err
		}},
		{"a stream", false, func() error {
			_, err := c.UploadImage(t.Context(), api.UploadImageRequest{ByName: api.ByName{Name: "i"}, Body: strings.NewReader("x")})
			return err
		}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			calls.Store(0)
			err := tc.call()
			if metal.CodeOf(err) != metal.Internal || !strings.Contains(err.Error(), "503") {
				t.Errorf("got %v; want an Internal error with the status", err)
			}
			if got := calls.Load() > 1; got != tc.repeat {
				t.Errorf("got %d calls; want repeats: %v", calls.Load(), tc.repeat)
			}
		})
	}
}

func TestAProblemIsNotRepeated(t *testing.T) {
	problem, err := json.Marshal(api.Problem{Code: metal.Exhausted, Message: "no machine is free", Detail: "3 are broken", Operation: "o-1"})
	if err != nil {
		t.Fatal(err)
	}
	server, calls := answer(t, http.StatusInsufficientStorage, string(problem))
	_, err = dial(t, client.Config{URL: server.URL}).PutAllocation(t.Context(), api.PutAllocationRequest{ByName: api.ByName{Name: "a"}})
	var e *metal.Error
	if !errors.As(err, &e) || e.Code != metal.Exhausted || e.Message != "no machine is free" || e.Detail != "3 are broken" || e.Operation != "o-1" {
		t.Errorf("got %#v; want what the server said", err)
	}
	if calls.Load() != 1 {
		t.Errorf("got %d calls; want 1", calls.Load())
	}
}

func TestTransportErrorsSayWhatToDoAndTellNoToken(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	plain, _ := answer(t, 200, "<html>a router's login page</html>")
	redirects, _ := answer(t, 302, "")
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	cases := []struct{ name, url, want string }{
		{"nobody listens", "http://" + closed.Addr().String(), "check that metald runs"},
		{"another program answers", plain.URL, "something else than a Metalform server"},
		{"a redirect is not followed", redirects.URL, "302"},
		{"an unknown certificate authority", secure.URL, "METAL_CA_FILE"},
		{"https where http is spoken", strings.Replace(plain.URL, "http", "https", 1), "http or https"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			_, err := dial(t, client.Config{URL: tc.url, Patience: time.Millisecond}).GetStatus(t.Context())
			var e *metal.Error
			if !errors.As(err, &e) || e.Code != metal.Internal || !strings.Contains(e.Message, tc.want) {
				t.Fatalf("got %v; want an Internal error with %q", err, tc.want)
			}
			if host := strings.Split(tc.url, "//")[1]; !strings.Contains(e.Message, host) {
				t.Errorf("the message does not name %s: %s", host, e.Message)
			}
			if strings.Contains(e.Error()+e.Detail, token) {
				t.Errorf("the error tells the token: %v", e)
			}
		})
	}
}

func TestAGivenAuthorityIsBelieved(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"token":"alice"}`) }))
	t.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	for name, cfg := range map[string]client.Config{"by authority": {URL: server.URL, CA: ca}, "insecure": {URL: server.URL, Insecure: true}} {
		status, err := dial(t, cfg).GetStatus(t.Context())
		if err != nil || status.Token != "alice" {
			t.Errorf("%s: got %+v, %v; want alice", name, status, err)
		}
	}
}

func TestARestartOfTheServerIsWaitedOut(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	c := dial(t, client.Config{URL: "http://" + address})
	type result struct {
		machine metal.Machine
		err     error
	}
	done := make(chan result)
	go func() {
		// Even a POST may be sent again here: no server was there to take it.
		m, err := c.CreateMachine(t.Context(), api.CreateMachineRequest{Body: api.MachineBody{}})
		done <- result{m, err}
	}()
	if _, err := net.Dial("tcp", address); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Skipf("the port was taken in between: %v", err)
	}
	listener, err = net.Listen("tcp", address)
	if err != nil {
		t.Skipf("the port was taken in between: %v", err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"id":"m-1"}`) })}}
	server.Start()
	t.Cleanup(server.Close)
	if got := <-done; got.err != nil || got.machine.ID != "m-1" {
		t.Errorf("got %+v, %v; want m-1", got.machine, got.err)
	}
}

func TestTheEndOfTheContextEndsTheCall(t *testing.T) {
	server, _ := answer(t, 503, "")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := dial(t, client.Config{URL: server.URL}).GetStatus(ctx); err == nil {
		t.Error("got no error; want one when the context ends")
	}
}

func TestConfigurationsThatCannotWorkAreRefused(t *testing.T) {
	good := metal.NewSecret(token)
	for name, cfg := range map[string]client.Config{
		"no URL":                {Token: good},
		"no token":              {URL: "https://metal.example.net"},
		"another scheme":        {URL: "ftp://metal.example.net", Token: good},
		"no scheme":             {URL: "metal.example.net:7443", Token: good},
		"a password in the URL": {URL: "https://u:hunter2@metal.example.net", Token: good},
		"a query":               {URL: "https://metal.example.net?x=1", Token: good},
		"a CA that is none":     {URL: "https://metal.example.net", Token: good, CA: []byte("hello")},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := client.New(cfg)
			if metal.CodeOf(err) != metal.Invalid {
				t.Fatalf("got %v; want an Invalid error", err)
			}
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), token) {
				t.Errorf("the error tells a secret: %v", err)
			}
		})
	}
}
