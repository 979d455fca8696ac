package client

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// A request is one API call in HTTP's terms. It can be sent more than once, unless it streams.
type request struct {
	method string
	path   string // escaped, with the endpoint's parameters filled in
	query  url.Values
	header http.Header
	body   []byte    // JSON, or nil
	stream io.Reader // instead of body: sent once
	wait   time.Duration
	again  bool // safe to repeat whatever the method
}

// newRequest fills an endpoint's path, query, headers and body from the struct tags of in (path, query, header, and
// a field Body), embedded structs included. Zero values are left out: to the server they mean the default.
func newRequest(method, path string, in any) (request, error) {
	r := request{method: method, path: path, query: url.Values{}, header: http.Header{}}
	if err := r.fill(reflect.ValueOf(in)); err != nil {
		return request{}, fmt.Errorf("build %s %s: %w", method, path, err)
	}
	if text := r.query.Get("wait"); text != "" {
		wait, err := time.ParseDuration(text)
		if err != nil {
			return request{}, fmt.Errorf("build %s %s: wait: %w", method, path, err)
		}
		r.wait = wait
	}
	return r, nil
}

func (r *request) fill(v reflect.Value) error {
	for i := range v.NumField() {
		field, value := v.Type().Field(i), v.Field(i)
		switch {
		case field.Anonymous:
			if err := r.fill(value); err != nil {
				return err
			}
		case field.Name == "Body":
			if err := r.fillBody(value.Interface()); err != nil {
				return err
			}
		default:
			if err := r.fillParameter(field, value); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *request) fillBody(body any) error {
	if stream, ok := body.(io.Reader); ok {
		r.stream = stream
		return nil
	}
	text, err := json.Marshal(body)
	r.body = text
	return err
}

func (r *request) fillParameter(field reflect.StructField, value reflect.Value) error {
	text, err := parameter(value)
	if err != nil {
		return fmt.Errorf("field %s: %w", field.Name, err)
	}
	if name, ok := field.Tag.Lookup("path"); ok {
		if text == "" || text == "." || text == ".." {
			return fmt.Errorf("%q cannot be the %s of a thing", text, name)
		}
		r.path = strings.ReplaceAll(r.path, "{"+name+"}", url.PathEscape(text))
		return nil
	}
	if text == "" {
		return nil
	}
	if name, ok := field.Tag.Lookup("query"); ok {
		name, _, _ = strings.Cut(name, ",")
		r.query.Set(name, text)
	} else if name, ok := field.Tag.Lookup("header"); ok {
		r.header.Set(name, text)
	}
	return nil
}

// parameter returns a parameter's text; empty for a zero value.
func parameter(v reflect.Value) (string, error) {
	if v.IsZero() {
		return "", nil
	}
	switch v.Kind() {
	case reflect.String:
		return v.String(), nil
	case reflect.Int, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10), nil
	case reflect.Bool:
		return strconv.FormatBool(v.Bool()), nil
	case reflect.Slice:
		items := make([]string, v.Len())
		for i := range items {
			text, err := parameter(v.Index(i))
			if err != nil {
				return "", err
			}
			items[i] = text
		}
		return strings.Join(items, ","), nil
	default:
		return "", fmt.Errorf("a %s cannot be a parameter", v.Kind())
	}
}

// bodyReader returns a fresh reader of the body, its content type, and nil where there is none.
func (r *request) bodyReader() (io.Reader, string) {
	switch {
	case r.stream != nil:
		// The caller opened the stream and closes it.
		return io.NopCloser(r.stream), "application/octet-stream"
	case r.body != nil:
		return bytes.NewReader(r.body), "application/json"
	default:
		return nil, ""
	}
}
