package bootenv

import "slices"

// ModuleSet names modules to take into the RAM environment. What they depend on comes with them.
type ModuleSet struct {
	Name string
	// Modules are taken where the kernel has them; a kernel without one of them has it built in or is a smaller
	// flavour.
	Modules []string
	// Required modules must exist, as modules or built in.
	Required []string
}

// Virtual returns the set for virtual machines: what QEMU, KVM hosts and clouds offer. It lacks xfs and btrfs, which
// would double the initramfs: a system on one of them is started through the firmware where kexec was asked for.
func Virtual() ModuleSet {
	return ModuleSet{
		Name: "virtual",
		Modules: slices.Concat(
			[]string{"e1000", "e1000e", "vmxnet3", "hv_netvsc", "xen_netfront", "ena", "gve", "8139cp"},
			[]string{"virtio_scsi", "virtio_mmio", "ahci", "ata_piix", "sd_mod", "sr_mod", "nvme", "vmw_pvscsi", "hv_storvsc", "xen_blkfront", "pci_hyperv"},
			fileSystems(),
		),
		Required: []string{"virtio_pci", "virtio_net", "virtio_blk", "ext4"},
	}
}

// Servers returns the set for servers, which has all of Virtual too.
func Servers() ModuleSet {
	s := Virtual()
	s.Name = "servers"
	s.Modules = slices.Concat(s.Modules,
		// Network: Intel, Broadcom, NVIDIA, Marvell, Chelsio, Solarflare, Realtek, Amazon and Arm SoCs.
		[]string{
			"igb", "igc", "ixgbe", "ixgbevf", "i40e", "iavf", "ice", "idpf", "tg3", "bnx2", "bnx2x", "bnxt_en", "be2net",
			"mlx4_en", "mlx5_core", "cxgb4", "enic", "qede", "qlcnic", "netxen_nic", "sfc", "nfp", "ionic", "atlantic",
			"r8169", "sky2", "atl1c", "alx", "forcedeth", "macb", "dwmac_generic", "stmmac_platform", "hns3", "hclge",
			"mvneta", "mvpp2", "thunder_bgx", "nicpf", "nicvf", "xgene_enet", "amd_xgbe", "bcmgenet", "fec",
			"r8152", "ax88179_178a", "cdc_ether", "cdc_ncm", "usbnet",
		},
		// Storage: NVMe, SATA, SAS and RAID controllers, SD cards, USB sticks.
		[]string{
			"megaraid_sas", "megaraid_mbox", "mpt3sas", "mptsas", "mptspi", "smartpqi", "hpsa", "aacraid", "arcmsr",
			"3w_9xxx", "3w_sas", "isci", "mvsas", "pm80xx", "hisi_sas_v3_hw", "ufshcd_pci", "vmd", "nvme_tcp",
			"sata_mv", "sata_sil24", "sata_nv", "sata_via", "pata_acpi", "ata_generic", "ahci_platform",
			"mmc_block", "sdhci_pci", "sdhci_acpi", "usb_storage", "uas", "xhci_pci", "ehci_pci", "ohci_pci", "uhci_hcd",
			"xhci_plat_hcd",
		},
		[]string{"xfs", "btrfs", "squashfs", "dm_mod"},
		// The machine's own BMC and TPM.
		[]string{"ipmi_si", "ipmi_ssif", "ipmi_devintf", "tpm_tis", "tpm_crb"},
	)
	return s
}

// fileSystems are those that installed systems have, with what the kernel asks for by name when it mounts them, and
// a few devices that any machine may have.
func fileSystems() []string {
	return []string{
		"ext4", "vfat", "nls_cp437", "nls_ascii", "nls_iso8859_1", "nls_utf8", "loop", "crc32c_generic", "crc32c_intel", "efivarfs",
		"virtio_rng", "virtio_console", "ipmi_si", "ipmi_devintf",
	}
}
