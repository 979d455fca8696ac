package layout

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// identity makes the UUID of one thing of a deployment (RFC 9562 version 8): the same for ever, and another one for
// everything else.
func identity(deployment, what, name string) string {
	sum := digest(deployment, what, name)
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	h := hex.EncodeToString(sum[:16])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

func digest(deployment, what, name string) [32]byte {
	return sha256.Sum256([]byte("metalform storage\x00" + deployment + "\x00" + what + "\x00" + name))
}

// arrayIdentity is the same as mdadm writes it.
func arrayIdentity(deployment, name string) string {
	h := strings.ReplaceAll(identity(deployment, "array", name), "-", "")
	return h[:8] + ":" + h[8:16] + ":" + h[16:24] + ":" + h[24:]
}

// fatIdentity is a volume id of vfat as blkid writes it.
func fatIdentity(deployment, name string) string {
	sum := digest(deployment, "filesystem", name)
	return fmt.Sprintf("%02X%02X-%02X%02X", sum[0], sum[1], sum[2], sum[3])
}
