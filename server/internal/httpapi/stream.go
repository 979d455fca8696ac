package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const (
	// eventPage is how many events are read at once.
	eventPage = 500
	// eventWait is how long the stream is silent before a comment shows that it lives. Proxies tend to cut
	// connections that are silent for a minute.
	eventWait = "25s"
)

// handleUpload adds the endpoint whose body is content: it goes to the fleet as it comes in, however long it is.
func (s *server) handleUpload(e api.Endpoint[api.UploadImageRequest, metal.Image], h func(context.Context, api.UploadImageRequest) (metal.Image, error)) {
	op := operation(s, e)
	op.RequestBody = &huma.RequestBody{
		Description: "Content of the image, as a file", Required: true,
		Content: map[string]*huma.MediaType{"application/octet-stream": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}},
	}
	serve(s, op, e.ID, func(ctx context.Context, in api.ByName) (metal.Image, error) {
		return h(ctx, api.UploadImageRequest{ByName: in, Body: callOf(ctx).request.Body})
	})
}

// eventStream answers a request for events that accepts text/event-stream with a stream of all that follow.
func (s *server) eventStream(ctx huma.Context, next func(huma.Context)) {
	if !strings.Contains(ctx.Header("Accept"), "text/event-stream") {
		next(ctx)
		return
	}
	r, w := humago.Unwrap(ctx)
	after, err := firstEvent(r)
	if err != nil {
		writeProblem(w, s.problemOf(r.Context(), api.ListEvents.ID, err))
		return
	}
	s.streamEvents(r.Context(), w, after)
}

// firstEvent returns the number behind which the stream begins. A browser that connects again tells the last one it
// saw by header, with the same URL as before.
func firstEvent(r *http.Request) (int64, error) {
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		text = r.URL.Query().Get("after")
	}
	if text == "" {
		return 0, nil
	}
	after, err := strconv.ParseInt(text, 10, 64)
	if err != nil || after < 0 {
		return 0, metal.Errorf(metal.Invalid, "%q is not the number of an event: give the one to continue behind", text)
	}
	return after, nil
}

// streamEvents writes events until the client goes, the server stops or the fleet fails. The client then connects
// again and loses nothing, since it tells the number it saw last.
func (s *server) streamEvents(ctx context.Context, w http.ResponseWriter, after int64) {
	out := http.NewResponseController(w)
	for began := false; ; began = true {
		in := api.ListEventsRequest{After: after, Limit: eventPage}
		if began {
			in.Wait = eventWait
		}
		events, err := s.fleet.ListEvents(ctx, in)
		if err != nil {
			p := s.problemOf(ctx, api.ListEvents.ID, err)
			if !began {
				writeProblem(w, p)
			}
			return
		}
		if !began {
			w.Header().Set("Content-Type", "text/event-stream")
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusOK)
		}
		for _, event := range events.Items {
			err = errors.Join(err, writeEvent(w, event))
			after = event.Seq
		}
		if began && len(events.Items) == 0 {
			_, err = io.WriteString(w, ": nothing new\n\n")
		}
		if errors.Join(err, out.Flush(), ctx.Err()) != nil {
			return
		}
	}
}

// writeEvent writes one event in the form of the HTML standard, 9.2.5. JSON has no line breaks to escape.
func writeEvent(w io.Writer, event metal.Event) error {
	text, err := json.Marshal(event)
	if err != nil {
		return fmt.Errorf("encode event %d: %w", event.Seq, err)
	}
	_, err = fmt.Fprintf(w, "id: %d\nevent: %s\ndata: %s\n\n", event.Seq, strings.NewReplacer("\n", "", "\r", "").Replace(event.Kind), text)
	return err
}
