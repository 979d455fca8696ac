package redfish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/stmcginnis/gofish"
	"github.com/stmcginnis/gofish/schemas"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// login is a session at a Redfish service.
type login struct {
	endpoint  string
	username  string
	password  metal.Secret
	transport *transport
	client    *gofish.APIClient // nil while there is no session
}

// open makes a session (DSP0266, 13.3.4), or uses Basic authentication where the service has none to make.
func (l *login) open(ctx context.Context) error {
	l.client = nil
	client, err := l.connect(ctx, false)
	if err == nil {
		if s, err := client.GetSession(); err == nil && s.Token != "" {
			l.client = client
			return nil
		}
	}
	if err != nil && !sessionsMissing(err) {
		return l.explain(ctx, err)
	}
	if client, err = l.connect(ctx, true); err != nil {
		return l.explain(ctx, err)
	}
	l.client = client
	return nil
}

func (l *login) connect(ctx context.Context, basic bool) (*gofish.APIClient, error) {
	return gofish.ConnectContext(ctx, gofish.ClientConfig{
		Endpoint: l.endpoint, Username: l.username, Password: l.password.Reveal(), BasicAuth: basic,
		HTTPClient:       &http.Client{Transport: l.transport},
		ReuseConnections: true, NoModifyTransport: true,
	})
}

// sessionsMissing says whether a login failed because the service has no sessions: it declines to make one, or its
// root has no link to them, for which gofish has an error without a type. (An answer that cannot be read looks like the
// latter, and is seen again by the next try.)
func sessionsMissing(err error) bool {
	switch statusOf(err) {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return true
	case 0:
		e := (*url.Error)(nil)
		return !errors.As(err, &e)
	}
	return false
}

// with runs act with a client for ctx, and once more after a new login when the session has ended. Errors are
// explained.
func (l *login) with(ctx context.Context, act func(schemas.Client) error) error {
	fresh := false
	for {
		if l.client == nil {
			if err := l.open(ctx); err != nil {
				return err
			}
			fresh = true
		}
		err := act(l.client.WithContext(ctx))
		if fresh || statusOf(err) != http.StatusUnauthorized {
			return l.explain(ctx, err)
		}
		l.client = nil
	}
}

// onlySystem returns the path of the service's one system.
func (l *login) onlySystem(ctx context.Context) (string, error) {
	var systems struct {
		Members []struct {
			Path string `json:"@odata.id"`
		}
	}
	err := l.with(ctx, func(client schemas.Client) error {
		response, err := client.Get("/redfish/v1/Systems") //nolint:bodyclose // the deferred call closes it
		defer schemas.DeferredCleanupHTTPResponse(response)
		if err != nil {
			return err
		}
		if err := json.NewDecoder(response.Body).Decode(&systems); err != nil {
			return fmt.Errorf("read the list of systems: %w", err)
		}
		return nil
	})
	switch {
	case err != nil:
		return "", err
	case len(systems.Members) == 0:
		return "", errors.New("the service has no system")
	case len(systems.Members) > 1:
		paths := make([]string, len(systems.Members))
		for i, m := range systems.Members {
			paths[i] = m.Path
		}
		return "", metal.Errorf(metal.Invalid, "the Redfish service at %s has several systems: name one in the address, of %q", l.endpoint, paths)
	}
	return systems.Members[0].Path, nil
}

// close deletes the session, if there is one, and closes the connections.
func (l *login) close(ctx context.Context) error {
	defer l.transport.CloseIdleConnections()
	if l.client == nil {
		return nil
	}
	session, err := l.client.GetSession()
	if err != nil { // Basic authentication: there is none
		return nil
	}
	err = l.explain(ctx, l.client.WithContext(ctx).Service.DeleteSession(session.ID))
	l.client = nil
	if status := statusOf(err); status == http.StatusNotFound || status == http.StatusUnauthorized { // it had ended
		return nil
	}
	return err
}
