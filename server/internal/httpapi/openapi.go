package httpapi

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/metalform/terraform-provider-metal/internal/api"
)

const bearer = "bearer"

// configuration is huma's, without its own pages: they load scripts from elsewhere.
func configuration() huma.Config {
	config := huma.DefaultConfig("Metalform", api.Version)
	config.Info.Description = "Bare-metal provisioning: machines, networks, images, claims and deployments. " +
		"Every error has one form (Problem). Long commands answer with an operation, which is waited for by GetOperation."
	config.CreateHooks = nil
	config.DocsPath = ""
	config.SchemasPath = ""
	config.OpenAPIPath = ""
	config.RejectUnknownQueryParameters = true
	config.Transformers = []huma.Transformer{tellFaults}
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		bearer: {Type: "http", Scheme: "bearer", Description: "Token made by CreateToken or at the server's first start"},
	}
	config.Security = []map[string][]string{{bearer: {}}}
	return config
}

// problemResponse is the answer of every endpoint that is not a success.
func (s *server) problemResponse() *huma.Response {
	return &huma.Response{
		Description: "Not done",
		Content: map[string]*huma.MediaType{
			"application/json": {Schema: s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[api.Problem](), true, "Problem")},
		},
	}
}

// finishOpenAPI takes out what huma describes of its own errors, which no answer has, and adds the event stream.
func (s *server) finishOpenAPI() {
	document := s.api.OpenAPI()
	delete(document.Components.Schemas.Map(), reflect.TypeFor[huma.ErrorModel]().Name())
	delete(document.Components.Schemas.Map(), reflect.TypeFor[huma.ErrorDetail]().Name())
	events := document.Paths[api.ListEvents.Path].Get.Responses[statusText(api.ListEvents.Status)]
	events.Content["text/event-stream"] = &huma.MediaType{Schema: &huma.Schema{
		Type: huma.TypeString, Description: "Server-sent events: id is seq, event is kind, data is an Event",
	}}
}

// openAPI returns the document. Equal APIs have equal documents, byte by byte.
func (s *server) openAPI() []byte {
	text, err := json.MarshalIndent(s.api.OpenAPI(), "", "  ")
	if err != nil {
		// The document is made of the program's own types: this is a fault that every test shows.
		panic(fmt.Sprintf("encode the OpenAPI document: %v", err))
	}
	return append(text, '\n')
}
