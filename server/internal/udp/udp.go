// Package udp is the one datagram loop that every UDP service of the server runs on: bounded in memory and in
// goroutines, stopped by its context, and telling each handler by which interface and for which address a datagram
// came. It knows no protocol.
package udp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const (
	// MaxPayload is the longest datagram that is received, in bytes; longer ones are dropped and counted. DNS asks
	// for at most 4096 (RFC 6891, section 6.2.5), DHCP and NTP for less.
	MaxPayload = 4096

	// receiveBuffer is asked of the kernel, in bytes, so that a whole room of machines that boots at once fits; without
	// CAP_NET_ADMIN the kernel gives less where net.core.rmem_max says so.
	receiveBuffer = 4 << 20
)

// A Conn is a UDP socket of one address family. Its methods may be called from many goroutines.
type Conn struct {
	socket   *net.UDPConn
	batch    batcher
	family   family
	received atomic.Uint64
	dropped  atomic.Uint64
	oversize atomic.Uint64
}

// batcher is what ipv4.PacketConn and ipv6.PacketConn have in common: many datagrams with one system call.
type batcher interface {
	ReadBatch(messages []ipv4.Message, flags int) (int, error)
	WriteBatch(messages []ipv4.Message, flags int) (int, error)
}

// Stats counts datagrams since the socket was opened.
type Stats struct {
	Received uint64 // handed to a handler, or waiting for one
	Dropped  uint64 // thrown away because the queue of their worker was full
	Oversize uint64 // thrown away because they were longer than MaxPayload
}

// Listen opens a socket on addr ("host:port", where an empty host is every address) for network "udp4" or "udp6". A
// udp6 socket takes no IPv4. With iface, only datagrams that come by that interface are received, and all leave by it
// (SO_BINDTODEVICE); without, every interface. The socket may send broadcasts: package net sets SO_BROADCAST.
//
// A port that is taken is metal.Conflict and names the process that holds it where that can be seen; an interface
// that does not exist is metal.NotFound; a port that needs privileges is metal.Forbidden.
func Listen(ctx context.Context, network, addr, iface string) (*Conn, error) {
	fam, ok := families[network]
	if !ok {
		return nil, metal.Errorf(metal.Invalid, "listen on %s: network is %q; use udp4 or udp6", addr, network)
	}
	config := net.ListenConfig{Control: control(iface)}
	packetConn, err := config.ListenPacket(ctx, network, addr)
	if err != nil {
		return nil, listenError(network, addr, iface, err)
	}
	conn := &Conn{socket: packetConn.(*net.UDPConn), family: fam}
	if err := conn.prepare(iface); err != nil {
		return nil, errors.Join(fmt.Errorf("prepare %s socket on %s: %w", network, addr, err), conn.Close())
	}
	return conn, nil
}

// control binds a socket to iface before it gets its address.
func control(iface string) func(network, address string, raw rawConn) error {
	return func(_, _ string, raw rawConn) error {
		if iface == "" {
			return nil
		}
		return onSocket(raw, func(fd int) error { return unix.BindToDevice(fd, iface) })
	}
}

// prepare sets what can only be set, or is better set, once the socket has its address.
func (c *Conn) prepare(iface string) error {
	if c.family == inet4 {
		p := ipv4.NewPacketConn(c.socket)
		c.batch = p
		if err := p.SetControlMessage(ipv4.FlagDst|ipv4.FlagInterface, true); err != nil {
			return fmt.Errorf("set IP_PKTINFO: %w", err)
		}
	} else {
		p := ipv6.NewPacketConn(c.socket)
		c.batch = p
		if err := p.SetControlMessage(ipv6.FlagDst|ipv6.FlagInterface, true); err != nil {
			return fmt.Errorf("set IPV6_RECVPKTINFO: %w", err)
		}
	}
	if err := c.enlarge(); err != nil {
		return fmt.Errorf("set SO_RCVBUF: %w", err)
	}
	if iface != "" {
		return nil
	}
	// On Linux two UDP sockets that both had SO_REUSEADDR when they were bound share the port, and the later one
	// silently takes the unicast datagrams of the earlier. So the address is taken alone, which also finds a second
	// server, and sharing is allowed only afterwards, to those who are bound to one interface or address: libvirt's
	// dnsmasq on its own bridge, for one, must be able to start after us.
	raw, err := c.socket.SyscallConn()
	if err != nil {
		return err
	}
	return onSocket(raw, func(fd int) error {
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	})
}

// enlarge asks for a receive buffer beyond net.core.rmem_max, which an administrator may, and else for what that allows.
func (c *Conn) enlarge() error {
	raw, err := c.socket.SyscallConn()
	if err != nil {
		return err
	}
	err = onSocket(raw, func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) })
	if errors.Is(err, unix.EPERM) {
		return c.socket.SetReadBuffer(receiveBuffer)
	}
	return err
}

// Close closes the socket; a Serve on it returns.
func (c *Conn) Close() error { return c.socket.Close() }

// LocalAddr is the address the socket is bound to.
func (c *Conn) LocalAddr() netip.AddrPort {
	return unmapped(c.socket.LocalAddr().(*net.UDPAddr).AddrPort())
}

// Socket is the socket itself, for a protocol library that brings its own loop. It must not be read while Serve runs.
func (c *Conn) Socket() *net.UDPConn { return c.socket }

// Stats returns the counters.
func (c *Conn) Stats() Stats {
	return Stats{Received: c.received.Load(), Dropped: c.dropped.Load(), Oversize: c.oversize.Load()}
}

// WriteTo sends payload to the address to. With a source it leaves from that address, which must be the machine's own;
// a source that is no unicast address (a datagram that came by broadcast) or not valid leaves the choice to the
// kernel. With an ifIndex it leaves by that interface whatever the routes say; 0 asks the routes.
func (c *Conn) WriteTo(payload []byte, to netip.AddrPort, source netip.Addr, ifIndex int) error {
	var room [controlSpace]byte
	oob := appendPacketInfo(room[:0], c.family, source, ifIndex)
	if _, _, err := c.socket.WriteMsgUDPAddrPort(payload, oob, to); err != nil {
		return fmt.Errorf("send %d bytes to %s: %w", len(payload), to, err)
	}
	return nil
}

// Reply sends payload back to the sender of d, from the address that d was sent to. It takes the interface that d came
// by only where the sender's address means nothing without one (IPv6 link-local); else the routes decide, since the
// way back may be another one.
func (c *Conn) Reply(d Datagram, payload []byte) error {
	return c.WriteTo(payload, d.From, d.To, d.wayBack())
}

// unmapped removes the zone, which a Datagram tells as an interface index, and writes IPv4 as IPv4.
func unmapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}
