package api_test

import (
	"net/http"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestEveryCodeHasAStatusOfItsOwn(t *testing.T) {
	seen := map[int]metal.Code{}
	for _, code := range []metal.Code{metal.Invalid, metal.NotFound, metal.Conflict, metal.Exhausted, metal.Unauthorized, metal.Forbidden, metal.Internal} {
		status := api.Status(code)
		if other, taken := seen[status]; taken {
			t.Errorf("%s and %s have status %d both", code, other, status)
		}
		seen[status] = code
		if client := code != metal.Internal && code != metal.Exhausted; (status < http.StatusInternalServerError) != client {
			t.Errorf("%s: got status %d", code, status)
		}
	}
	if got := api.Status("strange"); got != http.StatusInternalServerError {
		t.Errorf("a code that is none: got %d; want 500", got)
	}
}
