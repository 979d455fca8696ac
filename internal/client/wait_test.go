package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestWaitingTellsEveryChangeOnce(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)
	op := func(n int, step string, status metal.OperationStatus) metal.Operation {
		return metal.Operation{ID: "o-1", Status: status, Step: step, StartedAt: at, ChangedAt: at.Add(time.Duration(n))}
	}
	// The second answer is a poll that ended without a change; the third one a server that restarts.
	script := []any{op(0, "boot", metal.OpOpen), op(0, "boot", metal.OpOpen), 503, op(1, "write", metal.OpOpen), op(2, "write", metal.OpDone)}
	var queries []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		queries = append(queries, r.URL.RawQuery)
		now := script[0]
		script = script[1:]
		if status, ok := now.(int); ok {
			w.WriteHeader(status)
			return
		}
		json.NewEncoder(w).Encode(now)
	}))
	t.Cleanup(server.Close)
	var steps []string
	got, err := dial(t, client.Config{URL: server.URL}).WaitOperation(t.Context(), "o-1", func(op metal.Operation) {
		steps = append(steps, op.Step+" "+string(op.Status))
	})
	if err != nil || got.Status != metal.OpDone {
		t.Fatalf("got %+v, %v; want the operation done", got, err)
	}
	if diff := cmp.Diff([]string{"boot open", "write open", "write done"}, steps); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	seen := func(n int64) string { return "seen=" + strconv.FormatInt(at.UnixNano()+n, 10) + "&wait=50s" }
	if diff := cmp.Diff([]string{"", seen(0), seen(0), seen(0), seen(1)}, queries); diff != "" {
		t.Errorf("queries (-want +got):\n%s", diff)
	}
}

func TestWaitingEndsWithItsContextAndSaysThatTheOperationGoesOn(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("wait") != "" {
			<-r.Context().Done()
			return
		}
		json.NewEncoder(w).Encode(metal.Operation{ID: "o-1", Status: metal.OpOpen})
	}))
	t.Cleanup(server.Close)
	ctx, cancel := context.WithCancel(t.Context())
	last, err := dial(t, client.Config{URL: server.URL}).WaitOperation(ctx, "o-1", func(metal.Operation) { cancel() })
	var e *metal.Error
	if !errors.Is(err, context.Canceled) || !errors.As(err, &e) || e.Operation != "o-1" || !strings.Contains(e.Message, "goes on") {
		t.Errorf("got %v; want the end of the context, and that the operation goes on", err)
	}
	if last.ID != "o-1" {
		t.Errorf("got %+v; want the last state that was seen", last)
	}
}

func TestWaitingForNothingIsNotFound(t *testing.T) {
	server, _ := answer(t, 404, `{"code":"not_found","message":"there is no operation o-9"}`)
	_, err := dial(t, client.Config{URL: server.URL}).WaitOperation(t.Context(), "o-9", nil)
	if metal.CodeOf(err) != metal.NotFound {
		t.Errorf("got %v; want a NotFound error", err)
	}
}

func TestOnlyOperationsThatFailedAreErrors(t *testing.T) {
	cases := []struct {
		name string
		op   metal.Operation
		code metal.Code
		want string
	}{
		{"open", metal.Operation{Status: metal.OpOpen}, "", ""},
		{"done", metal.Operation{Status: metal.OpDone}, "", ""},
		{"aborted", metal.Operation{ID: "o-1", Kind: metal.OpDeploy, Status: metal.OpAborted, Step: "write"}, metal.Conflict, `deploy (operation o-1) was aborted at step "write"`},
		{
			"failed", metal.Operation{ID: "o-1", Kind: metal.OpDeploy, Status: metal.OpFailed, Failure: &metal.Failure{Step: "write", Message: "the disk is full"}},
			metal.Internal, `deploy (operation o-1) failed at step "write": the disk is full`,
		},
		{"failed without a reason", metal.Operation{ID: "o-1", Kind: metal.OpDeploy, Status: metal.OpFailed}, metal.Internal, "metalctl operations log o-1"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			err := client.OperationError(tc.op)
			if metal.CodeOf(err) != tc.code || (err != nil && !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v; want %q with %q", err, tc.code, tc.want)
			}
		})
	}
}
