package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const (
	// maxBody bounds the body of a request.
	maxBody = 1 << 20
	// maxUserData is what user data of 1 MiB can take more, in JSON's longest spelling (six bytes for one).
	maxUserData = 6 << 20
	// maxFile is what a lease file of 64 MiB takes in JSON, where each end of a line, quote and backslash has two bytes.
	maxFile = 128 << 20
)

// success is an answer with a body.
type success[Out any] struct {
	ETag string `header:"ETag" doc:"Revision of the object, for If-Match and If-None-Match"`
	Body Out
}

// plain is an answer with a body of something that has no revision.
type plain[Out any] struct {
	Body Out
}

// handle adds one endpoint to the API.
func handle[In, Out any](s *server, e api.Endpoint[In, Out], h func(context.Context, In) (Out, error), middlewares ...func(huma.Context, func(huma.Context))) {
	op := operation[In, Out](s, e)
	op.Middlewares = middlewares
	serve(s, op, e.ID, h)
}

// serve picks the form of the answer: none, with an ETag, or without.
func serve[In, Out any](s *server, op huma.Operation, id string, h func(context.Context, In) (Out, error)) {
	run := func(ctx context.Context, in *In) (Out, error) {
		out, err := h(ctx, *in)
		if err != nil {
			return out, s.problemOf(ctx, id, err)
		}
		return withItems(out), nil
	}
	switch {
	case reflect.TypeFor[Out]() == reflect.TypeFor[api.None]():
		huma.Register(s.api, op, func(ctx context.Context, in *In) (*struct{}, error) {
			_, err := run(ctx, in)
			return nil, err
		})
	case hasRevision[Out]():
		huma.Register(s.api, op, func(ctx context.Context, in *In) (*success[Out], error) {
			out, err := run(ctx, in)
			if err != nil {
				return nil, err
			}
			return tagged(ctx, op.Method, out)
		})
	default:
		huma.Register(s.api, op, func(ctx context.Context, in *In) (*plain[Out], error) {
			out, err := run(ctx, in)
			if err != nil {
				return nil, err
			}
			return &plain[Out]{out}, nil
		})
	}
}

// operation describes an endpoint to huma.
func operation[In, Out any](s *server, e api.Endpoint[In, Out]) huma.Operation {
	op := huma.Operation{
		OperationID: e.ID, Method: e.Method, Path: e.Path, DefaultStatus: e.Status, Summary: e.Summary, Tags: []string{e.Tag},
		MaxBodyBytes: maxBody,
		// huma's deadline stays on the connection after the body, and would end long calls.
		BodyReadTimeout: -1,
		Responses:       map[string]*huma.Response{"default": s.problemResponse()},
	}
	if body, ok := reflect.TypeFor[In]().FieldByName("Body"); ok && body.Type.Kind() == reflect.Struct {
		if _, ok := body.Type.FieldByName("UserData"); ok {
			op.MaxBodyBytes += maxUserData
		}
		if body.Type == reflect.TypeFor[api.ImportLeasesBody]() {
			op.MaxBodyBytes = maxFile
		}
	}
	if e.Method == http.MethodGet && isCovered[Out]() {
		op.Parameters = []*huma.Param{{
			Name: "If-None-Match", In: "header", Schema: &huma.Schema{Type: huma.TypeString},
			Description: "ETag the caller knows: when it is still right, the answer is 304 without a body",
		}}
		op.Responses["304"] = &huma.Response{Description: "The caller's copy is still right"}
	}
	return op
}

// hasRevision says whether Out has an ETag.
func hasRevision[Out any]() bool {
	t := reflect.TypeFor[Out]()
	field, ok := t.FieldByName("Revision")
	return ok && field.Type.Kind() == reflect.Int64
}

// isCovered says whether everything in Out changes its revision. The others tell facts of other objects too, such as
// how many machines a pool has: their ETag is good for conditional writes, but not to leave an answer out.
func isCovered[Out any]() bool {
	switch any(*new(Out)).(type) {
	case metal.Machine, metal.Image, metal.SSHKey, metal.Fabric, metal.Space, metal.VLAN, metal.IPRange, metal.StaticRoute,
		metal.Reservation, metal.Device, metal.RecordSet, metal.DNSKey:
		return true
	default:
		return false
	}
}

// tagged adds the ETag to an answer, and leaves the answer out when the caller has it.
func tagged[Out any](ctx context.Context, method string, out Out) (*success[Out], error) {
	etag := fmt.Sprintf(`"%d"`, reflect.ValueOf(out).FieldByName("Revision").Int())
	if method == http.MethodGet && isCovered[Out]() && matches(callOf(ctx).request.Header.Get("If-None-Match"), etag) {
		return nil, huma.ErrorWithHeaders(&problem{status: http.StatusNotModified}, http.Header{"Etag": {etag}})
	}
	return &success[Out]{ETag: etag, Body: out}, nil
}

// matches reads an If-None-Match header, which compares weakly (RFC 9110, 13.1.2). An asterisk never matches here:
// it asks whether there is any object, which a GET answers better with the object.
func matches(header, etag string) bool {
	for one := range strings.SplitSeq(header, ",") {
		if strings.TrimPrefix(strings.TrimSpace(one), "W/") == etag {
			return true
		}
	}
	return false
}

// withItems makes an empty list of a list that is nil, so that clients see [] and never null.
func withItems[Out any](out Out) Out {
	items := reflect.ValueOf(&out).Elem()
	if items = items.FieldByName("Items"); items.IsValid() && items.Kind() == reflect.Slice && items.IsNil() {
		items.Set(reflect.MakeSlice(items.Type(), 0, 0))
	}
	return out
}

// statusText is the key of a status among an operation's responses.
func statusText(status int) string { return strconv.Itoa(status) }
