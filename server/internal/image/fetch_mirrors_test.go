package image

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// placesOf starts a server for each handler.
func placesOf(t *testing.T, handlers ...http.Handler) []*url.URL {
	t.Helper()
	places := make([]*url.URL, len(handlers))
	for i, h := range handlers {
		web := httptest.NewServer(h)
		t.Cleanup(web.Close)
		u, err := url.Parse(web.URL)
		if err != nil {
			t.Fatal(err)
		}
		u.User, u.Path = url.UserPassword("user", "hunter2"), fmt.Sprintf("/place-%d", i)
		places[i] = u
	}
	return places
}

func status(code int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
}

// cut is a server that sends the first bytes of a file once, and then is in trouble.
func cut(file []byte, after int) http.Handler {
	asked := 0
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked++; asked > 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(file)))
		w.Header().Set("ETag", `"of-the-first"`)
		w.Write(file[:after])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
}

func TestFetchGoesOnAtAMirror(t *testing.T) {
	file := rawDisk(1 << 20)
	for _, tt := range []struct {
		name   string
		places []http.Handler
	}{
		{"when the source is gone", []http.Handler{status(404), &site{file: file}}},
		{"when the source and the first mirror are in trouble", []http.Handler{status(503), status(500), &site{file: file}}},
		{"in the middle, from the byte that it had", []http.Handler{cut(file, 300_000), &site{file: file, ranges: true}}},
		{"in the middle, where the mirror knows no ranges", []http.Handler{cut(file, 300_000), &site{file: file}}},
		{"in the middle, though the mirror breaks off as well", []http.Handler{
			cut(file, 300_000), &site{file: file, ranges: true, breakAt: 200_000, etag: func(int) string { return `"of-the-second"` }},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, err := testFetcher().open(t.Context(), placesOf(t, tt.places...)...)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			got, err := io.ReadAll(d)
			if err != nil || !bytes.Equal(got, file) {
				t.Errorf("got %d bytes, %v; want the %d of the file", len(got), err, len(file))
			}
		})
	}
}

func TestFetchRefusesAMirrorOfAnotherSizeInTheMiddle(t *testing.T) {
	file := rawDisk(1 << 20)
	for _, ranges := range []bool{true, false} {
		d, err := testFetcher().open(t.Context(), placesOf(t, cut(file, 300_000), &site{file: rawDisk(2 << 20), ranges: ranges})...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = io.ReadAll(d); metal.CodeOf(err) != metal.Conflict {
			t.Errorf("ranges %v: got %v; want a conflict", ranges, err)
		}
		d.Close()
	}
}

func TestFetchNamesTheLastPlaceWithoutItsSecrets(t *testing.T) {
	_, err := testFetcher().open(t.Context(), placesOf(t, status(503), status(404))...)
	if metal.CodeOf(err) != metal.Invalid || !strings.Contains(err.Error(), "/place-1: the server answered 404") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v; want the answer of the mirror, and no password", err)
	}
}
