package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestAListTakesFiltersPagingAndASetOfIDs(t *testing.T) {
	var got api.ListMachinesRequest
	r := serve(t, &fleet{machines: func(in api.ListMachinesRequest) (api.List[metal.Machine], error) {
		got = in
		return api.List[metal.Machine]{Items: []metal.Machine{{ID: "m-1"}}, Next: "m-1"}, nil
	}})
	want := api.ListMachinesRequest{Page: api.Page{After: "m-0", Limit: 500}, IDs: []string{"m-1", "m-2"}, Tag: "a & b", MAC: "52:54:00:12:34:56"}
	ask := want
	ask.Limit = 0 // the default
	list, err := r.client.ListMachines(t.Context(), ask)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what the fleet was asked (-want +got):\n%s", diff)
	}
	if len(list.Items) != 1 || list.Next != "m-1" {
		t.Errorf("got %+v; want one machine and more behind it", list)
	}
}

func TestAWriteCarriesBodyPreconditionAndDefaults(t *testing.T) {
	var got api.PutPoolRequest
	r := serve(t, &fleet{pool: func(in api.PutPoolRequest) (metal.Pool, error) {
		got = in
		return metal.Pool{Name: in.Name, Description: in.Body.Description, Revision: 4}, nil
	}})
	want := api.PutPoolRequest{
		ByName:       api.ByName{Name: "rack-1"},
		Precondition: api.Precondition{IfMatch: `"3"`},
		Body:         api.PoolBody{Description: "first"},
	}
	if _, err := r.client.PutPool(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what the fleet was asked (-want +got):\n%s", diff)
	}
	machine, err := r.client.CreateMachine(t.Context(), api.CreateMachineRequest{Body: api.MachineBody{
		MachineSpec: metal.MachineSpec{Name: "n1", MACs: []metal.MAC{"52:54:00:12:34:56"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	spec := metal.MachineSpec{Name: "n1", MACs: []metal.MAC{"52:54:00:12:34:56"}, Arch: metal.AMD64, Pool: "default"}
	if diff := cmp.Diff(spec, machine.Spec); diff != "" {
		t.Errorf("spec with its defaults (-want +got):\n%s", diff)
	}
	claim, err := r.client.PutAllocation(t.Context(), api.PutAllocationRequest{ByName: api.ByName{Name: "web"}})
	if err != nil {
		t.Fatal(err)
	}
	if want := (metal.AllocationSpec{Pool: "default", Release: metal.ReleasePolicy{Erase: metal.EraseQuick}}); !cmp.Equal(claim.Spec, want) {
		t.Errorf("claim: got %+v; want %+v", claim.Spec, want)
	}
}

func TestAddressesCrossTheWire(t *testing.T) {
	r := serve(t, &fleet{})
	want := metal.SubnetSpec{
		CIDR: netip.MustParsePrefix("10.1.0.0/24"), Fabric: "default", VLAN: 12, Gateway: netip.MustParseAddr("10.1.0.1"),
		DNS:  []netip.Addr{netip.MustParseAddr("fd00::1")},
		DHCP: metal.DHCPSpec{Mode: metal.DHCPAuthoritative, Ranges: []metal.AddrRange{{First: netip.MustParseAddr("10.1.0.9"), Last: netip.MustParseAddr("10.1.0.20")}}, LeaseSeconds: 600},
	}
	ask := want
	ask.DHCP.LeaseSeconds = 0
	got, err := r.client.PutSubnet(t.Context(), api.PutSubnetRequest{ByName: api.ByName{Name: "boot"}, Body: ask})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.Spec, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
}

func TestRefusalsHaveOneForm(t *testing.T) {
	r := serve(t, &fleet{
		pool: func(in api.PutPoolRequest) (metal.Pool, error) {
			switch in.Name {
			case "busy":
				return metal.Pool{}, &metal.Error{Code: metal.Conflict, Message: "the pool is busy", Detail: "n1\nn2", Operation: "o-1"}
			case "disk":
				return metal.Pool{}, metal.Errorf(metal.Internal, "store the pool: %w", errors.New("database is locked"))
			case "bug":
				return metal.Pool{}, errors.New("sql: no such column")
			default:
				panic("unforeseen pool")
			}
		},
	})
	const pools = "/v1/pools/"
	big := `{"description":"` + strings.Repeat("x", 1<<20) + `"}`
	cases := []struct {
		name, method, path, body string
		status                   int
		code                     metal.Code
		message                  string // part of it
	}{
		{"a conflict is told as it is", "PUT", pools + "busy", "{}", 409, metal.Conflict, "the pool is busy"},
		{"an internal fault keeps its cause", "PUT", pools + "disk", "{}", 500, metal.Internal, "store the pool (the server's log says more"},
		{"an unforeseen error is told by number only", "PUT", pools + "bug", "{}", 500, metal.Internal, "the server failed"},
		{"a panic is told by number only", "PUT", pools + "panics", "{}", 500, metal.Internal, "the server failed"},
		{"an unknown field is refused", "PUT", pools + "busy", `{"colour":"red"}`, 422, metal.Invalid, "body.colour: unexpected property"},
		{"an unknown query parameter is refused", "GET", "/v1/machines?colour=red", "", 422, metal.Invalid, "query.colour"},
		{"a name that cannot be is refused", "PUT", pools + "UPPER", "{}", 422, metal.Invalid, "path.name"},
		{"several faults are counted", "POST", "/v1/machines", `{"name":"n1","macs":[],"arch":"vax"}`, 422, metal.Invalid, "and 1 more"},
		{"a MAC that is none is refused", "POST", "/v1/machines", `{"name":"n1","macs":["hello"]}`, 422, metal.Invalid, "hello"},
		{"text that is not JSON is refused", "PUT", pools + "busy", `{`, 400, metal.Invalid, "body"},
		{"no body is refused", "PUT", pools + "busy", ``, 400, metal.Invalid, "body is required"},
		{"a body that is too long is refused", "PUT", pools + "busy", big, 413, metal.Invalid, "too large"},
		{"a path that does not exist is not found", "GET", "/v1/toasters", "", 404, metal.NotFound, "/v1/toasters"},
		{"a method that does not exist is refused", "PATCH", pools + "busy", "{}", 405, metal.Invalid, "use"},
		{"a type that is not JSON is refused", "PUT", pools + "busy", "a: 1", 415, metal.Invalid, "yaml"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			kind := "application/json"
			if c.status == 415 {
				kind = "application/yaml"
			}
			answer := r.ask(t, c.method, c.path, c.body, "Content-Type", kind)
			var p api.Problem
			decoder := json.NewDecoder(answer.Body)
			decoder.DisallowUnknownFields()
			if err := decoder.Decode(&p); err != nil {
				t.Fatalf("the answer is not a Problem: %v", err)
			}
			if answer.StatusCode != c.status || p.Code != c.code || !strings.Contains(p.Message, c.message) {
				t.Errorf("got %d %+v; want %d %s with %q", answer.StatusCode, p, c.status, c.code, c.message)
			}
			if got := answer.Header.Get("Content-Type"); got != "application/json" {
				t.Errorf("content type: got %q; want application/json", got)
			}
			for _, hidden := range []string{"database is locked", "no such column", "unforeseen pool", "goroutine"} {
				if strings.Contains(p.Message+p.Detail, hidden) {
					t.Errorf("the caller is told %q: %+v", hidden, p)
				}
			}
		})
	}
	for _, logged := range []string{"database is locked", "no such column", "unforeseen pool"} {
		if !strings.Contains(r.log.String(), logged) {
			t.Errorf("the log lacks %q", logged)
		}
	}
}

func TestTheClientHasTheErrorThatTheFleetReturned(t *testing.T) {
	want := &metal.Error{Code: metal.Conflict, Message: "the pool is busy", Detail: "n1\nn2", Operation: "o-1"}
	r := serve(t, &fleet{pool: func(api.PutPoolRequest) (metal.Pool, error) { return metal.Pool{}, want }})
	_, err := r.client.PutPool(t.Context(), api.PutPoolRequest{ByName: api.ByName{Name: "p"}})
	var got *metal.Error
	if !errors.As(err, &got) || !cmp.Equal(got, want) {
		t.Errorf("got %#v; want %#v", err, want)
	}
}

func TestEverythingNeedsATokenButThePublicPaths(t *testing.T) {
	r := serve(t, &fleet{})
	cases := []struct {
		name, path, authorization string
		status                    int
	}{
		{"no token", "/v1/pools", "", 401},
		{"a wrong token", "/v1/pools", "Bearer nope", 401},
		{"another scheme", "/v1/pools", "Basic " + secret, 401},
		{"a token as long as a book", "/v1/pools", "Bearer " + strings.Repeat("x", 1000), 401},
		{"a path that does not exist tells a stranger nothing", "/v1/toasters", "", 401},
		{"the store of tokens fails", "/v1/pools", "Bearer breaks", 500},
		{"the right token", "/v1/pools", "Bearer " + secret, 200},
		{"a scheme in capitals", "/v1/pools", "BEARER " + secret, 200},
		{"health is public", "/healthz", "", 200},
		{"the document is public", "/v1/openapi.json", "", 200},
		{"the certificate authority is public", "/v1/ca.pem", "", 200},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			answer := r.ask(t, "GET", c.path, "", "Authorization", c.authorization)
			if answer.StatusCode != c.status {
				t.Errorf("got %d; want %d", answer.StatusCode, c.status)
			}
			if challenge := answer.Header.Get("WWW-Authenticate"); (challenge != "") != (c.status == 401) {
				t.Errorf("got %d with WWW-Authenticate %q", c.status, challenge)
			}
		})
	}
	if log := r.log.String(); strings.Contains(log, secret) || strings.Contains(log, "nope") {
		t.Errorf("the log tells a token:\n%s", log)
	}
}

func TestTheFleetKnowsTheCaller(t *testing.T) {
	f := &fleet{}
	r := serve(t, f)
	if _, err := r.client.GetPool(t.Context(), api.ByName{Name: "p"}); err != nil {
		t.Fatal(err)
	}
	if f.caller != "alice" {
		t.Errorf("got caller %q; want alice", f.caller)
	}
}

func TestETagsSpareTheAnswer(t *testing.T) {
	r := serve(t, &fleet{})
	cases := []struct {
		name, path, known string
		status            int
		etag              string
	}{
		{"the first time", "/v1/machines/m-1", "", 200, `"7"`},
		{"unchanged", "/v1/machines/m-1", `"7"`, 304, `"7"`},
		{"unchanged, by the weak comparison, among others", "/v1/machines/m-1", `"1", W/"7"`, 304, `"7"`},
		{"changed", "/v1/machines/m-1", `"6"`, 200, `"7"`},
		{"a pool also tells facts of its machines, so that it is always told", "/v1/pools/p", `"3"`, 200, `"3"`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			answer := r.ask(t, "GET", c.path, "", "If-None-Match", c.known)
			body, err := io.ReadAll(answer.Body)
			if err != nil {
				t.Fatal(err)
			}
			if answer.StatusCode != c.status || answer.Header.Get("ETag") != c.etag || (len(body) == 0) != (c.status == 304) {
				t.Errorf("got %d, ETag %s, %d bytes; want %d, ETag %s", answer.StatusCode, answer.Header.Get("ETag"), len(body), c.status, c.etag)
			}
		})
	}
}

func TestAnEmptyListIsAListAndNoAnswerIsNone(t *testing.T) {
	r := serve(t, &fleet{})
	body, err := io.ReadAll(r.ask(t, "GET", "/v1/pools", "").Body)
	if err != nil || strings.TrimSpace(string(body)) != `{"items":[]}` {
		t.Errorf("got %s, %v; want an empty list", body, err)
	}
	if answer := r.ask(t, "DELETE", "/v1/pools/p", ""); answer.StatusCode != 204 {
		t.Errorf("DELETE: got %d; want 204", answer.StatusCode)
	}
	if err := r.client.DeletePool(t.Context(), api.DeleteByNameRequest{ByName: api.ByName{Name: "p"}}); err != nil {
		t.Errorf("client: %v", err)
	}
}

func TestUserDataOfOneMebibyteFits(t *testing.T) {
	var got string
	r := serve(t, &fleet{deploy: func(in api.CreateDeploymentRequest) (metal.Deployment, error) {
		got = *in.Body.UserData
		return metal.Deployment{ID: "d-1"}, nil
	}})
	want := strings.Repeat("\x01", 1<<20) // six bytes each in JSON
	ask := api.CreateDeploymentRequest{Body: api.CreateDeploymentBody{MachineID: "m-1", DeploymentBody: api.DeploymentBody{
		DeploymentSpec: metal.DeploymentSpec{Image: "debian"}, UserData: &want,
	}}}
	if _, err := r.client.CreateDeployment(t.Context(), ask); err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("got %d bytes; want %d", len(got), len(want))
	}
	longer := strings.Repeat("x", 1<<20+1)
	ask.Body.UserData = &longer
	if _, err := r.client.CreateDeployment(t.Context(), ask); metal.CodeOf(err) != metal.Invalid {
		t.Errorf("one byte more: got %v; want an Invalid error", err)
	}
}

func TestAnUploadIsStreamed(t *testing.T) {
	f := &fleet{}
	r := serve(t, f)
	content := strings.Repeat("disk", 1<<20) // more than any JSON body may have
	image, err := r.client.UploadImage(t.Context(), api.UploadImageRequest{ByName: api.ByName{Name: "debian"}, Body: iotest.HalfReader(strings.NewReader(content))})
	if err != nil {
		t.Fatal(err)
	}
	if image.RawBytes != int64(len(content)) || string(f.uploaded) != content {
		t.Errorf("got %d bytes; want %d", image.RawBytes, len(content))
	}
	if _, err := r.client.UploadImage(t.Context(), api.UploadImageRequest{ByName: api.ByName{Name: "De bian"}, Body: strings.NewReader("")}); metal.CodeOf(err) != metal.Invalid {
		t.Errorf("a name that cannot be: got %v; want an Invalid error", err)
	}
}

func TestALongPollEndsWithItsCaller(t *testing.T) {
	entered, left := make(chan struct{}), make(chan struct{})
	r := serve(t, &fleet{operation: func(ctx context.Context, in api.GetOperationRequest) (metal.Operation, error) {
		close(entered)
		<-ctx.Done()
		close(left)
		return metal.Operation{}, ctx.Err()
	}})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-entered; cancel() }()
	_, err := r.client.GetOperation(ctx, api.GetOperationRequest{ByID: api.ByID{ID: "o-1"}, Wait: "50s"})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v; want the end of the context", err)
	}
	select {
	case <-left:
	case <-time.After(10 * time.Second):
		t.Error("the fleet still waits")
	}
}

func TestEventsAreStreamed(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r := serve(t, &fleet{events: func(ctx context.Context, in api.ListEventsRequest) (api.List[metal.Event], error) {
		if in.After >= 12 {
			<-ctx.Done()
			return api.List[metal.Event]{}, ctx.Err()
		}
		return api.List[metal.Event]{Items: []metal.Event{{Seq: in.After + 1, At: at, Kind: "machine", Subject: "m-1", Text: "two\nlines"}}}, nil
	}})
	answer := r.ask(t, "GET", "/v1/events?after=3", "", "Accept", "text/event-stream", "Last-Event-ID", "10")
	if got := answer.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Fatalf("content type: got %q; want text/event-stream", got)
	}
	lines := bufio.NewScanner(answer.Body)
	for seq := 11; seq <= 12; seq++ {
		want := []string{
			fmt.Sprintf("id: %d", seq), "event: machine",
			fmt.Sprintf(`data: {"seq":%d,"at":"2026-01-02T03:04:05Z","kind":"machine","subject":"m-1","text":"two\nlines"}`, seq), "",
		}
		for _, line := range want {
			if !lines.Scan() || lines.Text() != line {
				t.Fatalf("got %q, %v; want %q", lines.Text(), lines.Err(), line)
			}
		}
	}
	if bad := r.ask(t, "GET", "/v1/events?after=x", "", "Accept", "text/event-stream"); bad.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("after=x: got %d; want 422", bad.StatusCode)
	}
}
