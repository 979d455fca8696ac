// Package api is the HTTP API, defined once: every endpoint, the types that cross it, and what error code has what
// status. The server registers these, the client calls them, docs/openapi.json is generated from them.
//
// Requests carry huma's struct tags: path, query and header parameters by name, and a field Body. Answers are the
// body alone; an ETag header goes with everything that has a revision.
package api

import (
	"net/http"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Version of the API, as OpenAPI tells it.
const Version = "1.0.0"

// An Endpoint ties a method and a path to the types that cross it.
type Endpoint[In, Out any] struct {
	ID      string // operation id in OpenAPI; the client's method has this name in Go form
	Method  string
	Path    string
	Status  int // on success
	Summary string
	Tag     string
}

// None is the answer of an endpoint that has none (204).
type None struct{}

// Status returns the HTTP status of an error code.
func Status(c metal.Code) int {
	switch c {
	case metal.Invalid:
		return http.StatusUnprocessableEntity
	case metal.NotFound:
		return http.StatusNotFound
	case metal.Conflict:
		return http.StatusConflict
	case metal.Exhausted:
		return http.StatusInsufficientStorage
	case metal.Unauthorized:
		return http.StatusUnauthorized
	case metal.Forbidden:
		return http.StatusForbidden
	default:
		return http.StatusInternalServerError
	}
}

// Problem is the body of every answer that is not a success.
type Problem struct {
	Code      metal.Code `json:"code" enum:"invalid,not_found,conflict,exhausted,unauthorized,forbidden,internal"`
	Message   string     `json:"message" doc:"One line: what was tried, on what, what happened, what to do"`
	Detail    string     `json:"detail,omitempty" doc:"Evidence, may have several lines"`
	Operation string     `json:"operation,omitempty" doc:"Operation that failed"`
}

// List is a page of a list.
type List[T any] struct {
	Items []T `json:"items"`
	// Next is the value of after for the next page; empty at the end.
	Next string `json:"next,omitempty" doc:"Value of after for the next page; absent at the end"`
}

// Page asks for a part of a list, in the order of ids.
type Page struct {
	After string `query:"after" doc:"Id or name to continue behind"`
	Limit int    `query:"limit" doc:"At most this many" default:"500" minimum:"1" maximum:"1000"`
}

// Precondition makes a write conditional on the object being unchanged.
type Precondition struct {
	IfMatch string `header:"If-Match" doc:"ETag the object must have; empty: whatever it has"`
}

// ByID names one object by its id; where the object has a name, the name serves as well.
type ByID struct {
	ID string `path:"id" doc:"Id or name"`
}

// ByName names one object.
type ByName struct {
	Name string `path:"name" pattern:"^[a-z0-9]([a-z0-9._-]{0,62})$" doc:"Name"`
}
