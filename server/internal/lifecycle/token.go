package lifecycle

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// A boot token lets the agent of one boot say hello, once. It is told to the machine on its kernel command line, and
// is MAC, expiry and a nonce under an HMAC: the server stores nothing until the token is used.
const (
	bootTokenLife = 30 * time.Minute
	secretBytes   = 32
)

func freshSecret() []byte {
	b := make([]byte, secretBytes)
	rand.Read(b)
	return b
}

// BootToken makes a token for a boot of the machine with this NIC.
func (e *Engine) BootToken(mac metal.MAC) string {
	claim := fmt.Sprintf("%s %d %s", mac, e.cfg.Now().Add(bootTokenLife).Unix(), newID("b"))
	return encode64([]byte(claim)) + "." + encode64(e.sign(claim))
}

func (e *Engine) sign(claim string) []byte {
	h := hmac.New(sha256.New, e.secret)
	h.Write([]byte(claim))
	return h.Sum(nil)
}

func encode64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// openBootToken checks a token and returns what it claims; metal.Unauthorized for any token that is not ours or not
// valid any more.
func (e *Engine) openBootToken(token string) (mac metal.MAC, nonce string, err error) {
	refused := metal.Errorf(metal.Unauthorized, "the boot token is not valid: boot the machine from the network again")
	left, right, _ := strings.Cut(token, ".")
	claim, err1 := base64.RawURLEncoding.DecodeString(left)
	sum, err2 := base64.RawURLEncoding.DecodeString(right)
	if err1 != nil || err2 != nil || !hmac.Equal(sum, e.sign(string(claim))) {
		return "", "", refused
	}
	fields := strings.Fields(string(claim))
	if len(fields) != 3 {
		return "", "", refused
	}
	expiry, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil || e.cfg.Now().Unix() > expiry {
		return "", "", refused
	}
	return metal.MAC(fields[0]), fields[2], nil
}

// A session token is random; its hash is stored.
func newSessionToken() (token string, hash []byte) {
	token = encode64(freshSecret())
	return token, hashToken(token)
}

func hashToken(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// phoneHomeURL is where the installed system of an operation calls back.
func (e *Engine) phoneHomeURL(operation, token string) string {
	return e.cfg.BaseURL + "/phone-home/" + operation + "/" + token
}
