package tftp

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Error codes of RFC 1350, section 5, as far as the library does not send them itself.
const (
	codeUndefined uint16 = 0 // see the message
	codeAccess    uint16 = 2 // access violation
)

// toClient is an error whose text is the message of the error packet that the library sends.
type toClient string

// Error returns the message for the client.
func (e toClient) Error() string { return string(e) }

// peer is who asks, and which of our addresses was asked.
type peer struct {
	remote netip.AddrPort
	local  net.IP
}

// peerOf takes both from the library's transfer, which tells them by methods.
func peerOf(transfer any) peer {
	var p peer
	if t, ok := transfer.(interface{ RemoteAddr() net.UDPAddr }); ok {
		address := t.RemoteAddr()
		from := address.AddrPort()
		p.remote = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	}
	if t, ok := transfer.(interface{ LocalIP() net.IP }); ok {
		p.local = t.LocalIP()
	}
	return p
}

// refuse sends an error packet with code, and returns the error that ends the transfer. The library knows error code 1
// only, file not found, which would have a client look for another file. So ours goes first, from the port that was
// asked; the client ends with it and no longer hears the library's.
func (s *Server) refuse(p peer, code uint16, text string) error {
	packet := binary.BigEndian.AppendUint16(nil, 5)
	packet = binary.BigEndian.AppendUint16(packet, code)
	packet = append(append(packet, text...), 0)
	if _, _, err := s.conn.WriteMsgUDP(packet, sourceControl(p.local), net.UDPAddrFromAddrPort(p.remote)); err != nil {
		s.log.Debug("TFTP refusal not sent", "client", p.remote, "error", err)
	}
	return toClient(text)
}

// sourceControl is the control message that has a packet leave from the address local; nil where that is none that a
// packet can leave from.
func sourceControl(local net.IP) []byte {
	switch {
	case len(local) == 0 || local.IsUnspecified() || local.IsMulticast() || local.Equal(net.IPv4bcast):
		return nil
	case local.To4() != nil:
		return (&ipv4.ControlMessage{Src: local}).Marshal()
	default:
		return (&ipv6.ControlMessage{Src: local}).Marshal()
	}
}

// message is what a client may be told of err.
func message(err error) string {
	var told *metal.Error
	if errors.As(err, &told) && told.Code != metal.Internal {
		return told.Message
	}
	return "internal error of the server"
}
