package dhcp6

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/boot"
)

// told is the value of an option of the reply in hex; several with a blank between them.
func told(p *Packet, v View, code dhcpv6.OptionCode) string {
	reply := Respond(p, v, now).Reply
	if reply == nil {
		return "no reply"
	}
	read, err := dhcpv6.MessageFromBytes(reply.ToBytes())
	if err != nil {
		return err.Error()
	}
	text := ""
	for i, o := range read.GetOption(code) {
		if i > 0 {
			text += " "
		}
		text += hex.EncodeToString(o.ToBytes())
	}
	return text
}

func custom(code int, kind, value string) func(*View) {
	return func(v *View) {
		v.Options.Custom = append(v.Options.Custom, metal.DHCPOption{Code: code, Type: kind, Value: value})
	}
}

func TestWhatClientsAreToldOfTheirNetwork(t *testing.T) {
	addrs := func(list ...string) (out []netip.Addr) {
		for _, a := range list {
			out = append(out, ip(a))
		}
		return out
	}
	dns := func(list ...string) func(*View) { return func(v *View) { v.Subnet.Spec.DNS = addrs(list...) } }
	ntp := func(list ...string) func(*View) { return func(v *View) { v.Subnet.Spec.NTP = addrs(list...) } }
	homeless := func(v *View) { v.Server = netip.Addr{} }
	zone := func(v *View) { v.Options.TimeZone = "Europe/Vienna" }
	const us, a, b, group = "fd003100000000000000000000000001", "fd000000000000000000000000000053", "fd000000000000000000000000000054", "ff050000000000000000000000000101"
	us6 := "fd000031000000000000000000000001"
	cases := []struct {
		name string
		code dhcpv6.OptionCode
		view View
		want string
	}{
		{"name servers of the subnet", 23, view(dns("fd00::53", "fd00::54")), a + b},
		{"name servers of IPv6 only", 23, view(dns("10.0.0.1", "fd00::53")), a},
		{"no name servers: ourselves", 23, view(), us6},
		{"no name servers, and no address of our own", 23, view(homeless), ""},
		{"the search list", 24, view(func(v *View) { v.Search = []string{"a.test", "b"} }), "0161047465737400" + "016200"},
		{"no search list", 24, view(func(v *View) { v.Search = nil }), ""},
		{"time servers, one an option", 56, view(ntp("fd00::53", "fd00::54")), "00010010" + a + " " + "00010010" + b},
		{"a time server that speaks to a group", 56, view(ntp("ff05::101")), "00020010" + group},
		{"time servers in the older form", 31, view(ntp("fd00::53", "ff05::101", "fd00::54")), a + b},
		{"the older form has no groups", 31, view(ntp("ff05::101")), ""},
		{"no time servers: ourselves", 31, view(), us6},
		{"the time zone", 42, view(zone), hex.EncodeToString([]byte("Europe/Vienna"))},
		{"no time zone", 42, view(), ""},
		{"an option that somebody declared", 21, view(custom(21, "fqdn", "sip.a.test")), "03736970" + "0161" + "0474657374" + "00"},
		{"one of a code that DHCPv4 does not have", 300, view(custom(300, "uint16", "7")), "0007"},
		{"what was declared wins", 23, view(custom(23, "ip", "fd00::53")), a},
		{"nobody declares what the protocol needs", 2, view(custom(2, "hex", "00")), hex.EncodeToString(serverDUID.ToBytes())},
		{"a value that is none is left out", 21, view(custom(21, "ip", "sip")), ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for _, p := range []*Packet{
				client(dhcpv6.MessageTypeInformationRequest, asking(c.code)), client(dhcpv6.MessageTypeInformationRequest),
				client(dhcpv6.MessageTypeSolicit, na(1), asking(c.code)), client(dhcpv6.MessageTypeRequest, choosing(serverDUID), na(1), asking(c.code)),
				client(dhcpv6.MessageTypeRenew, choosing(serverDUID), na(1, "fd00:31::150"), asking(c.code)),
			} {
				v := c.view
				v.Holds = view(active).Holds
				if got := told(p, v, c.code); got != c.want {
					t.Errorf("%s: got %q; want %q", p.Message.MessageType, got, c.want)
				}
			}
		})
	}
}

func TestClientsAreToldOnlyWhatTheyAskFor(t *testing.T) {
	p := client(dhcpv6.MessageTypeInformationRequest, asking(dhcpv6.OptionDNSRecursiveNameServer))
	for code, want := range map[dhcpv6.OptionCode]bool{23: true, 24: false, 31: false, 56: false, 32: false, 300: true} {
		got := told(p, view(custom(300, "uint8", "1")), code)
		if (got != "") != want {
			t.Errorf("option %d: got %q; want some: %t", code, got, want)
		}
	}
	nothing := client(dhcpv6.MessageTypeConfirm, na(1, "fd00:31::5"))
	if got := told(nothing, view(), 23); got != "" {
		t.Errorf("a CONFIRM: got name servers %q; want none", got)
	}
}

func TestWhoWantsSettingsOnlyIsToldWhenToAskAgain(t *testing.T) {
	for seconds, want := range map[int]time.Duration{0: 600 * time.Second, 60: 600 * time.Second, 7200: 2 * time.Hour} {
		p := client(dhcpv6.MessageTypeInformationRequest, asking(dhcpv6.OptionInformationRefreshTime))
		if got := Respond(p, view(forSeconds(seconds)), now).Reply.Options.InformationRefreshTime(0); got != want {
			t.Errorf("leases of %d s: got %s; want %s", seconds, got, want)
		}
	}
}

func TestNamesAreAgreedOn(t *testing.T) {
	const s, o, n = flagS, flagO, flagN
	cases := []struct {
		name   string
		packet change
		view   View
		flags  uint8
		want   string // empty: no name is told
		lease  string // the host name that is stored
	}{
		{"a stranger's name, and we write the record", named(s, "printer"), view(), s, "printer.metal.test", "printer"},
		{"a stranger that wants to write it itself", named(0, "printer"), view(), s | o, "printer.metal.test", "printer"},
		{"a stranger that wants no record", named(n, "printer"), view(), 0, "", ""},
		{"a stranger's full name keeps the first label", named(s, "printer.example.org"), view(), s, "printer.metal.test", "printer"},
		{"a stranger's name that DNS cannot have", named(s, "pr inter"), view(), 0, "", ""},
		{"a stranger's empty name", named(s, ""), view(), 0, "", ""},
		{"a machine's declared name, whatever it says", named(s, "printer"), view(machine), s, "node-1.metal.test", ""},
		{"a machine's declared name is not its to refuse", named(n, ""), view(machine), s | o, "node-1.metal.test", ""},
		{"a machine that only asks", asking(dhcpv6.OptionFQDN), view(machine), s, "node-1.metal.test", ""},
		{"a machine that speaks of no name", asking(dhcpv6.OptionDNSRecursiveNameServer), view(machine), 0, "", ""},
		{"no domain", named(s, "printer"), view(func(v *View) { v.Domain = "" }), s, "printer", "printer"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			a := Respond(client(dhcpv6.MessageTypeRequest, choosing(serverDUID), na(1), c.packet), c.view, now)
			got := a.Reply.Options.FQDN()
			switch {
			case got == nil && c.want == "":
			case got == nil:
				t.Errorf("got no name; want %s", c.want)
			case got.Flags != c.flags || got.DomainName.Labels[0] != c.want:
				t.Errorf("got %s with flags %d; want %s with %d", got.DomainName, got.Flags, c.want, c.flags)
			}
			if len(a.Leases) > 0 && a.Leases[0].Hostname != c.lease {
				t.Errorf("got %q stored; want %q", a.Leases[0].Hostname, c.lease)
			}
		})
	}
}

func TestRelayAgentsSupplyWhatTheyMay(t *testing.T) {
	supply := func(code dhcpv6.OptionCode, value string) dhcpv6.Option {
		data := binary.BigEndian.AppendUint16(nil, uint16(code))
		data = binary.BigEndian.AppendUint16(data, uint16(len(value)))
		return &dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionRSOO, OptionData: append(data, value...)}
	}
	const erp = dhcpv6.OptionERPLocalDomainName
	solicit := func(changes ...change) *Packet {
		return client(dhcpv6.MessageTypeSolicit, append([]change{na(1)}, changes...)...)
	}
	cases := []struct {
		name   string
		packet *Packet
		code   dhcpv6.OptionCode
		want   string
	}{
		{"the one option that they may", solicit(relayed("fd00:31::2", "fe80::1", supply(erp, "near"))), erp, "near"},
		{"the agent next to the client wins", solicit(relayed("fd00:31::2", "fe80::1", supply(erp, "near")), relayed("fd00:8::1", "fd00:31::2", supply(erp, "far"))), erp, "near"},
		{"an agent further off may too", solicit(relayed("fd00:31::2", "fe80::1"), relayed("fd00:8::1", "fd00:31::2", supply(erp, "far"))), erp, "far"},
		{"no name servers", solicit(asking(erp), relayed("fd00:31::2", "fe80::1", supply(dhcpv6.OptionDNSRecursiveNameServer, "x"))), dhcpv6.OptionDNSRecursiveNameServer, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := told(c.packet, view(), c.code); got != hex.EncodeToString([]byte(c.want)) {
				t.Errorf("got %q; want %q in hex", got, c.want)
			}
		})
	}
}

func class(enterprise uint32, data string) dhcpv6.Option {
	return &dhcpv6.OptVendorClass{EnterpriseNumber: enterprise, Data: [][]byte{[]byte(data)}}
}

// firmware is what firmware says of itself.
func firmware(kind string) change {
	ask := asking(dhcpv6.OptionBootfileURL)
	add := func(options ...dhcpv6.Option) change { return func(p *Packet) { ask(p); saying(options...)(p) } }
	switch kind {
	case "UEFI PXE":
		return add(dhcpv6.OptClientArchType(iana.EFI_BC), class(343, "PXEClient:Arch:00007:UNDI:003000"))
	case "UEFI HTTP":
		return add(dhcpv6.OptClientArchType(iana.EFI_X86_64_HTTP), class(343, "HTTPClient:Arch:00016:UNDI:003016"))
	case "UEFI PXE on Arm":
		return add(dhcpv6.OptClientArchType(iana.EFI_ARM64), class(343, "PXEClient:Arch:00011:UNDI:003000"))
	case "UEFI PXE on RISC-V":
		return add(dhcpv6.OptClientArchType(iana.Arch(27)), class(343, "PXEClient:Arch:00027:UNDI:003000"))
	case "iPXE":
		return add(dhcpv6.OptClientArchType(iana.EFI_BC), class(343, "PXEClient:Arch:00007:UNDI:003010"), &dhcpv6.OptUserClass{UserClasses: [][]byte{[]byte("iPXE")}})
	}
	return ask
}

func TestFirmwareIsToldWhatToBoot(t *testing.T) {
	script := base + boot.ScriptPath(mac)
	other := func(server, file string) func(*View) {
		return func(v *View) { v.Options.BootServer, v.Options.BootFile = server, file }
	}
	random := func(p *Packet) { p.From = netip.MustParseAddrPort("[fe80::7]:546") }
	cases := []struct {
		name     string
		firmware string
		change   change
		view     View
		want     string
		echo     bool
	}{
		{name: "UEFI PXE", firmware: "UEFI PXE", view: view(), want: "tftp://[fd00:31::1]/snponly.efi"},
		{name: "UEFI PXE where we have no address", firmware: "UEFI PXE", view: view(func(v *View) { v.Server = netip.Addr{} })},
		{name: "UEFI HTTP, which must see its class again", firmware: "UEFI HTTP", view: view(), want: base + boot.PathFiles + "snponly.efi", echo: true},
		{name: "iPXE", firmware: "iPXE", view: view(), want: script},
		{name: "iPXE of a machine whose MAC address nobody knows", firmware: "iPXE", change: random, view: view()},
		{name: "UEFI PXE on Arm", firmware: "UEFI PXE on Arm", view: view(), want: "tftp://[fd00:31::1]/grubaa64.efi"},
		{name: "an architecture that we have nothing for", firmware: "UEFI PXE on RISC-V", view: view()},
		{name: "an installed system", firmware: "none", view: view()},
		{name: "another boot service", firmware: "iPXE", view: view(other("", "http://boot.test/x.ipxe")), want: "http://boot.test/x.ipxe"},
		{name: "another TFTP server", firmware: "UEFI PXE", view: view(other("fd00::69", "/x.efi")), want: "tftp://[fd00::69]/x.efi"},
		{name: "another TFTP server by name", firmware: "UEFI PXE", view: view(other("boot.test", "x.efi")), want: "tftp://boot.test/x.efi"},
		{name: "another TFTP server without a file", firmware: "UEFI PXE", view: view(other("fd00::69", ""))},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for _, p := range []*Packet{client(dhcpv6.MessageTypeSolicit, na(1), firmware(c.firmware)), client(dhcpv6.MessageTypeInformationRequest, firmware(c.firmware))} {
				if c.change != nil {
					c.change(p)
				}
				m := Respond(p, c.view, now).Reply
				if got := m.Options.BootFileURL(); got != c.want {
					t.Errorf("%s: got %q; want %q", p.Message.MessageType, got, c.want)
				}
				classes := m.Options.VendorClasses()
				if (len(classes) == 1) != c.echo {
					t.Errorf("%s: got vendor classes %v; want one: %t", p.Message.MessageType, classes, c.echo)
				}
				if c.echo && (classes[0].EnterpriseNumber != 343 || string(classes[0].Data[0]) != "HTTPClient") {
					t.Errorf("got %v; want HTTPClient of enterprise 343", classes[0])
				}
			}
		})
	}
}

func TestNobodyIsToldWhatToBootWhoDoesNotAsk(t *testing.T) {
	p := client(dhcpv6.MessageTypeSolicit, na(1), asking(dhcpv6.OptionDNSRecursiveNameServer), saying(class(343, "PXEClient"), dhcpv6.OptClientArchType(iana.EFI_BC)))
	if got := Respond(p, view(), now).Reply.Options.BootFileURL(); got != "" {
		t.Errorf("got %q; want nothing", got)
	}
}
