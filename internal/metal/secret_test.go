package metal_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestASecretIsNeverPrinted(t *testing.T) {
	const text = "correct-horse"
	secret := metal.NewSecret(text)
	held := struct{ Password metal.Secret }{secret}
	var log strings.Builder
	logger := slog.New(slog.NewTextHandler(&log, nil))
	logger.Info("login", "password", secret, "all", held)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("login", "password", secret, "all", held, "pointer", &secret)
	asJSON, err := json.Marshal(map[string]any{"a": secret, "b": held, "c": &secret})
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]string{"slog": log.String(), "json": string(asJSON), "error": fmt.Errorf("login with %v", secret).Error()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		shown[verb] = fmt.Sprintf(verb+" "+verb+" "+verb, secret, held, &secret)
	}
	for how, s := range shown {
		if strings.Contains(s, text) || strings.Contains(strings.ToLower(s), fmt.Sprintf("%x", text)) {
			t.Errorf("%s shows it: %s", how, s)
		}
	}
	if got := secret.Reveal(); got != text {
		t.Errorf("revealed: got %q; want %q", got, text)
	}
	if secret.Empty() || !metal.NewSecret("").Empty() {
		t.Error("Empty is wrong")
	}
}
