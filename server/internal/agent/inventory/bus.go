package inventory

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// pci lists all PCI functions.
func (s Sources) pci() []metal.PCI {
	dir := filepath.Join(s.Sys, "bus/pci/devices")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return []metal.PCI{} // a machine without the bus
	}
	all := make([]metal.PCI, 0, len(entries))
	for _, e := range entries {
		hex := func(name string) string { return strings.TrimPrefix(text(dir, e.Name(), name), "0x") }
		class := hex("class")
		all = append(all, metal.PCI{
			Address: e.Name(), Vendor: hex("vendor"), Device: hex("device"),
			Class:  class[:min(4, len(class))], // without the programming interface, as lspci -n shows it
			Driver: link(dir, e.Name(), "driver"),
		})
	}
	return all
}

// usb lists USB devices. Interfaces have a colon in their name; root hubs, as usb1, are the controller's own.
func (s Sources) usb() []metal.USB {
	dir := filepath.Join(s.Sys, "bus/usb/devices")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return []metal.USB{}
	}
	all := make([]metal.USB, 0, len(entries))
	for _, e := range entries {
		if strings.Contains(e.Name(), ":") || strings.HasPrefix(e.Name(), "usb") {
			continue
		}
		all = append(all, metal.USB{
			Bus: e.Name(), Vendor: text(dir, e.Name(), "idVendor"), Product: text(dir, e.Name(), "idProduct"),
			Name: strings.TrimSpace(text(dir, e.Name(), "manufacturer") + " " + text(dir, e.Name(), "product")),
		})
	}
	return all
}
