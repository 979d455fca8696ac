package dhcp

import (
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestARapidCommitSavesTwoMessages(t *testing.T) {
	rapid := saying(codeRapidCommit, "")
	const ack = dhcpv4.MessageTypeAck
	cases := []struct {
		name string
		view View
		want outcome
	}{
		{"a stranger has a lease at once", view(), outcome{ack, "172.31.0.100", metal.LeaseActive, defaultLife, "", false}},
		{"a client that returns too", view(expired), outcome{ack, "172.31.0.150", metal.LeaseActive, defaultLife, "", false}},
		{"a lease that runs is renewed", view(active), outcome{ack, "172.31.0.150", metal.LeaseActive, defaultLife, "", false}},
		{"a machine has its own address", view(machine), outcome{Reply: ack, Addr: "172.31.0.10"}},
		{"a full subnet is silent", view(full), outcome{Fault: true}},
	}
	for _, c := range cases {
		a := Respond(client(dhcpv4.MessageTypeDiscover, rapid), c.view, now)
		if got := outcomeOf(a); got != c.want {
			t.Errorf("%s: got %+v; want %+v", c.name, got, c.want)
		}
		if a.Reply == nil {
			continue
		}
		if value, has := again(t, a).Options[codeRapidCommit]; !has || len(value) != 0 {
			t.Errorf("%s: got option 80 %v, %q; want it empty", c.name, has, value)
		}
	}
	for name, pkt := range map[string]*dhcpv4.DHCPv4{
		"an ordinary offer":   client(dhcpv4.MessageTypeDiscover),
		"an ordinary request": client(dhcpv4.MessageTypeRequest, rapid, wanting("172.31.0.150")),
	} {
		if _, has := decided(t, pkt, view(active)).Options[codeRapidCommit]; has {
			t.Errorf("%s: got option 80; want it in answers to a DISCOVER that has it only", name)
		}
	}
}

func TestClientsNames(t *testing.T) {
	cases := []struct{ name, plain, full, want string }{
		{"plain", "laptop", "", "laptop"},
		{"full as text", "", "\x00\x00\x00laptop.home", "laptop"},
		{"full in DNS form", "", "\x04\x00\x00\x06laptop\x04home\x00", "laptop"},
		{"the full one is the better one", "other", "\x00\x00\x00laptop", "laptop"},
		{"an empty full one", "laptop", "\x00\x00\x00", "laptop"},
		{"DNS form that is cut off", "", "\x04\x00\x00\x07laptop", ""},
		{"DNS form of the root", "", "\x04\x00\x00\x00", ""},
		{"no name at all", "", "", ""},
		{"no label", "", "\x00\x00\x00<b>", ""},
	}
	for _, c := range cases {
		pkt := client(dhcpv4.MessageTypeDiscover, saying(12, c.plain))
		if c.full != "" {
			pkt.Options[codeFQDN] = []byte(c.full)
		}
		if got := nameOf(pkt); got != c.want {
			t.Errorf("%s: got %q; want %q", c.name, got, c.want)
		}
	}
}

func TestMessageTypes(t *testing.T) {
	for value, want := range map[string]dhcpv4.MessageType{"\x01": dhcpv4.MessageTypeDiscover, "\x08": dhcpv4.MessageTypeInform, "": 0, "\x01\x02": 0, "\xff": 255} {
		if got := kindOf(client(0, saying(53, value))); got != want {
			t.Errorf("%q: got %d; want %d", value, got, want)
		}
	}
	if got := kindOf(&dhcpv4.DHCPv4{Options: dhcpv4.Options{}}); got != dhcpv4.MessageTypeNone {
		t.Errorf("got %d; want none", got)
	}
}

func TestStrangersNamesAreKeptWhereTheyCouldBeNames(t *testing.T) {
	for name, want := range map[string]string{
		"printer-1": "printer-1", "": "", "a.b": "", "<script>": "", "-x": "", "x-": "", "ü": "", "a b": "",
		strings.Repeat("a", 63): strings.Repeat("a", 63), strings.Repeat("a", 64): "",
	} {
		if got := hostname(name); got != want {
			t.Errorf("hostname(%q): got %q; want %q", name, got, want)
		}
	}
}
