package network

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/mdlayher/packet"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// etherTypeLLDP marks frames of LLDP (IEEE 802.1AB-2016, 7.4).
const etherTypeLLDP = 0x88cc

// Neighbors collects what switches say of themselves while the machine's NICs are up. The zero value is ready.
type Neighbors struct {
	mu    sync.Mutex
	known map[string]metal.Neighbor // by NIC
	wait  sync.WaitGroup
}

// Listen starts to listen on a NIC until ctx ends. A NIC that cannot be listened to is logged and left out.
func (n *Neighbors) Listen(ctx context.Context, nic net.Interface, log *slog.Logger) {
	conn, err := packet.Listen(&nic, packet.Datagram, etherTypeLLDP, nil)
	if err != nil {
		log.Warn("listen for LLDP", "nic", nic.Name, "error", err)
		return
	}
	// The group that no bridge passes on: what is heard is the other end of the cable (7.1).
	if err := conn.JoinGroup(net.HardwareAddr{0x01, 0x80, 0xc2, 0x00, 0x00, 0x0e}); err != nil {
		log.Warn("join the LLDP group", "nic", nic.Name, "error", err)
	}
	stop := context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })
	n.wait.Go(func() {
		defer conn.Close()
		defer stop()
		buf := make([]byte, 1600)
		for ctx.Err() == nil {
			size, _, err := conn.ReadFrom(buf)
			if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil { // the NIC is down for a moment
				if !sleep(ctx, time.Second) {
					return
				}
				continue
			}
			n.put(nic.Name, buf[:size])
		}
	})
}

// Wait returns when all listeners ended.
func (n *Neighbors) Wait() { n.wait.Wait() }

func (n *Neighbors) put(nic string, pdu []byte) {
	neighbor, alive, ok := parseLLDP(pdu)
	if !ok {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.known == nil {
		n.known = map[string]metal.Neighbor{}
	}
	if alive {
		n.known[nic] = neighbor
	} else {
		delete(n.known, nic)
	}
}

// Of returns the neighbour that was last heard on a NIC; nil when there was none.
func (n *Neighbors) Of(nic string) *metal.Neighbor {
	n.mu.Lock()
	defer n.mu.Unlock()
	neighbor, ok := n.known[nic]
	if !ok {
		return nil
	}
	return &neighbor
}

// Types of TLVs (IEEE 802.1AB-2016, table 8-1).
const (
	tlvEnd        = 0
	tlvChassis    = 1
	tlvPort       = 2
	tlvTimeToLive = 3
	tlvSystemName = 5
	tlvVendor     = 127
)

// maxName bounds a name from the network (8.5.2.3: up to 255 bytes).
const maxName = 255

// parseLLDP reads an LLDPDU: TLVs of a 7-bit type and a 9-bit length, the first three of them chassis, port and
// time to live (8.2). alive is false when the neighbour says goodbye (time to live 0). ok is false for anything
// malformed.
func parseLLDP(pdu []byte) (n metal.Neighbor, alive, ok bool) {
	for i := 0; ; i++ {
		if len(pdu) < 2 {
			return n, alive, i >= 3 // the end TLV is sent by all and demanded by few
		}
		head := binary.BigEndian.Uint16(pdu)
		kind, length := int(head>>9), int(head&0x1ff)
		if len(pdu) < 2+length {
			return metal.Neighbor{}, false, false
		}
		value := pdu[2 : 2+length]
		pdu = pdu[2+length:]
		if mandatory := [...]int{tlvChassis, tlvPort, tlvTimeToLive}; i < len(mandatory) && (kind != mandatory[i] || length < 2) {
			return metal.Neighbor{}, false, false
		} else if i >= len(mandatory) && kind >= tlvChassis && kind <= tlvTimeToLive {
			return metal.Neighbor{}, false, false // 9.2.7.7.1: once each
		}
		switch kind {
		case tlvEnd:
			return n, alive, true
		case tlvChassis:
			n.Chassis = identity(value, 4, 5)
		case tlvPort:
			n.Port = identity(value, 3, 4)
		case tlvTimeToLive:
			alive = binary.BigEndian.Uint16(value) > 0
		case tlvSystemName:
			n.System = text(value)
		case tlvVendor:
			// IEEE 802.1Q, annex D: OUI 00-80-C2, subtype 1 is the port's VLAN.
			if length == 6 && [4]byte(value[:4]) == [4]byte{0x00, 0x80, 0xc2, 1} {
				n.VLAN = int(binary.BigEndian.Uint16(value[4:])) & 0xfff
			}
		}
	}
}

// identity writes a chassis or port id: its first byte tells what the rest is (8.5.2.2, 8.5.3.2). macKind and
// netKind are the numbers of the two kinds that are no text.
func identity(value []byte, macKind, netKind byte) string {
	kind, id := value[0], value[1:]
	switch {
	case kind == macKind && len(id) == 6:
		return net.HardwareAddr(id).String()
	case kind == netKind && len(id) > 1 && (id[0] == 1 || id[0] == 2): // IANA address family
		if a, ok := netip.AddrFromSlice(id[1:]); ok {
			return a.String()
		}
	case kind == macKind || kind == netKind:
		return hex.EncodeToString(id)
	}
	return text(id)
}

// text makes printable text of bytes from the network.
func text(raw []byte) string {
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(string(raw), ""))
	return clean[:min(len(clean), maxName)]
}
