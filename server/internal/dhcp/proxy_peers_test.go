package dhcp

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/netns"
)

// heard is a DHCP packet with where it came from and went to.
type heard struct {
	*dhcpv4.DHCPv4
	from, to netip.AddrPort
}

// firmwareNIC is a NIC without an address: what it sends and hears are frames.
type firmwareNIC struct {
	conn *packet.Conn
	mu   sync.Mutex
	all  []heard
}

// newFirmwareNIC opens eth0 of a namespace and listens until the test ends.
func newFirmwareNIC(t *testing.T, ns netns.Space) *firmwareNIC {
	t.Helper()
	n := &firmwareNIC{}
	ns.Must(t, func() error {
		ifi, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		n.conn, err = packet.Listen(ifi, packet.Datagram, unix.ETH_P_IP, nil)
		return err
	})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		n.listen()
	}()
	t.Cleanup(func() { n.conn.Close(); <-ended })
	return n
}

func (n *firmwareNIC) listen() {
	buffer := make([]byte, 2048)
	for {
		size, _, err := n.conn.ReadFrom(buffer)
		if err != nil {
			return
		}
		p := gopacket.NewPacket(append([]byte(nil), buffer[:size]...), layers.LayerTypeIPv4, gopacket.Default)
		ip4, _ := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
		udp, _ := p.Layer(layers.LayerTypeUDP).(*layers.UDP)
		if ip4 == nil || udp == nil {
			continue
		}
		if pkt, err := dhcpv4.FromBytes(udp.Payload); err == nil && pkt.OpCode == dhcpv4.OpcodeBootReply {
			src, _ := netip.AddrFromSlice(ip4.SrcIP)
			dst, _ := netip.AddrFromSlice(ip4.DstIP)
			n.mu.Lock()
			n.all = append(n.all, heard{pkt, netip.AddrPortFrom(src.Unmap(), uint16(udp.SrcPort)), netip.AddrPortFrom(dst.Unmap(), uint16(udp.DstPort))})
			n.mu.Unlock()
		}
	}
}

// send broadcasts a packet from an address, zero for none yet.
func (n *firmwareNIC) send(t *testing.T, pkt []byte) {
	t.Helper()
	from := netip.AddrPortFrom(netip.IPv4Unspecified(), clientPort)
	to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), serverPort)
	if _, err := n.conn.WriteTo(packetTo(from, to, pkt), &packet.Addr{HardwareAddr: net.HardwareAddr{255, 255, 255, 255, 255, 255}}); err != nil {
		t.Fatal(err)
	}
}

// from returns what a server has sent of a kind.
func (n *firmwareNIC) from(server string, kind dhcpv4.MessageType) (list []heard) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, h := range n.all {
		if h.from.Addr().String() == server && h.MessageType() == kind {
			list = append(list, h)
		}
	}
	return list
}

// TestPeerProxyBesideDnsmasq has dnsmasq give the addresses and us the boot file, to packets of OVMF's and iPXE's.
func TestPeerProxyBesideDnsmasq(t *testing.T) {
	t.Parallel()
	netns.Need(t, "dnsmasq")
	for name, file := range map[string]string{"ovmf-pxe": "snponly.efi", "ovmf-http": base + "/boot/files/snponly.efi"} {
		t.Run(name, func(t *testing.T) {
			server, other, end := shared(t)
			m := newMemory(t, rack("172.31.0.0/24", func(s *metal.SubnetSpec) { s.DHCP.Mode = metal.DHCPProxy }))
			log := serve(t, server, "eth0", ours, m)
			console := dnsmasq(t, other)
			nic := newFirmwareNIC(t, end)
			detail := func() string { return console.String() + log.String() }

			discover := captured(t, name+"-discover")
			nic.send(t, discover.ToBytes())
			netns.Until(t, "both servers have offered", func() bool {
				return len(nic.from("172.31.0.1", dhcpv4.MessageTypeOffer)) > 0 && len(nic.from("172.31.0.2", dhcpv4.MessageTypeOffer)) > 0
			}, detail)
			proxied, offer := nic.from("172.31.0.1", dhcpv4.MessageTypeOffer)[0], nic.from("172.31.0.2", dhcpv4.MessageTypeOffer)[0]
			if proxied.BootFileName != file || !proxied.YourIPAddr.IsUnspecified() || proxied.to.String() != "255.255.255.255:68" {
				t.Errorf("got %s to %s; want a file and no address, to everybody", proxied.Summary(), proxied.to)
			}

			request := captured(t, name+"-request")
			request.UpdateOption(dhcpv4.OptRequestedIPAddress(offer.YourIPAddr))
			request.UpdateOption(dhcpv4.OptServerIdentifier(offer.ServerIdentifier()))
			nic.send(t, request.ToBytes())
			netns.Until(t, "dnsmasq acknowledges", func() bool { return len(nic.from("172.31.0.2", dhcpv4.MessageTypeAck)) == 1 }, detail)

			bootServer(t, end, nic, request, offer.YourIPAddr, file)
			if got := nic.from("172.31.0.1", dhcpv4.MessageTypeNak); len(got) > 0 || len(m.all()) > 0 {
				t.Errorf("got refusals %v, leases %v; want none", got, m.all())
			}
		})
	}
}

// bootServer asks port 4011 as firmware does once it has an address.
func bootServer(t *testing.T, ns netns.Space, nic *firmwareNIC, request *dhcpv4.DHCPv4, addr net.IP, file string) {
	t.Helper()
	ns.Run(t, "ip addr add "+addr.String()+"/24 dev eth0")
	var conn *net.UDPConn
	ns.Must(t, func() (err error) {
		conn, err = net.DialUDP("udp4", &net.UDPAddr{IP: addr, Port: clientPort}, &net.UDPAddr{IP: ours.AsSlice(), Port: bootPort})
		return err
	})
	defer conn.Close()
	request.ClientIPAddr = addr
	request.Options.Del(dhcpv4.OptionRequestedIPAddress)
	request.Options.Del(dhcpv4.OptionServerIdentifier)
	buffer := make([]byte, 2048)
	for end := time.Now().Add(netns.Patience); ; { // the kernel may look for our hardware address first
		if _, err := conn.Write(request.ToBytes()); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := conn.Read(buffer)
		if errors.Is(err, os.ErrDeadlineExceeded) && time.Now().Before(end) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		reply, err := dhcpv4.FromBytes(buffer[:n])
		if err != nil || reply.MessageType() != dhcpv4.MessageTypeAck || reply.BootFileName != file {
			t.Errorf("got %v, %v; want an ACK with %s", reply, err, file)
		}
		break
	}
	netns.Until(t, "the NIC has seen it too", func() bool { return len(nic.from(ours.String(), dhcpv4.MessageTypeAck)) > 0 })
	if got := nic.from(ours.String(), dhcpv4.MessageTypeAck)[0].from.Port(); got != bootPort {
		t.Errorf("got an answer from port %d; want %d", got, bootPort)
	}
	if strings.Contains(file, "\x00") {
		t.Error("got a file name with a zero in it")
	}
}
