package dhcp

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// FuzzRespond takes whatever comes from the wire: it may not panic, an answer must be a packet that clients read, and
// nothing may be promised that is not the client's.
func FuzzRespond(f *testing.F) {
	for _, kind := range []string{"BIOS PXE", "UEFI HTTP", "iPXE on UEFI", "nothing"} {
		for message := range byte(9) {
			f.Add(client(dhcpv4.MessageType(message), append(firmware(kind), wanting("172.31.0.150"))...).ToBytes(), message)
		}
	}
	views := []View{view(), view(machine), view(active), view(offered), view(expired), view(lost), view(full), view(func(v *View) { v.Subnet = nil })}
	f.Fuzz(func(t *testing.T, wire []byte, which byte) {
		hardware(wire)
		pkt, err := dhcpv4.FromBytes(wire)
		if err != nil {
			return
		}
		v := views[int(which)%len(views)]
		a := Respond(pkt, v, now)
		if a.Reply == nil {
			return
		}
		q := queryOf(pkt, ours, ours)
		if !q.Via.IsValid() || !q.Via.Is4() {
			t.Errorf("got network %s; want an IPv4 address", q.Via)
		}
		read, err := dhcpv4.FromBytes(a.Reply.ToBytes())
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
		if !bytes.Equal(read.Options.Get(dhcpv4.OptionRelayAgentInformation), pkt.Options.Get(dhcpv4.OptionRelayAgentInformation)) {
			t.Error("the relay agent's information is not repeated")
		}
		to := DestinationOf(pkt, a.Reply)
		if !to.To.Addr().IsValid() || to.To.Addr().IsUnspecified() {
			t.Errorf("got destination %s; want an address", to.To)
		}
		if to.Hardware != nil {
			packetTo(netip.AddrPortFrom(ours, serverPort), to.To, a.Reply.ToBytes())
		}
	})
}
