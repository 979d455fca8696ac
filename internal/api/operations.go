package api

import (
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// ListOperationsRequest filters by every field that is not empty.
type ListOperationsRequest struct {
	Page
	IDs     []string `query:"ids" doc:"Only these, separated by commas"`
	Machine string   `query:"machine" doc:"Id of the machine"`
	Status  string   `query:"status" doc:"open, done, failed or aborted"`
}

// GetOperationRequest reads an operation; with wait it is a long poll.
type GetOperationRequest struct {
	ByID
	Wait string `query:"wait" doc:"Answer when the operation changed (see seen) or ended, or after this time (Go duration, at most 60s)"`
	// Seen is the ChangedAt the caller knows, in Unix nanoseconds: the poll answers when it differs. Empty: when ended.
	Seen string `query:"seen" doc:"changed_at that the caller knows, in Unix nanoseconds; absent: wait for the end"`
}

// GetLogRequest reads an operation's log.
type GetLogRequest struct {
	ByID
	After int64  `query:"after" doc:"Number of the line to continue behind" minimum:"0"`
	Wait  string `query:"wait" doc:"Answer when there is a line, or after this time (Go duration, at most 60s)"`
}

// Log is a part of an operation's log.
type Log struct {
	Lines []LogLine `json:"lines"`
	Ended bool      `json:"ended" doc:"The operation is over: no line will follow these"`
}

// LogLine is one line.
type LogLine struct {
	Number int64     `json:"number"`
	At     time.Time `json:"at"`
	Text   string    `json:"text"`
}

// ListEventsRequest reads the event stream; GET /v1/events with Accept: text/event-stream streams it.
type ListEventsRequest struct {
	After int64  `query:"after" doc:"Number of the event to continue behind" minimum:"0"`
	Limit int    `query:"limit" default:"500" minimum:"1" maximum:"1000"`
	Wait  string `query:"wait" doc:"Answer when there is an event, or after this time (Go duration, at most 60s)"`
}

// Token is a bearer token as the server remembers it: without the token itself.
type Token struct {
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"created_at"`
	UsedAt    time.Time `json:"used_at,omitzero"`
}

// CreateTokenRequest makes a token.
type CreateTokenRequest struct {
	ByName
}

// NewToken is the answer, the only time the token is told.
type NewToken struct {
	Token
	Secret string `json:"secret" doc:"The bearer token; not told again"`
}

// ServerStatus is what the server tells of itself and of the caller.
type ServerStatus struct {
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	Token   string    `json:"token" doc:"Name of the caller's token"`
	// Services lists what runs, and where.
	Services map[string]string `json:"services" doc:"What runs, and on which address"`
}

const (
	operations = "operations"
	server     = "server"
)

// Endpoints of operations and the server itself.
var (
	ListOperations  = Endpoint[ListOperationsRequest, List[metal.Operation]]{"ListOperations", "GET", "/v1/operations", 200, "List operations, newest first", operations}
	GetOperation    = Endpoint[GetOperationRequest, metal.Operation]{"GetOperation", "GET", "/v1/operations/{id}", 200, "Read an operation", operations}
	GetOperationLog = Endpoint[GetLogRequest, Log]{"GetOperationLog", "GET", "/v1/operations/{id}/log", 200, "Read an operation's log", operations}
	ListEvents      = Endpoint[ListEventsRequest, List[metal.Event]]{"ListEvents", "GET", "/v1/events", 200, "Read what changed", operations}

	GetStatus   = Endpoint[None, ServerStatus]{"GetStatus", "GET", "/v1/status", 200, "Who am I, and who are you", server}
	ListTokens  = Endpoint[None, List[Token]]{"ListTokens", "GET", "/v1/tokens", 200, "List tokens", server}
	CreateToken = Endpoint[CreateTokenRequest, NewToken]{"CreateToken", "POST", "/v1/tokens/{name}", 201, "Make a token", server}
	DeleteToken = Endpoint[ByName, None]{"DeleteToken", "DELETE", "/v1/tokens/{name}", 204, "Revoke a token", server}
)
