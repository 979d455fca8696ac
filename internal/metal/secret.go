package metal

import (
	"fmt"
	"io"
	"log/slog"
)

// Secret is text that must not leave by accident: every way of printing or encoding it shows "[secret]".
// Only Reveal returns what it holds.
type Secret struct{ text string }

// NewSecret wraps text.
func NewSecret(text string) Secret { return Secret{text} }

// Reveal returns the text. Callers hand it straight to the protocol that needs it.
func (s Secret) Reveal() string { return s.text }

// Empty says whether there is no text.
func (s Secret) Empty() bool { return s.text == "" }

// String returns a placeholder.
func (s Secret) String() string { return "[secret]" }

// Format writes a placeholder for every verb: %d, say, would pass String by.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[secret]") }

// MarshalText returns a placeholder.
func (s Secret) MarshalText() ([]byte, error) { return []byte("[secret]"), nil }

// LogValue returns a placeholder.
func (s Secret) LogValue() slog.Value { return slog.StringValue("[secret]") }
