package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// A Client reaches a lab that another process runs.
type Client struct {
	state *State
	http  http.Client
}

// Connect returns a client of the lab in dir. The error is NotFound when there is none, and Conflict when its owner
// died or it is not up yet.
func Connect(dir string) (*Client, error) {
	state, err := Load(dir)
	if err != nil {
		return nil, err
	}
	if !state.Owner.Alive() {
		return nil, metal.Errorf(metal.Conflict, "lab %s died with its process %d: metal-lab down removes it, metal-lab up makes it again", state.Name, state.Owner.PID)
	}
	if !state.Ready {
		return nil, metal.Errorf(metal.Conflict, "lab %s is still being made by process %d: try again in a moment", state.Name, state.Owner.PID)
	}
	c := &Client{state: state}
	c.http.Transport = &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socketPath(dir))
		},
	}
	return c, nil
}

// State is what lab.json said when the client was made.
func (c *Client) State() *State { return c.state }

// Status asks how every machine is.
func (c *Client) Status(ctx context.Context) ([]MachineStatus, error) {
	var all []MachineStatus
	err := c.call(ctx, http.MethodGet, "/machines", &all)
	return all, err
}

// Act does something to the machine called name, see Lab.Act.
func (c *Client) Act(ctx context.Context, name string, action Action) error {
	return c.call(ctx, http.MethodPost, "/machines/"+url.PathEscape(name)+"/"+url.PathEscape(string(action)), &struct{}{})
}

func (c *Client) call(ctx context.Context, method, path string, answer any) error {
	request, err := http.NewRequestWithContext(ctx, method, "http://lab"+path, nil)
	if err != nil {
		return err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("ask lab %s: %w", c.state.Name, err)
	}
	defer response.Body.Close()
	decode := json.NewDecoder(response.Body)
	if response.StatusCode != http.StatusOK {
		var r refusal
		if err := decode.Decode(&r); err != nil {
			return fmt.Errorf("ask lab %s: status %s: %w", c.state.Name, response.Status, err)
		}
		return &metal.Error{Code: r.Code, Message: r.Message, Detail: r.Detail}
	}
	if err := decode.Decode(answer); err != nil {
		return fmt.Errorf("ask lab %s: read answer: %w", c.state.Name, err)
	}
	return nil
}
