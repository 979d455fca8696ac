package dhcp

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/boot"
)

// firmware is what kinds of firmware say of themselves.
func firmware(kind string) []dhcpv4.Modifier {
	arch := func(a byte) dhcpv4.Modifier { return saying(93, string([]byte{0, a})) }
	return map[string][]dhcpv4.Modifier{
		"BIOS PXE":              {saying(60, "PXEClient:Arch:00000:UNDI:002001"), arch(0)},
		"PXE without option 93": {saying(60, "PXEClient")},
		"UEFI PXE":              {saying(60, "PXEClient:Arch:00007:UNDI:003000"), arch(7)},
		"UEFI PXE, type 9":      {saying(60, "PXEClient:Arch:00009:UNDI:003000"), arch(9)},
		"UEFI PXE on arm64":     {saying(60, "PXEClient:Arch:00011:UNDI:003000"), arch(11)},
		"UEFI PXE on RISC-V":    {saying(60, "PXEClient:Arch:00027:UNDI:003000"), arch(27)},
		"UEFI HTTP":             {saying(60, "HTTPClient:Arch:00016:UNDI:003001"), arch(16)},
		"iPXE on BIOS":          {saying(60, "PXEClient:Arch:00000:UNDI:002001"), arch(0), saying(77, "iPXE"), saying(175, "\xb1\x01\x01")},
		"iPXE on UEFI":          {saying(60, "PXEClient:Arch:00007:UNDI:003010"), arch(7), saying(77, "iPXE")},
		"iPXE, RFC 3004":        {saying(60, "PXEClient:Arch:00007:UNDI:003010"), arch(7), saying(77, "\x04iPXE")},
		"iPXE by option 175":    {saying(60, "PXEClient:Arch:00007:UNDI:003010"), arch(7), saying(175, "\xb1\x01\x01")},
		"Linux":                 {saying(60, "udhcp 1.35.0")},
		"nothing":               nil,
	}[kind]
}

func TestEveryFirmwareIsToldWhatItNeeds(t *testing.T) {
	type told struct {
		File, Class, Server, TFTP string
		PXE, IPXE                 string // options 43 and 175
	}
	script := told{File: base + "/boot/script/52:54:00:00:00:01?platform=${platform}", Server: "172.31.0.1", IPXE: "\xb0\x01\x01"}
	bios := told{"undionly.kpxe", "PXEClient", "172.31.0.1", "172.31.0.1", "\x06\x01\x08\xff", ""}
	uefi := bios
	uefi.File = "snponly.efi"
	arm64 := bios
	arm64.File = "grubaa64.efi"
	cases := map[string]told{
		"BIOS PXE": bios, "PXE without option 93": bios, "UEFI PXE": uefi, "UEFI PXE, type 9": uefi,
		"UEFI HTTP":    {File: base + "/boot/files/snponly.efi", Class: "HTTPClient", Server: "172.31.0.1"},
		"iPXE on BIOS": script, "iPXE on UEFI": script, "iPXE, RFC 3004": script, "iPXE by option 175": script,
		"UEFI PXE on arm64": arm64, "UEFI PXE on RISC-V": {Server: "0.0.0.0"}, "Linux": {Server: "0.0.0.0"}, "nothing": {Server: "0.0.0.0"},
	}
	for kind, want := range cases {
		for _, message := range []*dhcpv4.DHCPv4{
			client(dhcpv4.MessageTypeDiscover, firmware(kind)...),
			client(dhcpv4.MessageTypeRequest, append(firmware(kind), wanting("172.31.0.10"))...),
		} {
			t.Run(kind+" "+message.MessageType().String(), func(t *testing.T) {
				r := decided(t, message, view(machine))
				got := told{r.BootFileName, r.ClassIdentifier(), r.ServerIPAddr.String(), r.TFTPServerName(), string(r.Options[43]), string(r.Options[175])}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("got + / want -:\n%s", diff)
				}
				if r.BootFileNameOption() != want.File {
					t.Errorf("option 67: got %q; want %q as in the header", r.BootFileNameOption(), want.File)
				}
			})
		}
	}
}

func TestWhatDHCPNamesIsWhatTheBootServerNames(t *testing.T) {
	for _, kind := range []string{"BIOS PXE", "UEFI PXE", "UEFI HTTP", "iPXE on UEFI"} {
		pkt := client(dhcpv4.MessageTypeDiscover, firmware(kind)...)
		want := boot.NameFor(bootClient(pkt), base, false).File
		if got := decided(t, pkt, view()).BootFileName; got != want || got == "" {
			t.Errorf("%s: got %q; want %q", kind, got, want)
		}
	}
}

func TestALongURLGoesIntoTheOptionOnly(t *testing.T) {
	v := view(machine, func(v *View) { v.BootURL = "http://" + strings.Repeat("long.", 20) + "test:7080" })
	r := decided(t, client(dhcpv4.MessageTypeDiscover, firmware("iPXE on UEFI")...), v)
	if r.BootFileName != "" || !strings.HasSuffix(r.BootFileNameOption(), "?platform=${platform}") {
		t.Errorf("got %q in the header, %q in option 67; want nothing cut off", r.BootFileName, r.BootFileNameOption())
	}
}

func TestARoomyReplyIsCutToWhatTheClientTakes(t *testing.T) {
	long := view(machine, func(v *View) {
		v.Domain = strings.Repeat("subdomain.", 20) + "test"
		for range 10 {
			v.Subnet.Spec.NTP = append(v.Subnet.Spec.NTP, ip("10.0.0.5"))
		}
	})
	said := append(firmware("BIOS PXE"), saying(61, strings.Repeat("c", 60)))
	const headers = 28
	cases := []struct {
		name   string
		size   string // option 57
		most   int
		domain bool
	}{
		{"a client that says nothing takes 576 bytes", "", 576, false},
		{"a client that says less takes 576 bytes all the same", "\x01\x00", 576, false},
		{"a client that says 1500 gets all", "\x05\xdc", 1500, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			pkt := client(dhcpv4.MessageTypeDiscover, said...)
			if c.size != "" {
				pkt.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionMaximumDHCPMessageSize, []byte(c.size)))
			}
			r := Respond(pkt, long, now).Reply
			if got := len(r.ToBytes()) + headers; got > c.most {
				t.Errorf("got a packet of %d bytes; want at most %d", got, c.most)
			}
			if got := r.DomainName() != ""; got != c.domain {
				t.Errorf("got the domain told: %v; want %v", got, c.domain)
			}
			if r.BootFileName != "undionly.kpxe" || r.SubnetMask() == nil || len(r.DNS()) != 1 || r.Options.Get(dhcpv4.GenericOptionCode(codeVendor)) == nil {
				t.Errorf("got %s; want what booting needs in any case", r.Summary())
			}
		})
	}
}

// TestRealFirmware answers packets that were captured from firmware in QEMU: SeaBIOS with the iPXE of Debian 12 in the
// NIC's ROM, and OVMF's own PXE and HTTP boot.
func TestRealFirmware(t *testing.T) {
	type told struct {
		Kind, Addr, File, Class string
		PXE, IPXE               []byte
	}
	script := base + "/boot/script/52:54:00:00:00:01?platform=${platform}"
	var discovery, noProxy = []byte{6, 1, 8, 255}, []byte{176, 1, 1}
	cases := map[string]told{
		"ipxe-bios-discover": {"OFFER", "172.31.0.128", script, "", nil, noProxy},
		"ipxe-bios-request":  {"ACK", "172.31.0.128", script, "", nil, noProxy},
		"ovmf-pxe-discover":  {"OFFER", "172.31.0.128", "snponly.efi", "PXEClient", discovery, nil},
		"ovmf-pxe-request":   {"ACK", "172.31.0.128", "snponly.efi", "PXEClient", discovery, nil},
		"ovmf-http-discover": {"OFFER", "172.31.0.128", base + "/boot/files/snponly.efi", "HTTPClient", nil, nil},
		"ovmf-http-request":  {"ACK", "172.31.0.128", base + "/boot/files/snponly.efi", "HTTPClient", nil, nil},
	}
	for name, want := range cases {
		t.Run(name, func(t *testing.T) {
			pkt := captured(t, name)
			r := decided(t, pkt, view(leased("172.31.0.128", metal.LeaseOffered, now.Add(offerLife), true)))
			got := told{r.MessageType().String(), r.YourIPAddr.String(), r.BootFileName, r.ClassIdentifier(), r.Options[43], r.Options[175]}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("got + / want -:\n%s", diff)
			}
			if diff := cmp.Diff(pkt.Options[97], r.Options[97]); diff != "" {
				t.Errorf("option 97 is not repeated, got + / want -:\n%s", diff)
			}
		})
	}
}
