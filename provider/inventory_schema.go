package main

import (
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
)

func inventoryAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"arch":        computedText("Processor architecture: `amd64` or `arm64`."),
		"boot_mode":   computedText("Kind of firmware: `bios` or `uefi`."),
		"tpm":         computedText("TPM version: `1.2` or `2.0`."),
		"secure_boot": schema.BoolAttribute{Computed: true, MarkdownDescription: "Whether the firmware ran only what its keys vouch for."},
		"kernel":      computedText("Release of the kernel that made the inventory."),
		"smbios":      one("The system's identity as its firmware tells it.", smbiosAttributes()),
		"cpu":         one("Processors.", cpuAttributes()),
		"memory":      one("RAM.", memoryAttributes()),
		"disks":       many("Whole block devices that an operating system could be put on.", diskAttributes()),
		"nics":        many("Network interfaces.", nicAttributes()),
		"pci": many("PCI functions.", map[string]schema.Attribute{
			"address": computedText("PCI address."), "vendor": computedText("Vendor id in hex."), "device": computedText("Device id in hex."),
			"class": computedText("Class in hex."), "driver": computedText("Kernel driver."),
		}),
		"usb": many("USB devices.", map[string]schema.Attribute{
			"bus": computedText("Bus and port."), "vendor": computedText("Vendor id in hex."),
			"product": computedText("Product id in hex."), "name": computedText("Name that the device tells."),
		}),
		"bmc": one("What the machine's own BMC says of itself in band.", bmcSeenAttributes()),
	}
}

func one(description string, attributes map[string]schema.Attribute) schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{Computed: true, MarkdownDescription: description, Attributes: attributes}
}

func many(description string, attributes map[string]schema.Attribute) schema.ListNestedAttribute {
	return schema.ListNestedAttribute{
		Computed: true, MarkdownDescription: description, NestedObject: schema.NestedAttributeObject{Attributes: attributes},
	}
}

func smbiosAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"vendor": computedText("Who made the system."), "product": computedText("Product name."), "version": computedText("Product version."),
		"serial": computedText("Serial number of the system."), "uuid": computedText("System UUID."), "sku": computedText("Stock number."),
		"board_serial": computedText("Serial number of the main board."), "chassis_asset": computedText("Asset tag of the chassis."),
		"bios_vendor": computedText("Who made the firmware."), "bios_version": computedText("Version of the firmware."),
		"bios_date": computedText("Date of the firmware."),
	}
}

func cpuAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"model": computedText("Model name."), "sockets": computedNumber("Number of sockets."), "cores": computedNumber("Number of cores."),
		"threads": computedNumber("Number of logical processors."), "max_mhz": computedNumber("Highest clock, in MHz."),
		"flags": computedLines("Features, as in `/proc/cpuinfo`."), "numa_nodes": computedNumber("Number of NUMA nodes."),
	}
}

func memoryAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"bytes": computedNumber("Installed RAM, in bytes."),
		"dimms": many("Memory modules.", map[string]schema.Attribute{
			"slot": computedText("Where it is."), "bytes": computedNumber("Size, in bytes."), "type": computedText("Kind, as in `DDR4`."),
			"mhz": computedNumber("Clock, in MHz."), "serial": computedText("Serial number."), "part": computedText("Part number."),
		}),
	}
}

func diskAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"name": computedText("Kernel name, as in `sda`."), "path": computedText("Stable path below `/dev/disk/by-path`."),
		"model": computedText("Model."), "serial": computedText("Serial number."), "wwn": computedText("World-wide name."),
		"firmware": computedText("Version of the firmware."), "bytes": computedNumber("Size, in bytes."),
		"block_size": computedNumber("Logical block size, in bytes."), "bus": computedText("How it is attached, as in `nvme` or `sata`."),
		"rotational": computedBool("It has spinning platters."), "removable": computedBool("It can be taken out."),
		"read_only": computedBool("It cannot be written to."), "numa_node": computedNumber("NUMA node; -1 when unknown."),
		"partitioned": computedBool("It holds a partition table or a file system."),
	}
}

func nicAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"name": computedText("Kernel name."), "mac": computedText("MAC address."), "driver": computedText("Kernel driver."),
		"firmware": computedText("Version of the firmware."), "speed_mbps": computedNumber("Speed of the link, in Mbit/s; null when unknown."),
		"carrier": computedBool("It has a link."), "boot": computedBool("The machine booted from it."),
		"pci": computedText("PCI address."), "numa_node": computedNumber("NUMA node; -1 when unknown."),
		"lldp": one("What the switch at the other end says of itself.", map[string]schema.Attribute{
			"chassis": computedText("Identity of the switch."), "port": computedText("Identity of its port."),
			"system": computedText("Name of the switch."), "vlan": computedNumber("VLAN id of the port."),
		}),
	}
}

func bmcSeenAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"address": computedText("IP address."), "mac": computedText("MAC address."),
		"firmware": computedText("Version of the firmware."), "vendor": computedText("Who made it."),
	}
}
