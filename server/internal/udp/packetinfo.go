package udp

import (
	"encoding/binary"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// family is the address family of a socket.
type family int

const (
	inet4 family = unix.AF_INET
	inet6 family = unix.AF_INET6
)

// families is fixed: the networks that Listen takes.
var families = map[string]family{"udp4": inet4, "udp6": inet6}

// rawConn is the file descriptor of a socket, as package net lends it.
type rawConn = syscall.RawConn

// controlSpace is room for one IP_PKTINFO or IPV6_PKTINFO control message, in bytes: header of 16, IPv6 body of 20,
// rounded up.
const controlSpace = 40

// packetInfo reads the destination address and the interface index out of the control messages that came with a
// datagram (ip(7), IP_PKTINFO; RFC 3542, section 6.1). Both are zero when none tells them.
func packetInfo(oob []byte) (to netip.Addr, ifIndex int) {
	for len(oob) >= unix.SizeofCmsghdr {
		header, body, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			return to, ifIndex
		}
		switch {
		case header.Level == unix.IPPROTO_IP && header.Type == unix.IP_PKTINFO && len(body) >= unix.SizeofInet4Pktinfo:
			// struct in_pktinfo: index, local address that the kernel would answer from, destination in the header
			ifIndex = int(binary.NativeEndian.Uint32(body))
			to = netip.AddrFrom4([4]byte(body[8:12]))
		case header.Level == unix.IPPROTO_IPV6 && header.Type == unix.IPV6_PKTINFO && len(body) >= unix.SizeofInet6Pktinfo:
			// struct in6_pktinfo: destination, index
			to = netip.AddrFrom16([16]byte(body[:16])).Unmap()
			ifIndex = int(binary.NativeEndian.Uint32(body[16:]))
		}
		oob = rest
	}
	return to, ifIndex
}

// appendPacketInfo appends the control message that chooses the source address and the interface of a datagram to be
// sent; nothing where neither is chosen.
func appendPacketInfo(b []byte, fam family, source netip.Addr, ifIndex int) []byte {
	if !usableSource(source, fam) {
		source = netip.Addr{}
	}
	if !source.IsValid() && ifIndex == 0 {
		return b
	}
	if fam == inet4 {
		b = appendHeader(b, unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
		b = binary.NativeEndian.AppendUint32(b, uint32(ifIndex))
		b = append4(b, source)
		b = append(b, 0, 0, 0, 0) // ipi_addr is read only
		return append(b, make([]byte, unix.CmsgSpace(unix.SizeofInet4Pktinfo)-unix.CmsgLen(unix.SizeofInet4Pktinfo))...)
	}
	b = appendHeader(b, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)
	if source.IsValid() {
		from := source.As16()
		b = append(b, from[:]...)
	} else {
		b = append(b, make([]byte, 16)...)
	}
	b = binary.NativeEndian.AppendUint32(b, uint32(ifIndex))
	return append(b, make([]byte, unix.CmsgSpace(unix.SizeofInet6Pktinfo)-unix.CmsgLen(unix.SizeofInet6Pktinfo))...)
}

// appendHeader appends a struct cmsghdr for a body of size bytes. Its length field is a size_t.
func appendHeader(b []byte, level, kind int32, size int) []byte {
	if unix.SizeofCmsghdr == 16 {
		b = binary.NativeEndian.AppendUint64(b, uint64(unix.CmsgLen(size)))
	} else {
		b = binary.NativeEndian.AppendUint32(b, uint32(unix.CmsgLen(size)))
	}
	b = binary.NativeEndian.AppendUint32(b, uint32(level))
	return binary.NativeEndian.AppendUint32(b, uint32(kind))
}

// append4 appends an IPv4 address, or zeros for none.
func append4(b []byte, addr netip.Addr) []byte {
	if !addr.IsValid() {
		return append(b, 0, 0, 0, 0)
	}
	a := addr.As4()
	return append(b, a[:]...)
}

// usableSource says whether addr may stand as a source address in a packet of the family.
func usableSource(addr netip.Addr, fam family) bool {
	if !addr.IsValid() || addr.IsUnspecified() || addr.IsMulticast() {
		return false
	}
	return addr.Is4() == (fam == inet4)
}

// onSocket runs act on the file descriptor and returns its error.
func onSocket(raw rawConn, act func(fd int) error) error {
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = act(int(fd)) }); err != nil {
		return err
	}
	return failed
}
