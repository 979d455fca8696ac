package network

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Lease is what a DHCP server gave.
type Lease struct {
	Address  netip.Prefix
	Gateway  netip.Addr // zero: none
	DNS      []netip.Addr
	Domain   string
	Server   netip.Addr
	Duration time.Duration
	Renew    time.Duration // T1 (RFC 2131, 4.4.5)
}

// vendorClass is what the agent calls itself in option 60.
const vendorClass = "metal-agent"

// waits are the times to wait for an answer, one for each try: short at first, for on a network that works the
// answer comes at once, and a switch port may open any second. The last one is repeated.
func waits(try int) time.Duration {
	times := []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second}
	return times[min(try, len(times)-1)]
}

// link carries IPv4 packets of one NIC to and from everybody on it.
type link interface {
	Broadcast(ip []byte) error
	// Receive returns the next IPv4 packet that comes before the deadline, or an os.ErrDeadlineExceeded.
	Receive(deadline time.Time) ([]byte, error)
	Close() error
}

// frames is a link over a packet socket.
type frames struct {
	conn *packet.Conn
	buf  []byte
}

func openLink(nic *net.Interface) (link, error) {
	conn, err := packet.Listen(nic, packet.Datagram, unix.ETH_P_IP, nil)
	if err != nil {
		return nil, fmt.Errorf("open a packet socket on %s: %w", nic.Name, err)
	}
	return &frames{conn: conn, buf: make([]byte, 65536)}, nil
}

func (f *frames) Broadcast(ip []byte) error {
	_, err := f.conn.WriteTo(ip, &packet.Addr{HardwareAddr: net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}})
	return err
}

func (f *frames) Receive(deadline time.Time) ([]byte, error) {
	if err := f.conn.SetReadDeadline(deadline); err != nil {
		return nil, err
	}
	n, _, err := f.conn.ReadFrom(f.buf)
	return f.buf[:n], err
}

func (f *frames) Close() error { return f.conn.Close() }

// dora gets a lease for a NIC: discover, offer, request, acknowledge. It tries until ctx ends.
func dora(ctx context.Context, l link, mac net.HardwareAddr) (Lease, error) {
	for try := 0; ; try++ {
		offer, err := exchange(ctx, l, waits(try), func() (*dhcpv4.DHCPv4, error) {
			return dhcpv4.NewDiscovery(mac, options(mac)...)
		}, dhcpv4.MessageTypeOffer)
		if err == nil {
			var ack *dhcpv4.DHCPv4
			ack, err = exchange(ctx, l, waits(try), func() (*dhcpv4.DHCPv4, error) {
				return dhcpv4.NewRequestFromOffer(offer, options(mac)...)
			}, dhcpv4.MessageTypeAck)
			if err == nil {
				var lease Lease
				if lease, err = leaseOf(ack); err == nil {
					return lease, nil
				}
			}
		}
		if ctx.Err() != nil {
			return Lease{}, fmt.Errorf("ask for an address: %w", ctx.Err())
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			// A refusal, or a NIC that is down for the moment: do not ask in a tight circle.
			if !sleep(ctx, waits(try)) {
				return Lease{}, fmt.Errorf("ask for an address: %w", err)
			}
		}
	}
}

// options are in every message. The client identifier is the MAC, as boot ROMs send it, so that a server which goes
// by it gives the machine the address it booted with.
func options(mac net.HardwareAddr) []dhcpv4.Modifier {
	return []dhcpv4.Modifier{
		dhcpv4.WithOption(dhcpv4.OptClassIdentifier(vendorClass)),
		dhcpv4.WithOption(dhcpv4.OptClientIdentifier(append([]byte{1}, mac...))),
		dhcpv4.WithRequestedOptions(
			dhcpv4.OptionSubnetMask, dhcpv4.OptionRouter, dhcpv4.OptionDomainNameServer, dhcpv4.OptionDomainName,
			dhcpv4.OptionRenewTimeValue,
		),
	}
}

// exchange broadcasts one message and waits for the answer of a type. A NAK is an error.
func exchange(ctx context.Context, l link, wait time.Duration, message func() (*dhcpv4.DHCPv4, error), want dhcpv4.MessageType) (*dhcpv4.DHCPv4, error) {
	m, err := message()
	if err != nil {
		return nil, fmt.Errorf("make a DHCP message: %w", err)
	}
	if err := l.Broadcast(broadcastDatagram(m.ToBytes())); err != nil {
		return nil, fmt.Errorf("send a DHCP message: %w", err)
	}
	for deadline := time.Now().Add(wait); ctx.Err() == nil; {
		raw, err := l.Receive(deadline)
		if err != nil {
			return nil, fmt.Errorf("wait for a DHCP answer: %w", err)
		}
		answer, ok := answerTo(m, raw)
		switch {
		case !ok:
		case answer.MessageType() == want:
			return answer, nil
		case answer.MessageType() == dhcpv4.MessageTypeNak:
			return nil, metal.Errorf(metal.Conflict, "the DHCP server %v refused the address: %s", answer.ServerIdentifier(), answer.Message())
		}
	}
	return nil, ctx.Err()
}

// answerTo reads a packet and says whether it answers the message m.
func answerTo(m *dhcpv4.DHCPv4, raw []byte) (*dhcpv4.DHCPv4, bool) {
	payload, ok := clientPayload(raw)
	if !ok {
		return nil, false
	}
	answer, err := dhcpv4.FromBytes(payload)
	if err != nil || answer.OpCode != dhcpv4.OpcodeBootReply || answer.TransactionID != m.TransactionID {
		return nil, false
	}
	return answer, bytes.Equal(answer.ClientHWAddr, m.ClientHWAddr)
}

// leaseOf reads an ACK. Without a mask the address's class tells it, as before CIDR; without a lease time the lease
// is an hour.
func leaseOf(ack *dhcpv4.DHCPv4) (Lease, error) {
	addr, ok := netip.AddrFromSlice(ack.YourIPAddr.To4())
	if !ok || addr.IsUnspecified() {
		return Lease{}, metal.Errorf(metal.Invalid, "the DHCP server %v acknowledged no address", ack.ServerIdentifier())
	}
	bits, _ := net.IP(addr.AsSlice()).DefaultMask().Size()
	if mask, ok := netip.AddrFromSlice(ack.SubnetMask()); ok {
		if bits, ok = maskBits(mask); !ok {
			return Lease{}, metal.Errorf(metal.Invalid, "the DHCP server %v gave the netmask %v, which is none", ack.ServerIdentifier(), mask)
		}
	}
	l := Lease{
		Address:  netip.PrefixFrom(addr, bits),
		Domain:   ack.DomainName(),
		Duration: ack.IPAddressLeaseTime(time.Hour),
	}
	l.Server, _ = netip.AddrFromSlice(ack.ServerIdentifier().To4())
	l.Renew = ack.IPAddressRenewalTime(l.Duration / 2)
	if l.Renew <= 0 || l.Renew > l.Duration {
		l.Renew = l.Duration / 2
	}
	if routers := ack.Router(); len(routers) > 0 {
		l.Gateway, _ = netip.AddrFromSlice(routers[0].To4())
	}
	for _, ip := range ack.DNS() {
		if a, ok := netip.AddrFromSlice(ip.To4()); ok {
			l.DNS = append(l.DNS, a)
		}
	}
	return l, nil
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
