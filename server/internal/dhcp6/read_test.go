package dhcp6

import (
	"bytes"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv6"
)

func raw(code dhcpv6.OptionCode, data ...byte) change {
	return saying(&dhcpv6.OptionGeneric{OptionCode: code, OptionData: data})
}

// TestNamesAreNotDecompressed has the datagram that takes the codec 1.4 s: labels, and pointers to them.
func TestNamesAreNotDecompressed(t *testing.T) {
	names := append([]byte{0}, bytes.Repeat([]byte{1, 'a'}, 600)...)
	names = append(append(names, 0), bytes.Repeat([]byte{0xc0, 0}, 1300)...)
	for _, code := range []dhcpv6.OptionCode{dhcpv6.OptionFQDN, dhcpv6.OptionDomainSearchList, dhcpv6.OptionNTPServer} {
		ia := &dhcpv6.OptIANA{}
		ia.Options.Add(&dhcpv6.OptionGeneric{OptionCode: code, OptionData: names})
		p, err := Unwrap(wireOf(client(dhcpv6.MessageTypeSolicit, raw(code, names...), saying(ia))))
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range []dhcpv6.Option{p.Message.GetOneOption(code), p.Message.Options.OneIANA().Options.GetOne(code)} {
			if got, ok := o.(*dhcpv6.OptionGeneric); !ok || !bytes.Equal(got.OptionData, names) {
				t.Errorf("%s: got %T; want bytes", code, o)
			}
		}
	}
}

func TestWhatIsMalformedAndNotNeededDoesNotMatter(t *testing.T) {
	for _, c := range []struct {
		name   string
		change change
	}{
		{"a vendor class without data", raw(dhcpv6.OptionVendorClass, 0, 0, 1, 87)},
		{"a user class of plain text", raw(dhcpv6.OptionUserClass, []byte("iPXE")...)},
		{"half a request for an option", raw(dhcpv6.OptionORO, 0)},
		{"half a name", raw(dhcpv6.OptionFQDN, 1, 63, 'a')},
		{"an empty name option", raw(dhcpv6.OptionFQDN)},
		{"an option of the future", raw(60000, 1, 2, 3)},
		{"an agent's address of no type", relayed("fd00:31::2", "fe80::1", &dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionClientLinkLayerAddr, OptionData: []byte{1}})},
	} {
		p, err := Unwrap(wireOf(client(dhcpv6.MessageTypeSolicit, na(1), c.change)))
		if err != nil {
			t.Errorf("%s: got %v; want the packet", c.name, err)
			continue
		}
		p.To = ip("ff02::1:2")
		if got, want := said(Respond(&p, view(), now).Reply), "ADVERTISE; na1 fd00:31::100/600"; got != want {
			t.Errorf("%s: got %q; want %q", c.name, got, want)
		}
	}
}

func TestWhatIsMalformedAndNeededIsRefused(t *testing.T) {
	short := func(code dhcpv6.OptionCode) dhcpv6.Option {
		return &dhcpv6.OptionGeneric{OptionCode: code, OptionData: []byte{1, 2, 3}}
	}
	within := func(o dhcpv6.Option) change {
		ia := &dhcpv6.OptIANA{}
		ia.Options.Add(o)
		return saying(ia)
	}
	for _, c := range []struct {
		name   string
		change change
	}{
		{"a DUID of one byte", func(p *Packet) { nameless(p); raw(dhcpv6.OptionClientID, 1)(p) }},
		{"an IA of three bytes", saying(short(dhcpv6.OptionIANA))},
		{"a temporary IA of three bytes", saying(short(dhcpv6.OptionIATA))},
		{"a prefix IA of three bytes", saying(short(dhcpv6.OptionIAPD))},
		{"an address of three bytes", within(short(dhcpv6.OptionIAAddr))},
		{"a prefix of three bytes", within(short(dhcpv6.OptionIAPrefix))},
		{"half an architecture", raw(dhcpv6.OptionClientArchType, 0)},
	} {
		if p, err := Unwrap(wireOf(client(dhcpv6.MessageTypeSolicit, c.change))); err == nil {
			t.Errorf("%s: got %s; want an error", c.name, p.Message.Summary())
		}
	}
}

func TestTheNameOfAClientIsItsFirstLabel(t *testing.T) {
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"a full name", append([]byte{flagS, 4}, "node\x04test\x00"...), "node"},
		{"a partial name (RFC 4704, 4.2)", append([]byte{flagS, 4}, "node"...), "node"},
		{"no name", []byte{flagS}, ""},
		{"the root", []byte{flagS, 0}, ""},
		{"a pointer", []byte{flagS, 0xc0, 0}, ""},
		{"a label that is cut short", []byte{flagS, 4, 'n', 'o'}, ""},
		{"a label with a dot", append([]byte{flagS, 4}, "no.e"...), ""},
		{"a label that begins with a dash", append([]byte{flagS, 4}, "-ode"...), ""},
	} {
		if got := client(dhcpv6.MessageTypeSolicit, raw(dhcpv6.OptionFQDN, c.data...)).hostname(); got != c.want {
			t.Errorf("%s: got %q; want %q", c.name, got, c.want)
		}
	}
}
