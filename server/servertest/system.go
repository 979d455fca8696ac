package servertest

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

var phoneHome = regexp.MustCompile(`url: "?([^"\s]+)`)

// system is what is installed: it calls back once it is up.
func (m *Machine) system(ctx context.Context) {
	m.mu.Lock()
	to := phoneHome.FindStringSubmatch(m.seed["vendor-data"])
	mute, first := m.mute, m.first
	m.mu.Unlock()
	if to == nil {
		<-ctx.Done()
		return
	}
	tell := func(report string) { m.post(ctx, to[1]+"/first-boot", "application/json", report) }
	if len(first) > 0 {
		tell(first[0])
		first = first[1:]
	}
	if !mute {
		form := url.Values{"hostname": {"up"}, "pub_key_ed25519": {HostKey}}
		m.post(ctx, to[1], "application/x-www-form-urlencoded", form.Encode())
	}
	for _, report := range first {
		tell(report)
	}
	<-ctx.Done()
}

// post sends a body until the server takes or refuses it.
func (m *Machine) post(ctx context.Context, to, kind, body string) {
	for ctx.Err() == nil {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(body))
		if err != nil {
			return
		}
		req.Header.Set("Content-Type", kind)
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			res.Body.Close()
			if res.StatusCode < http.StatusInternalServerError {
				return
			}
		}
		pause(ctx, 50*time.Millisecond)
	}
}
