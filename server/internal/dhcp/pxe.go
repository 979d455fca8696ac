package dhcp

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/boot"
)

const (
	classPXE  = "PXEClient"  // RFC 4578; PXE 2.1, 2.1
	classHTTP = "HTTPClient" // UEFI 2.10, 24.7.2.3
)

// discoveryControl is option 43 with control 8: boot the file named here, look for no boot server (PXE 2.1, 2.3).
const discoveryControl = "\x06\x01\x08\xff"

// noProxyWait is option 175 with no-pxedhcp: without it iPXE waits 3 s for a ProxyDHCP server.
const noProxyWait = "\xb0\x01\x01"

// bootOptions name the boot file to a client that asks for one: that of another boot service where one is declared,
// else ours.
func bootOptions(pkt, reply *dhcpv4.DHCPv4, v View) {
	client := bootClient(pkt)
	if v.Options.BootServer != "" || v.Options.BootFile != "" {
		foreignBoot(pkt, reply, client, v.Options)
		return
	}
	named := boot.NameFor(client, v.BootURL, v.SecureBoot)
	if named.File == "" {
		return
	}
	reply.ServerIPAddr = v.Server.AsSlice()
	nameFile(reply, named.File)
	switch {
	case named.HTTP:
		reply.Options[codeClass] = []byte(classHTTP)
	case named.TFTP:
		reply.Options[codeClass] = []byte(classPXE)
		reply.Options[codeBootServer] = []byte(v.Server.String())
		reply.Options[codeVendor] = []byte(discoveryControl)
	}
	if client.IPXE {
		reply.Options[codeIPXE] = []byte(noProxyWait)
	}
}

// foreignBoot names the files of another boot service, to booting clients and to others that ask: telephones and
// switches do.
func foreignBoot(pkt, reply *dhcpv4.DHCPv4, client boot.Client, o metal.DHCPOptions) {
	boots := client.PXE || client.HTTP || client.IPXE
	t := teller{asked: pkt.Options[codeAsked], options: reply.Options}
	if boots || t.asks(codeBootServer) {
		if next, err := netip.ParseAddr(o.BootServer); err == nil && next.Is4() {
			reply.ServerIPAddr = next.AsSlice() // firmware looks here first
		}
		const headerRoom = 63
		if len(o.BootServer) <= headerRoom {
			reply.ServerHostName = o.BootServer
		}
		if o.BootServer != "" {
			reply.Options[codeBootServer] = []byte(o.BootServer)
		}
	}
	if o.BootFile != "" && (boots || t.asks(codeBootFile)) {
		nameFile(reply, o.BootFile)
	}
	_, own := reply.Options[codeVendor]
	switch {
	case client.HTTP:
		reply.Options[codeClass] = []byte(classHTTP)
	case client.PXE && !own:
		reply.Options[codeClass] = []byte(classPXE)
		reply.Options[codeVendor] = []byte(discoveryControl)
	}
}

// nameFile puts a file into the option, and into the header where that has room for it: 127 bytes and a zero (RFC
// 2131, 2).
func nameFile(reply *dhcpv4.DHCPv4, file string) {
	const headerRoom = 127
	if len(file) <= headerRoom {
		reply.BootFileName = file
	}
	reply.Options[codeBootFile] = []byte(file)
}

func bootClient(pkt *dhcpv4.DHCPv4) boot.Client {
	c := boot.Client{MAC: metal.MACOf(pkt.ClientHWAddr)}
	class := pkt.ClassIdentifier()
	c.PXE, c.HTTP = strings.HasPrefix(class, classPXE), strings.HasPrefix(class, classHTTP)
	if archs := pkt.ClientArch(); len(archs) > 0 {
		c.Arch = uint16(archs[0])
	}
	// iPXE sends its user class as plain text, not in the form of RFC 3004; UserClass reads both.
	_, encapsulated := pkt.Options[codeIPXE]
	c.IPXE = c.PXE && encapsulated || pkt.Options.Has(dhcpv4.OptionUserClassInformation) && slices.Contains(pkt.UserClass(), "iPXE")
	return c
}
