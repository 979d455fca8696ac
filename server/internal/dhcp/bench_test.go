package dhcp

import (
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// BenchmarkAnswer takes one REQUEST of a relayed client from bytes to bytes, as perfdhcp sends it.
func BenchmarkAnswer(b *testing.B) {
	pkt := client(dhcpv4.MessageTypeRequest, wanting("172.31.0.150"), choosing("172.31.0.1"), dhcpv4.WithGatewayIP(ip("172.31.0.2").AsSlice()),
		saying(55, "\x01\x1c\x02\x03\x0f\x06\x0c"))
	wire, v, buffer := pkt.ToBytes(), view(offered), make([]byte, 0, 1500)
	b.ReportAllocs()
	for b.Loop() {
		pkt, err := dhcpv4.FromBytes(wire)
		if err != nil || unfit(pkt, ours) != "" {
			b.Fatal(err)
		}
		queryOf(pkt, ours, ours)
		appendReply(buffer, Respond(pkt, v, now).Reply)
	}
}
