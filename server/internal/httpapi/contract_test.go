package httpapi_test

import (
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/httpapi"
)

var update = flag.Bool("update", false, "write docs/openapi.json")

// endpoint is what a row of the table in internal/api says.
type endpoint struct{ ID, Method, Path string }

// endpoints reads the table from its source, since Go cannot list a package's variables.
func endpoints(t *testing.T) []endpoint {
	t.Helper()
	var found []endpoint
	files := token.NewFileSet()
	sources, err := filepath.Glob("../../../internal/api/*.go")
	if err != nil || len(sources) == 0 {
		t.Fatalf("find the sources of internal/api: %v, %d files", err, len(sources))
	}
	for _, source := range sources {
		file, err := parser.ParseFile(files, source, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			literal, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			if generic, ok := literal.Type.(*ast.IndexListExpr); !ok || generic.X.(*ast.Ident).Name != "Endpoint" {
				return true
			}
			var texts [3]string
			for i := range texts {
				texts[i], err = strconv.Unquote(literal.Elts[i].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
			}
			found = append(found, endpoint{texts[0], texts[1], texts[2]})
			return true
		})
	}
	return found
}

func served(t *testing.T) []byte {
	t.Helper()
	w := httptest.NewRecorder()
	httpapi.New(&fleet{}, tokens{}, httpapi.Info{}, slog.New(slog.DiscardHandler)).
		ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/openapi.json", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("GET /v1/openapi.json: got status %d; want 200", w.Code)
	}
	return w.Body.Bytes()
}

func TestEveryEndpointHasARouteAFleetMethodAndAClientMethod(t *testing.T) {
	var document struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(served(t), &document); err != nil {
		t.Fatal(err)
	}
	table := endpoints(t)
	for _, e := range table {
		if got := document.Paths[e.Path][strings.ToLower(e.Method)].OperationID; got != e.ID {
			t.Errorf("%s %s: got operation %q; want %q", e.Method, e.Path, got, e.ID)
		}
		if _, ok := reflect.TypeFor[httpapi.Fleet]().MethodByName(e.ID); !ok {
			t.Errorf("Fleet has no method %s", e.ID)
		}
		if _, ok := reflect.TypeFor[*client.Client]().MethodByName(e.ID); !ok {
			t.Errorf("Client has no method %s", e.ID)
		}
	}
	if got, want := reflect.TypeFor[httpapi.Fleet]().NumMethod(), len(table); got != want {
		t.Errorf("Fleet: got %d methods; want %d, one per endpoint", got, want)
	}
	operations := 0
	for _, methods := range document.Paths {
		operations += len(methods)
	}
	if operations != len(table) {
		t.Errorf("OpenAPI: got %d operations; want %d, one per endpoint", operations, len(table))
	}
}

func TestEveryCodeHasAStatusOfItsOwn(t *testing.T) {
	want := map[metal.Code]int{
		metal.Invalid: 422, metal.NotFound: 404, metal.Conflict: 409, metal.Exhausted: 507,
		metal.Unauthorized: 401, metal.Forbidden: 403, metal.Internal: 500,
	}
	got := map[metal.Code]int{}
	for code := range want {
		got[code] = api.Status(code)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	field, _ := reflect.TypeFor[api.Problem]().FieldByName("Code")
	for code := range want {
		if !strings.Contains(","+field.Tag.Get("enum")+",", ","+string(code)+",") {
			t.Errorf("Problem.Code: the schema has %q; want it to allow %q", field.Tag.Get("enum"), code)
		}
	}
}

func TestTheDocumentIsTheOneInTheRepository(t *testing.T) {
	const path = "../../../docs/openapi.json"
	got := served(t)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, fs.FileMode(0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); diff != "" {
		t.Errorf("docs/openapi.json is stale: run go test ./server/internal/httpapi -update\n%s", diff)
	}
	if again := served(t); string(again) != string(got) {
		t.Error("two servers of the same program serve different documents")
	}
}

func TestTheDocumentTellsOneErrorForm(t *testing.T) {
	text := string(served(t))
	for _, absent := range []string{"ErrorModel", "problem+json", "$schema"} {
		if strings.Contains(text, absent) {
			t.Errorf("the document has %q, which no answer has", absent)
		}
	}
}
