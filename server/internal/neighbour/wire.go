package neighbour

import (
	"fmt"
	"net"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// frameSpace is room for the longest frame that is read, in bytes; what is longer is cut and then refused.
const frameSpace = 4096

// A wire is a packet socket on one Ethernet interface.
type wire struct {
	conn     *packet.Conn
	hardware hardware
}

// openWire opens a socket that receives only frames that came in on the interface itself and pass the checks.
func openWire(index int, etherType uint16, checks ...[]bpf.Instruction) (*wire, error) {
	device, err := net.InterfaceByIndex(index)
	if err != nil {
		return nil, metal.Errorf(metal.NotFound, "no interface has the index %d: %w", index, err)
	}
	if len(device.HardwareAddr) != len(hardware{}) {
		return nil, metal.Errorf(metal.Invalid, "interface %s is not Ethernet: it has no hardware address of six bytes", device.Name)
	}
	filter, err := bpf.Assemble(program(index, checks))
	if err != nil {
		return nil, fmt.Errorf("assemble the packet filter: %w", err)
	}
	conn, err := packet.Listen(device, packet.Raw, int(etherType), &packet.Config{Filter: filter})
	if err != nil {
		return nil, fmt.Errorf("open a packet socket on %s: %w", device.Name, err)
	}
	return &wire{conn, hardware(device.HardwareAddr)}, nil
}

// program is the filter of a socket. The kernel hands frames of VLAN sub-interfaces also to the sockets of the
// interface below, under the sub-interface's index; and frames of VLANs that have no sub-interface as meant for another
// host, with the tag gone. Both are of another link: the first two checks refuse them.
func program(index int, checks [][]bpf.Instruction) []bpf.Instruction {
	p := require(bpf.LoadExtension{Num: bpf.ExtInterfaceIndex}, bpf.JumpEqual, uint32(index))
	p = append(p, require(bpf.LoadExtension{Num: bpf.ExtType}, bpf.JumpLessOrEqual, unix.PACKET_MULTICAST)...)
	for _, check := range checks {
		p = append(p, check...)
	}
	return append(p, bpf.RetConstant{Val: frameSpace})
}

// require drops the frame unless what is loaded passes the test.
func require(load bpf.Instruction, test bpf.JumpTest, val uint32) []bpf.Instruction {
	return []bpf.Instruction{load, bpf.JumpIf{Cond: test, Val: val, SkipTrue: 1}, bpf.RetConstant{Val: 0}}
}

// onlyNDP passes neighbour solicitations and advertisements.
func onlyNDP() [][]bpf.Instruction {
	kind := bpf.LoadAbsolute{Off: etherLength + ipv6Length, Size: 1}
	return [][]bpf.Instruction{
		require(bpf.LoadAbsolute{Off: etherLength + 6, Size: 1}, bpf.JumpEqual, protocolICMPv6),
		require(kind, bpf.JumpGreaterOrEqual, neighbourSolicitation),
		require(kind, bpf.JumpLessOrEqual, neighbourAdvertisement),
	}
}

// onlyUDP4 passes UDP datagrams over IPv4 to a port, without fragments.
func onlyUDP4(port uint16) [][]bpf.Instruction {
	return [][]bpf.Instruction{
		require(bpf.LoadAbsolute{Off: etherLength + 9, Size: 1}, bpf.JumpEqual, protocolUDP),
		require(bpf.LoadAbsolute{Off: etherLength + 6, Size: 2}, bpf.JumpBitsNotSet, 0x3fff),
		append([]bpf.Instruction{bpf.LoadMemShift{Off: etherLength}}, // the length of the IPv4 header
			require(bpf.LoadIndirect{Off: etherLength + 2, Size: 2}, bpf.JumpEqual, uint32(port))...),
	}
}

// onlyUDP6 passes UDP datagrams over IPv6 to a port, without extension headers.
func onlyUDP6(port uint16) [][]bpf.Instruction {
	return [][]bpf.Instruction{
		require(bpf.LoadAbsolute{Off: etherLength + 6, Size: 1}, bpf.JumpEqual, protocolUDP),
		require(bpf.LoadAbsolute{Off: etherLength + ipv6Length + 2, Size: 2}, bpf.JumpEqual, uint32(port)),
	}
}

// hearAllGroups lets the frames of every multicast group through the card's filter: solicitations go to a group of
// their target, and there are 16 million of those.
func (w *wire) hearAllGroups(index int) error {
	raw, err := w.conn.SyscallConn()
	if err != nil {
		return fmt.Errorf("hear all multicast groups: %w", err)
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptPacketMreq(int(fd), unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP,
			&unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_ALLMULTI})
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return fmt.Errorf("hear all multicast groups: %w", err)
	}
	return nil
}

// openNDP opens a socket for Neighbor Discovery of everybody on the link.
func openNDP(index int) (*wire, error) {
	w, err := openWire(index, etherIPv6, onlyNDP()...)
	if err != nil {
		return nil, err
	}
	if err := w.hearAllGroups(index); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *wire) send(frame []byte) error {
	// The address of a raw packet socket chooses nothing: the frame has its own.
	_, err := w.conn.WriteTo(frame, &packet.Addr{HardwareAddr: frame[:6]})
	return err
}

// receive blocks for a frame with a whole Ethernet header.
func (w *wire) receive(buffer []byte) ([]byte, error) {
	for {
		n, _, err := w.conn.ReadFrom(buffer)
		if err != nil {
			return nil, err
		}
		if n >= etherLength {
			return buffer[:n], nil
		}
	}
}

func (w *wire) close() { _ = w.conn.Close() } // only its own blocked calls could tell anything of the error
