package layout

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const gib = int64(1) << 30

// rack is four SSDs of 40 GiB, a large hard disk, a USB stick and a CD.
func rack() []metal.Disk {
	var disks []metal.Disk
	for i := range 4 {
		disks = append(disks, metal.Disk{
			Name: fmt.Sprintf("sd%c", 'a'+i), Path: fmt.Sprintf("pci-0000:00:17.0-ata-%d", i+1), Model: "QEMU SSD/1", Serial: fmt.Sprintf("S%d", i+1),
			Bytes: 40 * gib, BlockSize: 512, Bus: "sata",
		})
	}
	return append(disks,
		metal.Disk{Name: "sde", Model: "Big HDD", Serial: "H1", Bytes: 4096 * gib, BlockSize: 4096, Bus: "sas", Rotational: true},
		metal.Disk{Name: "sdf", Model: "Stick", Serial: "U1", Bytes: 4096 * gib, BlockSize: 512, Bus: "usb", Removable: true},
		metal.Disk{Name: "sdg", Model: "Frozen", Serial: "R1", Bytes: 4096 * gib, BlockSize: 512, Bus: "sata", ReadOnly: true},
	)
}

func request(spec metal.StorageSpec) Request {
	return Request{
		Deployment: "d-1", Spec: &spec, Disks: rack(), BootMode: metal.UEFI, TPM: "2.0", Image: Image{Root: true, Bytes: 2 * gib},
	}
}

func mustPlan(t *testing.T, r Request) metal.StoragePlan {
	t.Helper()
	p, err := Plan(r)
	if err != nil {
		t.Fatal(err)
	}
	if bad := wrong(p, r.Disks, r.BootMode); bad != "" {
		t.Fatalf("the plan is wrong: %s\n%s", bad, text(p))
	}
	return p
}

func text(p metal.StoragePlan) string {
	b, err := json.MarshalIndent(p, "", " ")
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func TestEveryLayoutIsResolvedForItsDisks(t *testing.T) {
	one, four := &metal.DiskRule{Serial: "S2"}, &metal.DiskRule{Model: "qemu*", Kind: "ssd"}
	for name, c := range map[string]struct {
		spec metal.StorageSpec
		mode metal.BootMode
		want []string
	}{
		"flat on UEFI": {metal.StorageSpec{Layout: "flat", Disk: one, Swap: "4GiB"}, metal.UEFI, []string{
			"disk1 is /dev/sdb (40 GiB, QEMU SSD/1, serial S2): overwritten",
			"disk1 partition 1 esp-disk1: 512 MiB", "disk1 partition 2 swap: 4 GiB", "disk1 partition 3 root: 35.49 GiB",
			"ext4 on root, mounted on /", "vfat on esp-disk1, mounted on /boot/efi", "swap on swap", "boot loader for UEFI in esp-disk1",
		}},
		"flat on BIOS with half a disk for root": {metal.StorageSpec{Disk: one, RootSize: "50%", Filesystem: "xfs"}, metal.BIOS, []string{
			"disk1 is /dev/sdb (40 GiB, QEMU SSD/1, serial S2): overwritten",
			"disk1 partition 1 bios-disk1: 1 MiB", "disk1 partition 2 root: 19.99 GiB", "xfs on root, mounted on /", "boot loader for BIOS on disk1",
		}},
		"flat and encrypted gets a /boot of its own, and its swap a new key at each start": {
			metal.StorageSpec{Layout: "flat", Disk: one, Swap: "1GiB", Encryption: &metal.StorageEncryption{TPM2: true}}, metal.BIOS, []string{
				"disk1 is /dev/sdb (40 GiB, QEMU SSD/1, serial S2): overwritten",
				"disk1 partition 1 bios-disk1: 1 MiB", "disk1 partition 2 boot: 1 GiB", "disk1 partition 3 swap-luks: 1 GiB", "disk1 partition 4 root-luks: 37.99 GiB",
				"encrypted volume swap: on swap-luks, opened by a new key at each start", "encrypted volume root: on root-luks, opened by the TPM",
				"ext4 on boot, mounted on /boot", "ext4 on root, mounted on /", "boot loader for BIOS on disk1",
			}},
		"LVM": {metal.StorageSpec{Layout: "lvm", Disk: one, RootSize: "10GiB", Swap: "1GiB"}, metal.BIOS, []string{
			"disk1 is /dev/sdb (40 GiB, QEMU SSD/1, serial S2): overwritten",
			"disk1 partition 1 bios-disk1: 1 MiB", "disk1 partition 2 pv-1: 39.99 GiB", "volume group system: of pv-1, 39.99 GiB",
			"logical volume swap: 1 GiB of system", "logical volume root: 10 GiB of system", "ext4 on root, mounted on /", "swap on swap", "boot loader for BIOS on disk1",
		}},
		"RAID 10 has /boot on a mirror over all, and a boot loader on each": {metal.StorageSpec{Layout: "raid10", Disk: four}, metal.BIOS, []string{
			"disk1 is /dev/sda (40 GiB, QEMU SSD/1, serial S1): overwritten", "disk2 is /dev/sdb (40 GiB, QEMU SSD/1, serial S2): overwritten",
			"disk3 is /dev/sdc (40 GiB, QEMU SSD/1, serial S3): overwritten", "disk4 is /dev/sdd (40 GiB, QEMU SSD/1, serial S4): overwritten",
			"disk1 partition 1 bios-disk1: 1 MiB", "disk1 partition 2 boot-1: 1 GiB", "disk1 partition 3 root-1: 38.99 GiB",
			"disk2 partition 1 bios-disk2: 1 MiB", "disk2 partition 2 boot-2: 1 GiB", "disk2 partition 3 root-2: 38.99 GiB",
			"disk3 partition 1 bios-disk3: 1 MiB", "disk3 partition 2 boot-3: 1 GiB", "disk3 partition 3 root-3: 38.99 GiB",
			"disk4 partition 1 bios-disk4: 1 MiB", "disk4 partition 2 boot-4: 1 GiB", "disk4 partition 3 root-4: 38.99 GiB",
			"array boot: RAID 1 of boot-1, boot-2, boot-3, boot-4, 1008 MiB", "array root: RAID 10 of root-1, root-2, root-3, root-4, 77.96 GiB",
			"ext4 on boot, mounted on /boot", "ext4 on root, mounted on /", "boot loader for BIOS on disk1, disk2, disk3, disk4",
		}},
		"btrfs has subvolumes": {metal.StorageSpec{Layout: "btrfs", Disk: one}, metal.BIOS, []string{
			"disk1 is /dev/sdb (40 GiB, QEMU SSD/1, serial S2): overwritten", "disk1 partition 1 bios-disk1: 1 MiB", "disk1 partition 2 root: 39.99 GiB",
			"btrfs on root, mounted on /, /home", "boot loader for BIOS on disk1",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(c.spec)
			r.BootMode = c.mode
			if diff := cmp.Diff(c.want, mustPlan(t, r).Describe()); diff != "" {
				t.Errorf("got other lines than wanted (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEveryLayoutGivesASoundPlanOnBothFirmwares(t *testing.T) {
	for _, layout := range []metal.StorageLayout{"flat", "lvm", "raid0", "raid1", "raid5", "raid6", "raid10", "btrfs"} {
		for _, mode := range []metal.BootMode{metal.BIOS, metal.UEFI} {
			for _, crypt := range []*metal.StorageEncryption{nil, {TPM2: true}, {KeyID: "ab"}} {
				rule := &metal.DiskRule{Serial: "S1"}
				if strings.HasPrefix(string(layout), "raid") {
					rule = &metal.DiskRule{Kind: "ssd", Count: 4, Pick: "smallest"}
				}
				for _, more := range []metal.StorageSpec{{}, {Swap: "1GiB", BootSize: "600MiB"}} {
					more.Layout, more.Disk, more.Encryption = layout, rule, crypt
					r := request(more)
					r.BootMode = mode
					p := mustPlan(t, r)
					if diff := cmp.Diff(p, mustPlan(t, r)); diff != "" {
						t.Errorf("%s: the same question has two answers:\n%s", layout, diff)
					}
				}
			}
		}
	}
}

func TestMirrorsHaveAnESPOnEachDiskAndStartWithoutTheFirst(t *testing.T) {
	p := mustPlan(t, request(metal.StorageSpec{Layout: "raid1", Disk: &metal.DiskRule{Kind: "ssd", Pick: "smallest", Count: 2}}))
	if got, want := p.Boot.ESPs, []string{"esp-disk1", "esp-disk2"}; !slices.Equal(got, want) {
		t.Errorf("got ESPs %v; want %v", got, want)
	}
	if got := p.FSTab[1]; !strings.Contains(got, " /boot/efi vfat umask=0077,nofail,") {
		t.Errorf("got %q in fstab; want one that may be missing", got)
	}
	want := []string{"ARRAY /dev/md/root metadata=1.2 UUID=" + arrayIdentity("d-1", "root")}
	if diff := cmp.Diff(want, p.MDAdm); diff != "" {
		t.Error(diff)
	}
}

func TestFilesOfAnEncryptedVolumeGroup(t *testing.T) {
	p := mustPlan(t, request(metal.StorageSpec{Layout: "lvm", Disk: &metal.DiskRule{Serial: "S1"}, Swap: "1GiB", Encryption: &metal.StorageEncryption{TPM2: true, PCRs: []int{0, 7}}}))
	id := func(what, name string) string { return identity("d-1", what, name) }
	if diff := cmp.Diff([]string{"pv-1 UUID=" + id("luks", "pv-1") + " none luks,discard,tpm2-device=auto,initramfs"}, p.Crypttab); diff != "" {
		t.Error(diff)
	}
	want := []string{
		"UUID=" + id("filesystem", "root") + " / ext4 errors=remount-ro 0 1",
		"UUID=" + id("filesystem", "boot") + " /boot ext4 defaults 0 2",
		"UUID=" + fatIdentity("d-1", "esp-disk1") + " /boot/efi vfat umask=0077 0 2",
		"UUID=" + id("swap", "swap") + " none swap sw 0 0",
	}
	if diff := cmp.Diff(want, p.FSTab); diff != "" {
		t.Error(diff)
	}
	if got, want := p.Boot.Root, "/dev/mapper/system-root"; got != want {
		t.Errorf("got root=%s; want %s", got, want)
	}
}

func TestIdentitiesDependOnTheDeployment(t *testing.T) {
	r := request(metal.StorageSpec{Disk: &metal.DiskRule{Serial: "S1"}})
	a := mustPlan(t, r)
	r.Deployment = "d-2"
	if b := mustPlan(t, r); a.FSTab[0] == b.FSTab[0] || a.Actions[1].Partitions[0].UUID == b.Actions[1].Partitions[0].UUID {
		t.Error("got the same UUIDs for two deployments; want others")
	}
}

func TestWithoutADeclarationTheSmallestDiskThatFitsIsTaken(t *testing.T) {
	r := request(metal.StorageSpec{})
	r.Spec = nil
	if got := mustPlan(t, r).Disks[0].Kernel; got != "sda" {
		t.Errorf("got %s; want sda", got)
	}
	r.Disk = "H1"
	if got := mustPlan(t, r).Disks[0].Kernel; got != "sde" {
		t.Errorf("got %s; want sde, which has that serial number", got)
	}
}

func TestAnImageOfAWholeDiskTakesOnlyTheChoiceOfADisk(t *testing.T) {
	r := request(metal.StorageSpec{Disk: &metal.DiskRule{Kind: "hdd"}})
	r.Image.Root = false
	p, err := Plan(r)
	if err != nil {
		t.Fatal(err)
	}
	if p.Image == nil || p.Disks[0].Kernel != "sde" || len(p.Actions) > 0 {
		t.Errorf("got %s; want the image on sde and no action", text(p))
	}
	r.Spec.Swap = "1GiB"
	if _, err = Plan(r); err == nil || !strings.Contains(err.Error(), "storage.swap: ") || !strings.Contains(err.Error(), "needs an image of kind root") {
		t.Errorf("got %v; want a refusal of swap", err)
	}
}
