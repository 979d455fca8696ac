package metal_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestErrorfKeepsTheCause(t *testing.T) {
	for _, test := range []struct {
		name string
		err  *metal.Error
		text string
		is   []error
	}{
		{"without a cause", metal.Errorf(metal.Invalid, "no machine %s", "n1"), "no machine n1", nil},
		{"with one", metal.Errorf(metal.Conflict, "read the disk: %w", io.EOF), "read the disk: EOF", []error{io.EOF}},
		{"with two", metal.Errorf(metal.Conflict, "read: %w, then %w", io.EOF, fs.ErrNotExist), "read: EOF, then file does not exist", []error{io.EOF, fs.ErrNotExist}},
		{"with one that the message does not tell", &metal.Error{Code: metal.Conflict, Message: "the name is taken", Err: io.EOF}, "the name is taken: EOF", []error{io.EOF}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := test.err.Error(); got != test.text {
				t.Errorf("text: got %q; want %q", got, test.text)
			}
			for _, want := range test.is {
				if !errors.Is(test.err, want) {
					t.Errorf("it is not %v", want)
				}
			}
		})
	}
}

func TestCodeOf(t *testing.T) {
	for _, test := range []struct {
		name string
		err  error
		want metal.Code
	}{
		{"nothing", nil, ""},
		{"an error of ours", metal.Errorf(metal.NotFound, "x"), metal.NotFound},
		{"a wrapped one", fmt.Errorf("more: %w", metal.Errorf(metal.Exhausted, "x")), metal.Exhausted},
		{"a joined one", errors.Join(io.EOF, metal.Errorf(metal.Forbidden, "x")), metal.Forbidden},
		{"the outer of two", metal.Errorf(metal.Invalid, "x: %w", metal.Errorf(metal.Conflict, "y")), metal.Invalid},
		{"anything else", io.EOF, metal.Internal},
	} {
		if got := metal.CodeOf(test.err); got != test.want {
			t.Errorf("%s: got %q; want %q", test.name, got, test.want)
		}
	}
}
