package bmctest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// maxBody bounds what a client may send.
const maxBody = 64 << 10

// A resource is a Redfish resource as JSON.
type resource map[string]any

// link returns a reference to a resource (DSP0266, 9.6.4).
func link(path string) resource { return resource{"@odata.id": path} }

// collection returns a resource collection (DSP0266, 9.7).
func collection(path, schema, name string, members ...string) resource {
	links := make([]resource, 0, len(members))
	for _, m := range members {
		links = append(links, link(m))
	}
	return resource{
		"@odata.id": path, "@odata.type": "#" + schema + "." + schema, "Name": name,
		"Members": links, "Members@odata.count": len(links),
	}
}

// etag returns the entity tag of a resource: the same content has the same tag.
func (r resource) etag() (string, error) {
	body, err := json.Marshal(r) // in the order of keys
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(body)
	return `"` + hex.EncodeToString(sum[:8]) + `"`, nil
}

// A redfishError is an answer other than success, with one message of the Base registry (DSP0268).
type redfishError struct {
	status  int
	key     string // message key in the Base registry
	message string
}

func (e *redfishError) Error() string { return e.message }

func failf(status int, key, format string, args ...any) *redfishError {
	return &redfishError{status, key, fmt.Sprintf(format, args...)}
}

// answer writes a resource, or nothing when it is nil.
func answer(w http.ResponseWriter, status int, body resource) error {
	if body == nil {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	tag, err := body.etag()
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	if body["@odata.id"] != nil {
		body["@odata.etag"] = tag
		w.Header().Set("ETag", tag)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	return json.NewEncoder(w).Encode(body)
}

// answerError writes the error body of DSP0266, 8.6. What is not a redfishError comes from the hardware.
func answerError(w http.ResponseWriter, err error) error {
	var e *redfishError
	if !errors.As(err, &e) {
		e = failf(http.StatusInternalServerError, "InternalError", "The hardware failed: %v.", err)
	}
	if e.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="BMC"`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.status)
	return json.NewEncoder(w).Encode(resource{"error": resource{
		"code":    "Base.1.18.GeneralError",
		"message": "A general error has occurred. See ExtendedInfo for more information.",
		"@Message.ExtendedInfo": []resource{{
			"@odata.type":     "#Message.v1_2_0.Message",
			"MessageId":       "Base.1.18." + e.key,
			"Message":         e.message,
			"MessageSeverity": "Critical",
			"Resolution":      "Correct the request and submit it again.",
		}},
	}})
}

// readBody decodes a request's body strictly.
func readBody(w http.ResponseWriter, r *http.Request, into any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil && d.Decode(&struct{}{}) != io.EOF {
		err = errors.New("more than one JSON value")
	}
	if err != nil {
		return failf(http.StatusBadRequest, "UnrecognizedRequestBody", "The service could not use the request body: %v.", err)
	}
	return nil
}

// matches says whether an If-Match header lets a request through (RFC 9110, 13.1.1); without the header it does.
func matches(header, tag string) bool {
	if header == "" || strings.TrimSpace(header) == "*" {
		return true
	}
	for candidate := range strings.SplitSeq(header, ",") {
		if strings.TrimSpace(candidate) == tag {
			return true
		}
	}
	return false
}
