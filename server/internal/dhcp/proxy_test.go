package dhcp

import (
	"encoding/hex"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// captured returns a packet that firmware in QEMU sent.
func captured(t *testing.T, name string) *dhcpv4.DHCPv4 {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name + ".hex")
	if err != nil {
		t.Fatal(err)
	}
	wire, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	pkt, err := dhcpv4.FromBytes(wire)
	if err != nil {
		t.Fatal(err)
	}
	return pkt
}

func proxying(v *View) { v.Subnet.Spec.DHCP.Mode = metal.DHCPProxy }

// again reads a reply as a client does.
func again(t *testing.T, a Answer) *dhcpv4.DHCPv4 {
	t.Helper()
	if a.Reply == nil {
		t.Fatalf("got silence (%s); want a reply", a.Why)
	}
	reply, err := dhcpv4.FromBytes(appendReply(nil, a.Reply))
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

func TestAProxyNamesFilesAndGivesNoAddress(t *testing.T) {
	type told struct{ File, Class, Server string }
	script := base + "/boot/script/52:54:00:00:00:01?platform=${platform}"
	cases := map[string]told{
		"BIOS PXE": {"undionly.kpxe", "PXEClient", "172.31.0.1"}, "UEFI PXE": {"snponly.efi", "PXEClient", "172.31.0.1"},
		"UEFI HTTP":    {base + "/boot/files/snponly.efi", "HTTPClient", "172.31.0.1"},
		"iPXE on BIOS": {script, "PXEClient", "172.31.0.1"}, "iPXE on UEFI": {script, "PXEClient", "172.31.0.1"},
	}
	for kind, want := range cases {
		for name, shape := range map[string]func(*View){"a machine": machine, "a stranger": func(*View) {}, "a full subnet": full} {
			t.Run(kind+", "+name, func(t *testing.T) {
				a := Respond(client(dhcpv4.MessageTypeDiscover, append(firmware(kind), saying(97, "\x00abc"), saying(61, "\x01id"))...), view(proxying, shape), now)
				if a.Lease != nil || a.Drop.IsValid() {
					t.Errorf("got lease %v, drop %s; want nothing stored", a.Lease, a.Drop)
				}
				r := again(t, a)
				if r.MessageType() != dhcpv4.MessageTypeOffer || !r.YourIPAddr.IsUnspecified() {
					t.Errorf("got %s; want an offer without address", r.Summary())
				}
				if diff := cmp.Diff(want, told{r.BootFileName, r.ClassIdentifier(), r.ServerIPAddr.String()}); diff != "" {
					t.Errorf("got + / want -:\n%s", diff)
				}
				for _, code := range []uint8{1, 3, 6, 51, 58, 59} {
					if value, has := r.Options[code]; has {
						t.Errorf("got option %d, % x; want what the other server tells left to it", code, value)
					}
				}
				if string(r.Options[97]) != "\x00abc" || string(r.Options[61]) != "\x01id" || !r.ServerIdentifier().Equal(net.IP(ours.AsSlice())) {
					t.Errorf("got %s; want UUID, client identifier and our own", r.Summary())
				}
			})
		}
	}
}

func TestAProxyLeavesTheRestToTheOtherServer(t *testing.T) {
	for name, pkt := range map[string]*dhcpv4.DHCPv4{
		"a client that boots nothing":    client(dhcpv4.MessageTypeDiscover),
		"firmware that we have no file":  client(dhcpv4.MessageTypeDiscover, firmware("UEFI PXE on RISC-V")...),
		"a request for an address":       client(dhcpv4.MessageTypeRequest, append(firmware("BIOS PXE"), wanting("172.31.0.10"))...),
		"a request on another network":   client(dhcpv4.MessageTypeRequest, wanting("10.9.9.9")),
		"a release":                      client(dhcpv4.MessageTypeRelease, having("172.31.0.150")),
		"a decline":                      client(dhcpv4.MessageTypeDecline, wanting("172.31.0.150")),
		"a client that asks for options": client(dhcpv4.MessageTypeInform, having("172.31.0.150")),
	} {
		a := Respond(pkt, view(proxying, active), now)
		if diff := cmp.Diff(outcome{}, outcomeOf(a)); diff != "" || a.Why == "" {
			t.Errorf("%s: got + / want -:\n%s(%s)", name, diff, a.Why)
		}
	}
}

func TestBootServerDiscovery(t *testing.T) {
	bios, http := firmware("BIOS PXE"), firmware("UEFI HTTP")
	item := saying(43, "\x47\x04\x80\x00\x00\x00\xff")
	const request, inform = dhcpv4.MessageTypeRequest, dhcpv4.MessageTypeInform
	off := func(v *View) { v.Subnet.Spec.DHCP.Mode = metal.DHCPOff }
	cases := []struct {
		name string
		pkt  *dhcpv4.DHCPv4
		view View
		file string // none: silence
		pxe  string // option 43
	}{
		{"a BIOS", client(request, append(bios, having("172.31.0.55"))...), view(proxying), "undionly.kpxe", "\x06\x01\x08\xff"},
		{"a BIOS that informs itself", client(inform, append(bios, having("172.31.0.55"))...), view(proxying), "undionly.kpxe", "\x06\x01\x08\xff"},
		{"a BIOS that chose us from a menu", client(request, append(bios, having("172.31.0.55"), item)...), view(proxying), "undionly.kpxe", "\x47\x04\x80\x00\x00\x00\x06\x01\x08\xff"},
		{"UEFI by HTTP", client(request, append(http, having("172.31.0.55"))...), view(proxying), base + "/boot/files/snponly.efi", ""},
		{"a subnet that we give the addresses of", client(request, append(bios, having("172.31.0.55"))...), view(machine), "undionly.kpxe", "\x06\x01\x08\xff"},
		{"a DISCOVER is not for this port", client(dhcpv4.MessageTypeDiscover, bios...), view(proxying), "", ""},
		{"a client that boots nothing", client(request, having("172.31.0.55")), view(proxying), "", ""},
		{"a subnet that is off", client(request, append(bios, having("172.31.0.55"))...), view(off), "", ""},
		{"no subnet of ours", client(request, bios...), view(func(v *View) { v.Subnet = nil }), "", ""},
		{"a reply", client(request, append(bios, func(d *dhcpv4.DHCPv4) { d.OpCode = dhcpv4.OpcodeBootReply })...), view(proxying), "", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			a := respondBoot(c.pkt, c.view)
			if a.Lease != nil || a.Drop.IsValid() || a.Why == "" {
				t.Errorf("got %+v; want nothing stored, and a reason", a)
			}
			if c.file == "" {
				if a.Reply != nil {
					t.Errorf("got %s; want silence", a.Reply.Summary())
				}
				return
			}
			r := again(t, a)
			if r.MessageType() != dhcpv4.MessageTypeAck || !r.YourIPAddr.IsUnspecified() || !r.ClientIPAddr.Equal(c.pkt.ClientIPAddr) {
				t.Errorf("got %s; want an ACK of the client's own address", r.Summary())
			}
			if r.BootFileName != c.file || string(r.Options[43]) != c.pxe {
				t.Errorf("got file %q and option 43 %q; want %q and %q", r.BootFileName, r.Options[43], c.file, c.pxe)
			}
		})
	}
}

func TestBootItemsAreReadWithCare(t *testing.T) {
	for value, want := range map[string]string{
		"":                                     "",
		"\xff":                                 "",
		"\x47":                                 "",
		"\x47\x04\x00":                         "",
		"\x47\x02\x00\x01":                     "",
		"\x00\x00\x47\x04\x00\x01\x00\x02":     "\x47\x04\x00\x01\x00\x02",
		"\x06\x01\x08\x47\x04\x00\x01\x00\x02": "\x47\x04\x00\x01\x00\x02",
		"\xff\x47\x04\x00\x01\x00\x02":         "",
	} {
		if got := string(bootItem(client(dhcpv4.MessageTypeRequest, saying(43, value)))); got != want {
			t.Errorf("option 43 %q: got %q; want %q", value, got, want)
		}
	}
}

// TestAProxyAnswersRealFirmware takes what OVMF and iPXE send, byte by byte.
func TestAProxyAnswersRealFirmware(t *testing.T) {
	for name, want := range map[string][2]string{
		"ovmf-pxe-discover":  {"snponly.efi", "PXEClient"},
		"ovmf-http-discover": {base + "/boot/files/snponly.efi", "HTTPClient"},
		"ipxe-bios-discover": {base + "/boot/script/52:54:00:00:00:01?platform=${platform}", "PXEClient"},
	} {
		r := again(t, Respond(captured(t, name), view(proxying), now))
		if got := [2]string{r.BootFileName, r.ClassIdentifier()}; got != want {
			t.Errorf("%s: got %q; want %q", name, got, want)
		}
		to := destinationOf(captured(t, name), r)
		if got := to.To.String(); got != "255.255.255.255:68" {
			t.Errorf("%s: got an answer to %s; want it to everybody, since the client has no address", name, got)
		}
	}
}
