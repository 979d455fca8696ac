package main

import (
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

func storageAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional: true, Attributes: storageAttributes(),
		MarkdownDescription: "What is made of the machine's disks: a ready-made `layout`, elements that are written out, or both. With an image of a whole disk, only `disk` can be said; " +
			"everything else needs an image of kind `root`. A change waits for the next deployment, unless `redeploy_on` names `storage`. " +
			"Default: the image's own layout, and for a root archive one partition on the disk that `disk` names.",
	}
}

// storageAttributes are the parts of storage. Sizes are texts, as the server reads them.
func storageAttributes() map[string]schema.Attribute {
	const sizes = " As in `20GiB`, `50%` or `rest`."
	return map[string]schema.Attribute{
		"layout": oneOf("Ready-made arrangement: `flat` (one partition), `lvm`, `raid0`, `raid1`, `raid5`, `raid6`, `raid10`, `btrfs` (subvolumes for root and `/home`), or `custom`, which has only the elements written out. "+
			"Default: `custom` where elements are written out, otherwise `flat`.", "flat", "lvm", "raid0", "raid1", "raid5", "raid6", "raid10", "btrfs", "custom"),
		"disk": schema.SingleNestedAttribute{
			Optional: true, Attributes: diskRuleAttributes(),
			MarkdownDescription: "Which disks the layout takes. Of a layout on one disk, exactly one has to match; the RAID layouts take every one that matches. Default: every disk that is neither removable nor read-only.",
		},
		"filesystem": oneOf("Of root: `ext4`, `xfs` or `btrfs`. Default: `ext4`, and `btrfs` in the layout of that name.", "ext4", "xfs", "btrfs"),
		"root_size":  word("Size of root." + sizes + " Default: `rest`."),
		"boot_size":  word("Size of a `/boot` of its own." + sizes + " Default: none, and `1GiB` where the boot loader could not read root."),
		"swap":       word("Size of swap." + sizes + " Default: none."),
		"encryption": schema.SingleNestedAttribute{
			Optional: true, Attributes: keyAttributes(),
			MarkdownDescription: "Encrypts everything of the layout but `/boot` with LUKS2. Default: nothing is encrypted.",
		},
		"disks": elementsOf("Disks by the names that other elements call them. Those of a layout are called `disk1`, `disk2` and so on. Default: none.", map[string]schema.Attribute{
			"name": needed("What other elements call it."),
			"rule": schema.SingleNestedAttribute{Required: true, Attributes: diskRuleAttributes(), MarkdownDescription: "Which disk it is: exactly one has to match that no earlier element took."},
		}),
		"partitions": elementsOf("Partitions. An ESP or BIOS boot partition is made by itself on every disk that the machine starts from. Default: none.", map[string]schema.Attribute{
			"name": needed("What other elements call it, and its label."), "disk": needed("Name of its disk."), "size": needed("Its size." + sizes),
			"use":      oneOf("`esp` or `bios_boot`, for the firmware. Default: for data.", "esp", "bios_boot"),
			"preserve": yesOrNo("Keep what is on it at a redeployment. Default: `false`."),
		}),
		"raids": elementsOf("Software RAIDs. Default: none.", map[string]schema.Attribute{
			"name":    needed("What other elements call it."),
			"level":   schema.Int64Attribute{Required: true, MarkdownDescription: "`0`, `1`, `5`, `6` or `10`.", Validators: []validator.Int64{int64validator.OneOf(0, 1, 5, 6, 10)}},
			"devices": neededNames("Names of the disks or partitions that it is made of."),
			"spares":  names("Names of disks or partitions that replace one that fails. Default: none."),
			"chunk":   word("Chunk size, for other levels than 1. Default: `512KiB`."),
		}),
		"volume_groups": elementsOf("LVM volume groups. Default: none.", map[string]schema.Attribute{
			"name": needed("What other elements call it."), "devices": neededNames("Names of the disks, partitions, RAIDs or encrypted volumes that it is made of."),
		}),
		"logical_volumes": elementsOf("LVM volumes. The group of the layout `lvm` is called `system`. Default: none.", map[string]schema.Attribute{
			"name": needed("What other elements call it."), "volume_group": needed("Name of its volume group."), "size": needed("Its size." + sizes),
			"preserve": yesOrNo("Keep what is on it at a redeployment. Default: `false`."),
		}),
		"encrypted": elementsOf("LUKS2 volumes. Default: none.", withKey(map[string]schema.Attribute{
			"name": needed("What other elements call it."), "device": needed("Name of the disk, partition, RAID or logical volume that it is on."),
			"random": yesOrNo("Makes a new key at each start, for swap only. Default: `false`."),
		})),
		"filesystems": elementsOf("File systems. Default: none.", map[string]schema.Attribute{
			"device":        needed("Name of the device that it is on."),
			"type":          oneOf("`ext4`, `xfs`, `btrfs`, or `vfat` for the ESP. Default: `ext4`.", "ext4", "xfs", "btrfs", "vfat"),
			"label":         word("Its label. Default: none."),
			"mount":         word("Where it is mounted. Default: nowhere."),
			"mount_options": names("Mount options. Default: those of the system."),
			"mkfs_options":  names("Arguments for `mkfs`, one each. Default: none."),
			"subvolumes": elementsOf("Subvolumes of btrfs. Default: none.", map[string]schema.Attribute{
				"name": needed("As in `@home`."), "mount": word("Where it is mounted. Default: nowhere."), "mount_options": names("Mount options. Default: those of the system."),
			}),
			"preserve": yesOrNo("Keep it, and everything that it is made of, at a redeployment: the plan is refused where it would have to move. Default: `false`."),
		}),
		"swaps": elementsOf("Swap spaces. Default: none.", map[string]schema.Attribute{"device": needed("Name of the device that it is on.")}),
	}
}

func diskRuleAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"name":     word("Kernel name, as in `sda`. Default: any."),
		"path":     word("Stable path, as in `pci-0000:00:17.0-ata-1`. Default: any."),
		"serial":   word("Serial number. Default: any."),
		"wwn":      word("World Wide Name. Default: any."),
		"model":    word("Model, with `*` and `?` as wildcards; case does not matter. Default: any."),
		"bus":      word("`nvme`, `sata`, `sas`, `scsi`, `virtio`, `usb` or `mmc`. Default: any."),
		"kind":     oneOf("`ssd`, `hdd` or `nvme`. Default: any.", "ssd", "hdd", "nvme"),
		"min_size": word("Least size, as in `200GiB`. Default: any."),
		"max_size": word("Largest size, as in `2TiB`. Default: any."),
		"pick":     oneOf("Of those that match, the `smallest` or the `largest`. Default: more matches than are asked for are refused.", "smallest", "largest"),
		"count":    schema.Int64Attribute{Optional: true, MarkdownDescription: "How many disks. Default: one, and all that match for the RAID layouts.", Validators: []validator.Int64{int64validator.Between(1, 64)}},
	}
}

func keyAttributes() map[string]schema.Attribute { return withKey(map[string]schema.Attribute{}) }

// withKey adds how a volume is opened.
func withKey(attributes map[string]schema.Attribute) map[string]schema.Attribute {
	version := path.MatchRelative().AtParent().AtName("key_wo_version")
	attributes["tpm2"] = yesOrNo("The machine's TPM 2.0 opens it; without a key, the server makes a recovery key and keeps it. Default: `false`, the key is asked for on the console at each start.")
	attributes["pcrs"] = schema.ListAttribute{
		Optional: true, ElementType: types.Int64Type, MarkdownDescription: "Registers of the TPM that have to be as they are in the RAM environment. Default: none, this machine opens it whatever it boots.",
		Validators: []validator.List{listvalidator.ValueInt64sAre(int64validator.Between(0, 23))},
	}
	attributes["key_wo"] = schema.StringAttribute{
		Optional: true, WriteOnly: true, Sensitive: true, MarkdownDescription: "Key, of 8 to 512 bytes, that is in no plan and no state. Default: none.",
		Validators: []validator.String{stringvalidator.LengthBetween(8, 512), stringvalidator.AlsoRequires(version)},
	}
	attributes["key_wo_version"] = schema.Int64Attribute{Optional: true, MarkdownDescription: "Any number: a change of it sends `key_wo` again. Default: none."}
	return attributes
}

func word(description string) schema.StringAttribute {
	return schema.StringAttribute{Optional: true, MarkdownDescription: description, Validators: []validator.String{stringvalidator.LengthAtLeast(1)}}
}

func oneOf(description string, allowed ...string) schema.StringAttribute {
	return schema.StringAttribute{Optional: true, MarkdownDescription: description, Validators: []validator.String{stringvalidator.OneOf(allowed...)}}
}

func needed(description string) schema.StringAttribute {
	return schema.StringAttribute{Required: true, MarkdownDescription: description}
}

func yesOrNo(description string) schema.BoolAttribute {
	return schema.BoolAttribute{Optional: true, MarkdownDescription: description}
}

func names(description string) schema.ListAttribute {
	return schema.ListAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: description}
}

func neededNames(description string) schema.ListAttribute {
	return schema.ListAttribute{Required: true, ElementType: types.StringType, MarkdownDescription: description, Validators: []validator.List{listvalidator.SizeAtLeast(1)}}
}

func elementsOf(description string, attributes map[string]schema.Attribute) schema.ListNestedAttribute {
	return schema.ListNestedAttribute{
		Optional: true, MarkdownDescription: description, NestedObject: schema.NestedAttributeObject{Attributes: attributes},
	}
}
