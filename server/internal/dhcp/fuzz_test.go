package dhcp

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// views are the situations that a packet of any content meets.
func views() []View {
	return []View{
		view(), view(machine), view(active), view(offered), view(expired), view(lost), view(full), view(func(v *View) { v.Subnet = nil }),
		view(proxying), view(proxying, machine), view(everything), view(everything, active),
		view(func(v *View) { v.Options = metal.DHCPOptions{BootServer: "10.0.0.9", BootFile: "pxelinux.0"} }),
		view(func(v *View) { v.Subnet.Spec.DHCP.Mode = metal.DHCPOff }),
	}
}

// FuzzRespond takes whatever comes from the wire: it may not panic, an answer must be a packet that clients read, and
// nothing may be promised that is not the client's.
func FuzzRespond(f *testing.F) {
	for _, kind := range []string{"BIOS PXE", "UEFI HTTP", "iPXE on UEFI", "nothing"} {
		for message := range byte(9) {
			f.Add(client(dhcpv4.MessageType(message), append(firmware(kind), wanting("172.31.0.150"))...).ToBytes(), message)
		}
	}
	said := []dhcpv4.Modifier{
		relayed("10.1.0.1"), saying(82, "\x01\x04eth1\x02\x03abc\x05\x04\x0a\x02\x00\x00\x0b\x04\x0a\x01\x00\x01"), saying(118, "\xac\x1f\x00\x00"),
		saying(81, "\x04\x00\x00\x06laptop"), saying(80, ""), saying(57, big), asking(1, 3, 6, 12, 15, 26, 28, 42, 43, 119, 121, 224, 249, 252),
		saying(43, "\x47\x04\x80\x00\x00\x00\xff"),
	}
	for which := range views() {
		f.Add(client(dhcpv4.MessageTypeDiscover, append(said, firmware("BIOS PXE")...)...).ToBytes(), byte(which))
		f.Add(client(dhcpv4.MessageTypeRequest, append(said, having("172.31.0.150"))...).ToBytes(), byte(which))
	}
	f.Fuzz(func(t *testing.T, wire []byte, which byte) {
		hardware(wire)
		pkt, err := dhcpv4.FromBytes(wire)
		if err != nil {
			return
		}
		unfit(pkt, ours)
		if q := queryOf(pkt, ours, ours); !q.Via.IsValid() || !q.Via.Is4() {
			t.Errorf("got network %s; want an IPv4 address", q.Via)
		}
		all := views()
		v := all[int(which)%len(all)]
		a := Respond(pkt, v, now)
		checkAnswer(t, pkt, v, a)
		boots := respondBoot(pkt, v)
		checkAnswer(t, pkt, v, boots)
		if boots.Lease != nil || boots.Drop.IsValid() || boots.Reply != nil && address(boots.Reply.YourIPAddr).IsValid() {
			t.Errorf("got %+v from the boot server; want no address and nothing stored", boots)
		}
		if v.Subnet == nil || !v.Subnet.Spec.DHCP.Serves() {
			if a.Lease != nil || a.Drop.IsValid() || a.Reply != nil && address(a.Reply.YourIPAddr).IsValid() {
				t.Errorf("got %+v on a subnet that we give no addresses of; want none", a)
			}
		}
	})
}

func checkAnswer(t *testing.T, pkt *dhcpv4.DHCPv4, v View, a Answer) {
	t.Helper()
	if a.Why == "" {
		t.Error("the answer has no reason for the log")
	}
	if a.Reply == nil {
		return
	}
	sent := appendReply(nil, a.Reply)
	if !bytes.Equal(sent, a.Reply.ToBytes()) {
		t.Errorf("got % x; want what the library writes, % x", sent, a.Reply.ToBytes())
	}
	read, err := dhcpv4.FromBytes(sent)
	if err != nil {
		t.Fatalf("the reply cannot be read: %v", err)
	}
	given := address(read.YourIPAddr)
	var lease netip.Addr
	if v.Lease != nil {
		lease = v.Lease.Addr
	}
	if given.IsValid() && given != v.Assigned && given != lease && given != v.Free {
		t.Errorf("got %s given; want %s, %s or %s", given, v.Assigned, lease, v.Free)
	}
	if given.IsValid() && given != v.Assigned && read.MessageType() == dhcpv4.MessageTypeAck && (a.Lease == nil || a.Lease.Addr != given) {
		t.Errorf("got %s promised, and %+v stored; want the lease stored", given, a.Lease)
	}
	if !bytes.Equal(read.Options[codeRelay], pkt.Options[codeRelay]) {
		t.Error("the relay agent's information is not repeated")
	}
	to := destinationOf(pkt, a.Reply)
	if !to.To.Addr().IsValid() || to.To.Addr().IsUnspecified() {
		t.Errorf("got destination %s; want an address", to.To)
	}
	if to.Hardware != nil {
		packetTo(netip.AddrPortFrom(ours, serverPort), to.To, sent)
	}
}
