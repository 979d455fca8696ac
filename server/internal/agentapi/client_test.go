package agentapi

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/image/chunk"
)

func TestClientSpeaksTheWire(t *testing.T) {
	type seen struct{ Method, Path, Query, Auth, Range string }
	var got []seen
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, seen{r.Method, r.URL.Path, r.URL.RawQuery, r.Header.Get("Authorization"), r.Header.Get("Range")})
		switch r.URL.Path {
		case PathHello:
			var h Hello
			if err := json.NewDecoder(r.Body).Decode(&h); err != nil || h.BootID != "b1" {
				t.Errorf("hello: got %+v, %v; want boot id b1", h, err)
			}
			io.WriteString(w, `{"token":"s1","machine_id":"m1","name":"node1","unix_time":1700000000}`)
		case PathNext:
			io.WriteString(w, `{"id":"7","kind":"inventory"}`)
		case PathProgress:
			io.WriteString(w, `{"cancel":true}`)
		case PathResult:
			w.WriteHeader(http.StatusNoContent)
		default:
			w.WriteHeader(http.StatusPartialContent)
			io.WriteString(w, "tail")
		}
	}))
	defer server.Close()
	c, err := NewClient(server.URL+"/", server.Client())
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()

	session, err := c.Hello(ctx, Hello{Token: "t1", BootID: "b1", BootMAC: "52:54:00:00:00:01"})
	if want := (Session{Token: "s1", MachineID: "m1", Name: "node1", UnixTime: 1700000000}); err != nil || session != want {
		t.Errorf("hello: got %+v, %v; want %+v", session, err, want)
	}
	step, err := c.Next(ctx, 55*time.Second)
	if want := (&Step{ID: "7", Kind: StepInventory}); err != nil || !cmp.Equal(step, want) {
		t.Errorf("next: got %+v, %v; want %+v", step, err, want)
	}
	reply, err := c.Progress(ctx, Progress{StepID: "7", Fraction: 0.5})
	if err != nil || !reply.Cancel {
		t.Errorf("progress: got %+v, %v; want cancel", reply, err)
	}
	if err := c.Result(ctx, Result{StepID: "7"}); err != nil {
		t.Errorf("result: got %v; want nil", err)
	}
	body, err := c.ImagePart(ctx, "abc", 10, 4)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(body)
	body.Close()
	if string(raw) != "tail" || err != nil {
		t.Errorf("image: got %q, %v; want tail", raw, err)
	}

	want := []seen{
		{"POST", PathHello, "", "", ""},
		{"GET", PathNext, "wait=55s", "Bearer s1", ""},
		{"POST", PathProgress, "", "Bearer s1", ""},
		{"POST", PathResult, "", "Bearer s1", ""},
		{"GET", PathImages + "abc", "", "Bearer s1", "bytes=10-13"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("calls seen by the server (-want +got):\n%s", diff)
	}
}

func TestClientTellsErrorsApart(t *testing.T) {
	tests := []struct {
		name    string
		status  int
		body    string
		code    metal.Code
		message string
	}{
		{"the session is not known", 401, `{"code":"unauthorized","message":"no such session"}`, metal.Unauthorized, "no such session"},
		{"the token may not do this", 403, `{"code":"forbidden","message":"enlist only"}`, metal.Forbidden, "enlist only"},
		{"there is no such step", 404, `{"code":"not_found","message":"no such step"}`, metal.NotFound, "no such step"},
		{"the step is over", 409, `{"code":"conflict","message":"over"}`, metal.Conflict, "over"},
		{"the call was not understood", 422, `{"code":"invalid","message":"bad"}`, metal.Invalid, "bad"},
		{"a proxy answers in HTML", 502, `<html>`, metal.Internal, "the server answered 502 Bad Gateway"},
		{"nothing is said", 500, ``, metal.Internal, "the server answered 500 Internal Server Error"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tt.status)
				io.WriteString(w, tt.body)
			}))
			defer server.Close()
			c, err := NewClient(server.URL, server.Client())
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Next(t.Context(), time.Second)
			if got := metal.CodeOf(err); got != tt.code {
				t.Errorf("got code %q; want %q", got, tt.code)
			}
			if err == nil || err.Error() != tt.message {
				t.Errorf("got %v; want %q", err, tt.message)
			}
		})
	}
}

func TestClientSeesThatTheBootIsOver(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) }))
	defer server.Close()
	c, err := NewClient(server.URL, server.Client())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Result(t.Context(), Result{}); !errors.Is(err, ErrGone) {
		t.Errorf("got %v; want ErrGone", err)
	}
	if _, err := c.ImagePart(t.Context(), "abc", 0, 1); !errors.Is(err, ErrGone) {
		t.Errorf("image: got %v; want ErrGone", err)
	}
}

func TestClientWaitsOnWhenThereIsNoStep(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	defer server.Close()
	c, err := NewClient(server.URL, server.Client())
	if err != nil {
		t.Fatal(err)
	}
	if step, err := c.Next(t.Context(), time.Second); step != nil || err != nil {
		t.Errorf("got %v, %v; want nil, nil", step, err)
	}
}

func TestImageRefusesAnAnswerThatIgnoresTheRange(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "from the start") }))
	defer server.Close()
	c, err := NewClient(server.URL, server.Client())
	if err != nil {
		t.Fatal(err)
	}
	if body, err := c.ImagePart(t.Context(), "abc", 5, 1); err == nil {
		body.Close()
		t.Error("got no error; want one, or the image would be written from its start in its middle")
	}
}

func TestClientReadsTheChunksOfTheImageItAskedFor(t *testing.T) {
	image := chunk.Table{Digest: chunk.Sum{0xab}}
	image.Add(512, 30, chunk.Sum{1}, false)
	digest := hex.EncodeToString(image.Digest[:])
	for _, tt := range []struct {
		name, ask string
		body      []byte
		says      string
	}{
		{"the image's", digest, image.Encode(), ""},
		{"another image's", strings.Repeat("0", 64), image.Encode(), "those of ab00"},
		{"a cut one", digest, image.Encode()[:70], "damaged"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != PathImages+tt.ask+".chunks" {
					t.Errorf("got a call of %s", r.URL.Path)
				}
				w.Write(tt.body)
			}))
			defer server.Close()
			c, err := NewClient(server.URL, server.Client())
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.ImageChunks(t.Context(), tt.ask)
			if tt.says != "" {
				if err == nil || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("got %v; want an error that says %q", err, tt.says)
				}
				return
			}
			if diff := cmp.Diff(image, got); diff != "" || err != nil {
				t.Errorf("got %v and (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestClientAsksForAPartOfAnImage(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader("0123456789"))
	}))
	defer server.Close()
	c, err := NewClient(server.URL, server.Client())
	if err != nil {
		t.Fatal(err)
	}
	body, err := c.ImagePart(t.Context(), "abc", 3, 4)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if got, err := io.ReadAll(body); string(got) != "3456" || err != nil {
		t.Errorf("got %q, %v; want 3456", got, err)
	}
}

func TestNewClientRefusesWhatIsNoServer(t *testing.T) {
	for _, server := range []string{"", "172.31.0.1:7080", "ftp://a", "http://", "http://a b"} {
		if _, err := NewClient(server, http.DefaultClient); metal.CodeOf(err) != metal.Invalid {
			t.Errorf("%q: got %v; want an Invalid error", server, err)
		}
	}
}
