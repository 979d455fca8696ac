package dhcp

import (
	"encoding/binary"
	"net"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// leastLength is that of a BOOTP message: some relay agents and firmware drop what is shorter (RFC 951, RFC 1542, 2.1).
const leastLength = 300

// appendReply appends a reply as it goes on the wire, as the library's ToBytes does it, into memory that is there
// already. Options are in the order of their codes, the relay agent's information last (RFC 3046, 2.1), and those of
// more than 255 bytes in parts (RFC 3396).
func appendReply(b []byte, r *dhcpv4.DHCPv4) []byte {
	const hardwareRoom, nameRoom, fileRoom = 16, 64, 128
	start := len(b)
	b = append(b, byte(r.OpCode), byte(r.HWType), byte(len(r.ClientHWAddr)), r.HopCount)
	b = append(b, r.TransactionID[:]...)
	b = binary.BigEndian.AppendUint16(b, r.NumSeconds)
	b = binary.BigEndian.AppendUint16(b, r.Flags)
	for _, ip := range [...]net.IP{r.ClientIPAddr, r.YourIPAddr, r.ServerIPAddr, r.GatewayIPAddr} {
		four := [4]byte{}
		copy(four[:], ip.To4())
		b = append(b, four[:]...)
	}
	fixed := [hardwareRoom + nameRoom + fileRoom]byte{}
	copy(fixed[:hardwareRoom], r.ClientHWAddr)
	copy(fixed[hardwareRoom:hardwareRoom+nameRoom-1], r.ServerHostName) // both end with a zero
	copy(fixed[hardwareRoom+nameRoom:len(fixed)-1], r.BootFileName)
	b = append(b, fixed[:]...)
	b = append(b, 99, 130, 83, 99) // RFC 2131, 3
	var has [256]bool
	for code := range r.Options {
		has[code] = true
	}
	for code := 1; code < 255; code++ {
		if has[code] && code != codeRelay {
			b = appendOption(b, uint8(code), r.Options[uint8(code)])
		}
	}
	if has[codeRelay] {
		b = appendOption(b, codeRelay, r.Options[codeRelay])
	}
	b = append(b, 255)
	for len(b)-start < leastLength {
		b = append(b, 0)
	}
	return b
}

func appendOption(b []byte, code uint8, value []byte) []byte {
	const most = 255
	for {
		part := value[:min(len(value), most)]
		b = append(append(b, code, byte(len(part))), part...)
		if value = value[len(part):]; len(value) == 0 {
			return b
		}
	}
}
