package httpapi_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/httpapi"
)

const secret = "t0p-secret-token"

// tokens knows one token.
type tokens struct{}

func (tokens) Authenticate(_ context.Context, token string) (string, error) {
	switch token {
	case secret:
		return "alice", nil
	case "breaks":
		return "", errors.New("read tokens: disk on fire")
	default:
		return "", metal.Errorf(metal.Unauthorized, "the server does not know this token")
	}
}

// fleet answers a few endpoints; the others panic, since the embedded interface is nil.
type fleet struct {
	httpapi.Fleet
	machines  func(api.ListMachinesRequest) (api.List[metal.Machine], error)
	pool      func(api.PutPoolRequest) (metal.Pool, error)
	deploy    func(api.CreateDeploymentRequest) (metal.Deployment, error)
	operation func(context.Context, api.GetOperationRequest) (metal.Operation, error)
	events    func(context.Context, api.ListEventsRequest) (api.List[metal.Event], error)

	mu       sync.Mutex
	uploaded []byte
	caller   string
}

func (f *fleet) ListMachines(_ context.Context, in api.ListMachinesRequest) (api.List[metal.Machine], error) {
	return f.machines(in)
}

func (f *fleet) GetMachine(_ context.Context, in api.GetMachineRequest) (metal.Machine, error) {
	return metal.Machine{ID: in.ID, State: metal.Ready, Revision: 7}, nil
}

func (f *fleet) CreateMachine(_ context.Context, in api.CreateMachineRequest) (metal.Machine, error) {
	return metal.Machine{ID: "m-1", Spec: in.Body.MachineSpec}, nil
}

func (f *fleet) GetPool(ctx context.Context, in api.ByName) (metal.Pool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.caller = httpapi.Caller(ctx)
	return metal.Pool{Name: in.Name, Revision: 3}, nil
}

func (f *fleet) PutPool(_ context.Context, in api.PutPoolRequest) (metal.Pool, error) {
	return f.pool(in)
}

func (f *fleet) DeletePool(_ context.Context, in api.DeleteByNameRequest) (api.None, error) {
	return api.None{}, nil
}

func (f *fleet) ListPools(context.Context, api.ListByNamesRequest) (api.List[metal.Pool], error) {
	return api.List[metal.Pool]{}, nil
}

func (f *fleet) PutSubnet(_ context.Context, in api.PutSubnetRequest) (metal.Subnet, error) {
	return metal.Subnet{Name: in.Name, Spec: in.Body}, nil
}

func (f *fleet) CreateDeployment(_ context.Context, in api.CreateDeploymentRequest) (metal.Deployment, error) {
	return f.deploy(in)
}

func (f *fleet) PutAllocation(_ context.Context, in api.PutAllocationRequest) (metal.Allocation, error) {
	return metal.Allocation{Name: in.Name, Spec: in.Body}, nil
}

func (f *fleet) GetOperation(ctx context.Context, in api.GetOperationRequest) (metal.Operation, error) {
	return f.operation(ctx, in)
}

func (f *fleet) ListEvents(ctx context.Context, in api.ListEventsRequest) (api.List[metal.Event], error) {
	return f.events(ctx, in)
}

func (f *fleet) UploadImage(_ context.Context, in api.UploadImageRequest) (metal.Image, error) {
	content, err := io.ReadAll(in.Body)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.uploaded = content
	return metal.Image{Name: in.Name, RawBytes: int64(len(content))}, err
}

// rig is an API that is served, a client of it, and what it logged.
type rig struct {
	url    string
	client *client.Client
	log    *logged
}

// logged is a log that is read while it is written.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func serve(t *testing.T, f httpapi.Fleet) rig {
	t.Helper()
	log := &logged{}
	server := httptest.NewServer(httpapi.New(f, tokens{}, httpapi.Info{CA: []byte("PEM\n")}, slog.New(slog.NewTextHandler(log, nil))))
	t.Cleanup(server.Close)
	c, err := client.New(client.Config{URL: server.URL, Token: metal.NewSecret(secret), Patience: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return rig{server.URL, c, log}
}

// ask sends a request with the good token.
func (r rig) ask(t *testing.T, method, path, body string, headers ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, bytes.NewBufferString(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { answer.Body.Close() })
	return answer
}
