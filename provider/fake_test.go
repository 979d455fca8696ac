package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const fakeToken = "token-of-the-test"

// fake is the API over net/http with its state in memory. Operations end when somebody waits for them, unless the test
// holds or fails their kind.
type fake struct {
	mux     *http.ServeMux
	mu      sync.Mutex
	changed chan struct{} // closed and replaced with every change
	serial  int
	token   string
	held    map[metal.OperationKind]bool
	failing map[metal.OperationKind]*metal.Failure

	pools       map[string]metal.Pool
	subnets     map[string]metal.Subnet
	images      map[string]metal.Image
	keys        map[string]metal.SSHKey
	machines    map[string]*metal.Machine
	passwords   map[string]string
	allocations map[string]*metal.Allocation
	deployments map[string]*metal.Deployment
	userData    map[string]string
	operations  map[string]*fakeOperation
	started     []metal.OperationKind
	network     network
}

type fakeOperation struct {
	metal.Operation
	end func(failure *metal.Failure)
}

func newFake(t *testing.T) (*fake, *httptest.Server) {
	f := &fake{
		mux: http.NewServeMux(), token: fakeToken, changed: make(chan struct{}),
		held: map[metal.OperationKind]bool{}, failing: map[metal.OperationKind]*metal.Failure{},
		pools: map[string]metal.Pool{"default": {Name: "default"}}, subnets: map[string]metal.Subnet{}, images: map[string]metal.Image{},
		keys: map[string]metal.SSHKey{}, machines: map[string]*metal.Machine{}, passwords: map[string]string{},
		allocations: map[string]*metal.Allocation{}, deployments: map[string]*metal.Deployment{}, userData: map[string]string{},
		operations: map[string]*fakeOperation{},
	}
	f.serveThings()
	f.serveNetwork()
	f.serveImages()
	f.serveMachines()
	f.serveClaims()
	f.serveOperations()
	server := httptest.NewServer(f.mux)
	t.Cleanup(server.Close)
	return f, server
}

// id makes an identity.
func (f *fake) id(kind string) string {
	f.serial++
	return fmt.Sprintf("%s-%012d", kind, f.serial)
}

// touch wakes everybody who waits for a change.
func (f *fake) touch() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// on serves an endpoint. do runs with the lock held.
func on[In, Out any](f *fake, e api.Endpoint[In, Out], do func(r *http.Request) (Out, error)) {
	f.mux.HandleFunc(e.Method+" "+e.Path, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+f.token {
			answer(w, http.StatusUnauthorized, api.Problem{Code: metal.Unauthorized, Message: "the token is not known"})
			return
		}
		f.mu.Lock()
		out, err := do(r)
		f.mu.Unlock()
		if err != nil {
			problem(w, err)
			return
		}
		answer(w, e.Status, out)
	})
}

func problem(w http.ResponseWriter, err error) {
	p := api.Problem{Code: metal.CodeOf(err), Message: err.Error()}
	var e *metal.Error
	if errors.As(err, &e) {
		p.Detail, p.Operation = e.Detail, e.Operation
	}
	answer(w, api.Status(p.Code), p)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if status != http.StatusNoContent {
		_ = json.NewEncoder(w).Encode(body)
	}
}

func bodyOf[T any](r *http.Request) (T, error) {
	var body T
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&body); err != nil {
		return body, metal.Errorf(metal.Invalid, "decode the request: %w", err)
	}
	return body, nil
}

func notFound(kind, id string) error {
	return metal.Errorf(metal.NotFound, "%s %s does not exist", kind, id)
}

// page is the part of a map that a list asks for, in the order of keys.
func page[T any](r *http.Request, key string, all map[string]T, keep func(T) bool) api.List[T] {
	q := r.URL.Query()
	limit, _ := strconv.Atoi(q.Get("limit"))
	if limit == 0 {
		limit = 500
	}
	wanted := strings.Split(q.Get(key), ",")
	out := api.List[T]{Items: []T{}}
	last := ""
	for _, id := range sortedKeys(all) {
		if id <= q.Get("after") || (q.Get(key) != "" && !slices.Contains(wanted, id)) || !keep(all[id]) {
			continue
		}
		if len(out.Items) == limit {
			out.Next = last
			break
		}
		out.Items, last = append(out.Items, all[id]), id
	}
	return out
}

func sortedKeys[T any](m map[string]T) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func every[T any](T) bool { return true }

// start opens an operation; end runs once, when it is over.
func (f *fake) start(kind metal.OperationKind, machine, key string, end func(*metal.Failure)) metal.Operation {
	for _, op := range f.operations {
		if key != "" && op.Key == key {
			return op.Operation
		}
	}
	op := &fakeOperation{end: end, Operation: metal.Operation{
		ID: f.id("o"), Kind: kind, MachineID: machine, Status: metal.OpOpen, Step: "boot", Key: key, ChangedAt: time.Unix(int64(f.serial), 0),
	}}
	f.operations[op.ID] = op
	f.started = append(f.started, kind)
	return op.Operation
}

// finish ends an operation as the test asked for.
func (f *fake) finish(op *fakeOperation) {
	failure := f.failing[op.Kind]
	op.Status, op.ChangedAt, op.Failure = metal.OpDone, op.ChangedAt.Add(time.Second), failure
	if failure != nil {
		op.Status, op.Step = metal.OpFailed, failure.Step
	}
	op.end(failure)
	f.touch()
}

func (f *fake) serveOperations() {
	on(f, api.GetOperation, func(r *http.Request) (metal.Operation, error) {
		op := f.operations[r.PathValue("id")]
		if op == nil {
			return metal.Operation{}, notFound("operation", r.PathValue("id"))
		}
		wait, _ := time.ParseDuration(r.URL.Query().Get("wait"))
		deadline := time.After(wait)
		for wait > 0 && !op.Ended() {
			if !f.held[op.Kind] {
				f.finish(op)
				break
			}
			changed := f.changed
			f.mu.Unlock()
			select {
			case <-changed:
			case <-deadline:
				wait = 0
			case <-r.Context().Done():
				wait = 0
			}
			f.mu.Lock()
		}
		return op.Operation, nil
	})
	on(f, api.GetOperationLog, func(r *http.Request) (api.Log, error) {
		return api.Log{Ended: true, Lines: []api.LogLine{{Number: 1, Text: "the log says: block 42 is bad"}}}, nil
	})
}

func (f *fake) serveThings() {
	on(f, api.ListPools, func(r *http.Request) (api.List[metal.Pool], error) { return page(r, "names", f.pools, every), nil })
	on(f, api.GetPool, func(r *http.Request) (metal.Pool, error) { return lookup(f.pools, "pool", r) })
	on(f, api.PutPool, func(r *http.Request) (metal.Pool, error) {
		body, err := bodyOf[api.PoolBody](r)
		f.pools[r.PathValue("name")] = metal.Pool{Name: r.PathValue("name"), Description: body.Description}
		return f.pools[r.PathValue("name")], err
	})
	on(f, api.DeletePool, func(r *http.Request) (api.None, error) {
		for _, m := range f.machines {
			if m.Spec.Pool == r.PathValue("name") {
				return api.None{}, metal.Errorf(metal.Conflict, "cannot delete pool %s: machine %s is in it", r.PathValue("name"), m.Spec.Name)
			}
		}
		return remove(f.pools, "pool", r)
	})
	on(f, api.ListSSHKeys, func(r *http.Request) (api.List[metal.SSHKey], error) { return page(r, "names", f.keys, every), nil })
	on(f, api.GetSSHKey, func(r *http.Request) (metal.SSHKey, error) { return lookup(f.keys, "SSH key", r) })
	on(f, api.PutSSHKey, func(r *http.Request) (metal.SSHKey, error) {
		body, err := bodyOf[api.SSHKeyBody](r)
		f.keys[r.PathValue("name")] = metal.SSHKey{Name: r.PathValue("name"), PublicKey: strings.TrimSpace(body.PublicKey)}
		return f.keys[r.PathValue("name")], err
	})
	on(f, api.DeleteSSHKey, func(r *http.Request) (api.None, error) { return remove(f.keys, "SSH key", r) })
	on(f, api.ListSubnets, func(r *http.Request) (api.List[metal.Subnet], error) { return page(r, "names", f.subnets, every), nil })
	on(f, api.GetSubnet, func(r *http.Request) (metal.Subnet, error) { return lookup(f.subnets, "subnet", r) })
	on(f, api.PutSubnet, func(r *http.Request) (metal.Subnet, error) {
		spec, err := bodyOf[metal.SubnetSpec](r)
		f.subnets[r.PathValue("name")] = metal.Subnet{Name: r.PathValue("name"), Spec: spec, Use: metal.SubnetUse{Total: 254, Free: 254}}
		return f.subnets[r.PathValue("name")], err
	})
	on(f, api.DeleteSubnet, func(r *http.Request) (api.None, error) { return remove(f.subnets, "subnet", r) })
}

func lookup[T any](all map[string]T, kind string, r *http.Request) (T, error) {
	got, ok := all[r.PathValue("name")]
	if !ok {
		return got, notFound(kind, r.PathValue("name"))
	}
	return got, nil
}

func remove[T any](all map[string]T, kind string, r *http.Request) (api.None, error) {
	_, err := lookup(all, kind, r)
	delete(all, r.PathValue("name"))
	return api.None{}, err
}

func sameSpec(a, b any) bool { return reflect.DeepEqual(a, b) }
