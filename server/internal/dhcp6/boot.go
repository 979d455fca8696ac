package dhcp6

import (
	"bytes"
	"slices"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/metalform/terraform-provider-metal/server/internal/boot"
)

// tellBoot names the boot file to a client that asks for one (RFC 5970): that of another boot service where a person
// declared one, else ours.
func (x *exchange) tellBoot(set func(dhcpv6.Option)) {
	o := x.v.Options
	switch {
	case strings.Contains(o.BootFile, "://"):
		set(dhcpv6.OptBootFileURL(o.BootFile))
		return
	case o.BootFile != "" && o.BootServer != "":
		set(dhcpv6.OptBootFileURL(tftpURL(o.BootServer, o.BootFile)))
		return
	case o.BootFile != "" || o.BootServer != "":
		return // one is no use without the other, and says that the boot file is not ours to name
	}
	client, class := x.bootClient()
	named := boot.NameFor(client, x.v.BootURL, x.v.SecureBoot)
	switch {
	case named.File == "", client.IPXE && client.MAC == "": // a script is found by the machine's MAC address
		return
	case named.TFTP && !x.v.Server.IsValid():
		return
	case named.TFTP:
		named.File = tftpURL(x.v.Server.String(), named.File)
	}
	set(dhcpv6.OptBootFileURL(named.File))
	if named.HTTP && class != nil {
		// The firmware takes no boot file from an answer that does not repeat this (UEFI 2.10, 24.7.2.3).
		x.reply.AddOption(&dhcpv6.OptVendorClass{EnterpriseNumber: class.EnterpriseNumber, Data: [][]byte{[]byte(httpClient)}})
	}
}

const (
	httpClient = "HTTPClient"
	pxeClient  = "PXEClient"
)

// bootClient reads what the firmware tells of itself, and the vendor class that says so.
func (x *exchange) bootClient() (c boot.Client, class *dhcpv6.OptVendorClass) {
	c.MAC = x.q.MAC
	options := x.p.Message.Options
	if archs := options.ArchTypes(); len(archs) > 0 {
		c.Arch = uint16(archs[0])
	}
	for _, vendor := range options.VendorClasses() {
		for _, data := range vendor.Data {
			http, pxe := bytes.HasPrefix(data, []byte(httpClient)), bytes.HasPrefix(data, []byte(pxeClient))
			if http || pxe {
				c.HTTP, c.PXE, class = http, pxe, vendor
			}
		}
	}
	c.IPXE = slices.ContainsFunc(options.UserClasses(), func(user []byte) bool { return string(user) == "iPXE" })
	return c, class
}

// tftpURL is the URL of a file on a TFTP server (RFC 3617); an IPv6 address stands in brackets.
func tftpURL(server, file string) string {
	if strings.Contains(server, ":") {
		server = "[" + strings.Trim(server, "[]") + "]"
	}
	return "tftp://" + server + "/" + strings.TrimPrefix(file, "/")
}
