package metadata

import (
	"encoding/base64"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/ssh"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// maxKey bounds a line of authorized_keys; a key of RSA with 16384 bits has 2.7 KiB.
const maxKey = 16 << 10

// ParseSSHKey reads a public key as in a line of authorized_keys (sshd(8)): options, type, base64, comment. It returns
// the line in canonical form, and the key's SHA256 fingerprint as ssh-keygen -l shows it. Anything that sshd would not
// take for one key is an Invalid error.
func ParseSSHKey(line string) (canonical, fingerprint string, err error) {
	k, err := parseKey(line)
	if err != nil {
		return "", "", err
	}
	var parts []string
	if len(k.options) > 0 {
		parts = append(parts, strings.Join(k.options, ","))
	}
	parts = append(parts, k.String())
	if k.comment != "" {
		parts = append(parts, k.comment)
	}
	return strings.Join(parts, " "), ssh.FingerprintSHA256(k), nil
}

// authorized is one line of authorized_keys.
type authorized struct {
	ssh.PublicKey
	options []string
	comment string
}

// String returns type and base64, as known_hosts holds them.
func (k authorized) String() string {
	return k.Type() + " " + base64.StdEncoding.EncodeToString(k.Marshal())
}

func parseKey(line string) (authorized, error) {
	line = strings.TrimSpace(line)
	refuse := func(format string, args ...any) (authorized, error) {
		return authorized{}, metal.Errorf(metal.Invalid, format, args...)
	}
	switch {
	case line == "":
		return refuse("an SSH key is empty")
	case strings.Contains(line, "PRIVATE KEY"):
		return refuse("an SSH key is a private one: give the public key, the content of the .pub file")
	case len(line) > maxKey:
		return refuse("an SSH key has %d characters; at most %d are allowed", len(line), maxKey)
	case !utf8.ValidString(line) || strings.ContainsFunc(line, unprintable):
		return refuse("an SSH key holds a line break, a control character or what is not UTF-8: give one key, on one line")
	}
	key, comment, options, _, err := ssh.ParseAuthorizedKey([]byte(line))
	switch {
	case err != nil:
		return refuse("%s is not an SSH public key: give one line as in authorized_keys", shorten(line))
	case key.Type() == "ssh-dss":
		return refuse("%s is a DSA key, which sshd no longer takes: make one of type ed25519", shorten(line))
	case strings.Contains(key.Type(), "-cert-"):
		return refuse("%s is an SSH certificate: give the public key of its authority, with the option cert-authority", shorten(line))
	}
	return authorized{key, options, comment}, nil
}

func unprintable(r rune) bool { return r != ' ' && r != '\t' && !unicode.IsPrint(r) }

// shorten shows enough of a line to find it again.
func shorten(line string) string {
	const enough = 40
	if runes := []rune(line); len(runes) > enough {
		line = string(runes[:enough]) + "..."
	}
	return `"` + line + `"`
}
