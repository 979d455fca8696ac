package image

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func noPause(int) time.Duration { return 0 }

// site serves a file in parts: every answer breaks off after so many bytes.
type site struct {
	file    []byte
	breakAt int
	ranges  bool // honours Range
	etag    func(request int) string
	asked   []string // Range headers, in the order of the requests
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked = append(s.asked, r.Header.Get("Range"))
	if s.etag != nil {
		w.Header().Set("ETag", s.etag(len(s.asked)))
	}
	first := 0
	if v, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes="); ok && s.ranges {
		first, _ = strconv.Atoi(strings.TrimSuffix(v, "-"))
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, len(s.file)-1, len(s.file)))
	}
	rest := s.file[first:]
	w.Header().Set("Content-Length", strconv.Itoa(len(rest)))
	if first > 0 {
		w.WriteHeader(http.StatusPartialContent)
	}
	if n := s.breakAt * len(s.asked); s.breakAt > 0 && n < len(rest) && !s.ranges {
		w.Write(rest[:n]) // without ranges every answer gets further than the one before
		panic(http.ErrAbortHandler)
	}
	if s.breakAt > 0 && s.breakAt < len(rest) && s.ranges {
		w.Write(rest[:s.breakAt])
		panic(http.ErrAbortHandler)
	}
	w.Write(rest)
}

func fetchAll(t *testing.T, f fetcher, at string) ([]byte, error) {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	d, err := f.open(t.Context(), u)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return io.ReadAll(d)
}

func testFetcher() fetcher {
	f := newFetcher(nil)
	f.pause = noPause
	return f
}

func TestFetchGoesOnAfterBrokenConnections(t *testing.T) {
	file := rawDisk(1 << 20)
	same := func(int) string { return `"v1"` }
	tests := []struct {
		name     string
		site     site
		requests int
	}{
		{"an answer in one piece", site{file: file}, 1},
		{"ranges, ten connections", site{file: file, ranges: true, breakAt: 110_000, etag: same}, 10},
		{"no ranges: read again from the start", site{file: file, breakAt: 300_000, etag: same}, 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			web := httptest.NewServer(&tt.site)
			defer web.Close()
			got, err := fetchAll(t, testFetcher(), web.URL+"/image")
			if err != nil || !bytes.Equal(got, file) {
				t.Errorf("got %d bytes, %v; want the file", len(got), err)
			}
			if len(tt.site.asked) != tt.requests {
				t.Errorf("got requests %q; want %d", tt.site.asked, tt.requests)
			}
		})
	}
}

func TestFetchDoesNotGlueTwoFilesTogether(t *testing.T) {
	for _, ranges := range []bool{true, false} {
		s := site{file: rawDisk(1 << 20), ranges: ranges, breakAt: 300_000, etag: func(n int) string { return fmt.Sprintf(`"v%d"`, n) }}
		web := httptest.NewServer(&s)
		_, err := fetchAll(t, testFetcher(), web.URL)
		web.Close()
		if metal.CodeOf(err) != metal.Conflict || !strings.Contains(err.Error(), "changed while it was fetched") {
			t.Errorf("ranges %v: got %v; want a conflict", ranges, err)
		}
	}
}

func TestFetchGivesUpInTheEnd(t *testing.T) {
	tests := []struct {
		name     string
		answer   func(n int, w http.ResponseWriter)
		code     metal.Code
		says     string
		requests int
	}{
		{"a missing file at once", func(_ int, w http.ResponseWriter) { w.WriteHeader(404) }, metal.Invalid, "404 Not Found", 1},
		{"a refusal at once", func(_ int, w http.ResponseWriter) { w.WriteHeader(403) }, metal.Invalid, "needs credentials", 1},
		{"a server in trouble after some tries", func(_ int, w http.ResponseWriter) { w.WriteHeader(503) }, metal.Internal, "503", maxTries},
		{"a connection that breaks at the same byte every time", func(_ int, w http.ResponseWriter) {
			w.Header().Set("Content-Length", "1000")
			w.Write(make([]byte, 100))
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, metal.Internal, "after 100 of 1000 bytes", maxTries},
		{"an answer that is no file", func(_ int, w http.ResponseWriter) { w.WriteHeader(204) }, metal.Invalid, "204", 1},
		{"redirects without end", func(n int, w http.ResponseWriter) {
			w.Header().Set("Location", fmt.Sprintf("/image?n=%d", n))
			w.WriteHeader(302)
		}, metal.Invalid, "redirected more than 10 times", 10},
		{"a redirect to a file", func(_ int, w http.ResponseWriter) {
			w.Header().Set("Location", "file:///etc/passwd")
			w.WriteHeader(302)
		}, metal.Invalid, "redirected to a file URL", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			requests := 0
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				requests++
				tt.answer(requests, w)
			}))
			defer web.Close()
			at := strings.Replace(web.URL, "http://", "http://user:hunter2@", 1) + "/image?sig=hunter2#hunter2"
			_, err := fetchAll(t, testFetcher(), at)
			if metal.CodeOf(err) != tt.code || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v (%s); want %s that says %q", err, metal.CodeOf(err), tt.code, tt.says)
			}
			if requests != tt.requests {
				t.Errorf("got %d requests; want %d", requests, tt.requests)
			}
			if err != nil && (strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), web.URL+"/image")) {
				t.Errorf("got %q; want the URL without its secrets", err)
			}
		})
	}
}

func TestFetchNeverShowsSecretsOfAURLThatCannotBeReached(t *testing.T) {
	web := httptest.NewServer(http.NotFoundHandler())
	web.Close() // nobody listens there now
	at := strings.Replace(web.URL, "http://", "http://user:hunter2@", 1) + "/image?sig=hunter2"
	_, err := fetchAll(t, testFetcher(), at)
	if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "refused") {
		t.Errorf("got %v; want a refused connection, without secrets", err)
	}
}

func TestFetchSendsTheCredentialsOfTheURL(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "me" || password != "hunter2" || r.URL.RawQuery != "sig=1" {
			w.WriteHeader(401)
		}
	}))
	defer web.Close()
	if _, err := fetchAll(t, testFetcher(), strings.Replace(web.URL, "http://", "http://me:hunter2@", 1)+"?sig=1"); err != nil {
		t.Error(err)
	}
}

func TestFetchDoesNotLeaveTLS(t *testing.T) {
	clear := httptest.NewServer(http.NotFoundHandler())
	defer clear.Close()
	web := httptest.NewTLSServer(http.RedirectHandler(clear.URL, http.StatusFound))
	defer web.Close()
	f := newFetcher(web.Client())
	if _, err := fetchAll(t, f, web.URL); metal.CodeOf(err) != metal.Invalid || !strings.Contains(err.Error(), "from https to http") {
		t.Errorf("got %v; want a refusal to leave https", err)
	}
}

func TestFetchLeavesASilentServer(t *testing.T) {
	file := rawDisk(64 << 10)
	var requests atomic.Int32 // a slow computer may take an answer for silence, and ask once more
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) == 1 {
			w.Header().Set("Content-Length", strconv.Itoa(len(file)))
			w.Write(file[:1000])
			w.(http.Flusher).Flush()
			<-r.Context().Done() // says nothing more
			return
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file))
	}))
	defer web.Close()
	f := testFetcher()
	f.idle = 50 * time.Millisecond
	got, err := fetchAll(t, f, web.URL)
	if err != nil || !bytes.Equal(got, file) || requests.Load() < 2 {
		t.Errorf("got %d bytes, %v, with %d requests; want the file with 2 or more", len(got), err, requests.Load())
	}
}

func TestSourcesThatAreNoURL(t *testing.T) {
	s := openStore(t, Options{})
	for _, source := range []string{"", "relative/path", "ftp://host/file", "file:///etc/passwd", "http://", "http:/missing", "://", "https://%zz"} {
		if _, err := s.Import(t.Context(), metal.ImageSpec{Source: source}, nil, nil); metal.CodeOf(err) != metal.Invalid {
			t.Errorf("%q: got %v; want an invalid error", source, err)
		}
	}
}
