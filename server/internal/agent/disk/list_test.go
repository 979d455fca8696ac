package disk

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// machine lays out sysfs and devtmpfs of a machine with one disk of each kind.
func machine(t *testing.T) (sysfs, dev string) {
	t.Helper()
	root := t.TempDir()
	sysfs, dev = filepath.Join(root, "sys"), filepath.Join(root, "dev")
	write := func(path, text string) {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// block makes one device: its place below sys/devices, and its files as "name=content".
	block := func(place string, files ...string) {
		for _, f := range files {
			name, text, _ := strings.Cut(f, "=")
			write(filepath.Join("sys/devices", place, name), text)
		}
		link := filepath.Join(sysfs, "block", filepath.Base(place))
		if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("../devices/"+place, link); err != nil {
			t.Fatal(err)
		}
	}
	block("pci0000:00/0000:00:04.0/nvme/nvme0/nvme0n1", "size=8192\n", "queue/logical_block_size=4096\n", "queue/rotational=0\n",
		"device/model=QEMU NVMe Ctrl                          \n", "device/serial=NV1 \n", "device/firmware_rev=1.0\n", "wwid=eui.0025385b71b00001\n")
	write("sys/devices/pci0000:00/0000:00:04.0/numa_node", "1\n")
	block("pci0000:00/0000:00:05.0/virtio1/block/vda", "size=2048\n", "serial=VD1", "ro=1\n")
	write("sys/devices/pci0000:00/0000:00:05.0/numa_node", "-1\n")
	block("pci0000:00/0000:00:1f.2/ata3/host2/target2:0:0/2:0:0:0/block/sda", "size=2048\n", "queue/rotational=1\n",
		"device/vendor=ATA     \n", "device/model=ST1000       \n", "device/rev=CC43\n", "device/wwid=naa.5000c500a1b2c3d4\n",
		"device/vpd_pg80=\x00\x80\x00\x08 Z1D00001")
	write("sys/devices/pci0000:00/0000:00:1f.2/ata3/ata_port/ata3/port_no", "1\n")
	block("pci0000:00/0000:02:00.0/host4/port-4:0/end_device-4:0/target4:0:0/4:0:0:0/block/sdb", "size=2048\n",
		"device/vendor=SEAGATE \n", "device/model=ST600MM\n", "device/wwid=naa.5000c50011112222\n")
	block("pci0000:00/0000:00:14.0/usb1/1-1/1-1:1.0/host6/target6:0:0/6:0:0:0/block/sdc", "size=2048\n", "removable=1\n", "device/vendor=SanDisk\n", "device/model=Cruzer\n", "device/wwid=t10.SanDisk Cruzer 123\n")
	block("platform/mmc0/mmc0:0001/block/mmcblk0", "size=2048\n", "device/name=DG4016\n", "device/serial=0x1234\n")
	for _, no := range []string{"loop0", "ram0", "zram0", "dm-0", "md127", "md_d0", "sr0", "fd0", "nbd0", "mmcblk0boot0", "mmcblk0rpmb"} {
		block("virtual/block/"+no, "size=2048\n")
	}
	block("virtual/block/sdz", "size=0\n")
	block("virtual/block/nvme0c0n1", "size=2048\n", "hidden=1\n")
	write("dev/nvme0n1", strings.Repeat("\x00", 4096)+"EFI PART"+strings.Repeat("\x00", 8192*512-4104))
	write("dev/vda", strings.Repeat("\x00", 2048*512))
	if err := os.MkdirAll(filepath.Join(dev, "disk/by-path"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../sdb", filepath.Join(dev, "disk/by-path/pci-0000:02:00.0-sas-phy0-lun-0")); err != nil {
		t.Fatal(err)
	}
	return sysfs, dev
}

func TestListTellsEveryKindOfDisk(t *testing.T) {
	got, err := List(machine(t))
	if err != nil {
		t.Fatal(err)
	}
	want := []metal.Disk{
		{Name: "mmcblk0", Model: "DG4016", Serial: "0x1234", Bytes: 1 << 20, BlockSize: 512, Bus: "mmc"},
		{
			Name: "nvme0n1", Path: "pci-0000:00:04.0-nvme-1", Model: "QEMU NVMe Ctrl", Serial: "NV1", WWN: "eui.0025385b71b00001", Firmware: "1.0",
			Bytes: 4 << 20, BlockSize: 4096, Bus: "nvme", NUMANode: 1, Partitioned: true,
		},
		{
			Name: "sda", Path: "pci-0000:00:1f.2-ata-1", Model: "ST1000", Serial: "Z1D00001", WWN: "naa.5000c500a1b2c3d4", Firmware: "CC43",
			Bytes: 1 << 20, BlockSize: 512, Bus: "sata", Rotational: true,
		},
		{
			Name: "sdb", Path: "pci-0000:02:00.0-sas-phy0-lun-0", Model: "SEAGATE ST600MM", WWN: "naa.5000c50011112222",
			Bytes: 1 << 20, BlockSize: 512, Bus: "sas",
		},
		{Name: "sdc", Model: "SanDisk Cruzer", Bytes: 1 << 20, BlockSize: 512, Bus: "usb", Removable: true},
		{Name: "vda", Path: "pci-0000:00:05.0", Serial: "VD1", Bytes: 1 << 20, BlockSize: 512, Bus: "virtio", ReadOnly: true, NUMANode: -1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestListOfThisMachine(t *testing.T) {
	disks, err := List("/sys", "/dev")
	if err != nil {
		t.Skipf("there is no sysfs: %v", err)
	}
	for _, d := range disks {
		if d.Bytes <= 0 || d.BlockSize < 512 || d.Bus == "" {
			t.Errorf("got %+v; want size, block size and bus", d)
		}
	}
}

func TestListWithoutSysfsFails(t *testing.T) {
	if _, err := List(t.TempDir(), "/dev"); metal.CodeOf(err) != metal.Internal {
		t.Errorf("got %v; want an internal error", err)
	}
}

func TestHoldsDataKnowsSignatures(t *testing.T) {
	empty := make([]byte, probeBytes)
	if holdsData(empty, empty) {
		t.Error("an empty disk holds data")
	}
	for _, m := range marks() {
		head, tail := append([]byte(nil), empty...), append([]byte(nil), empty...)
		if m.offset >= 0 {
			copy(head[m.offset:], m.magic)
		} else {
			copy(tail[len(tail)+m.offset:], m.magic)
		}
		if !holdsData(head, tail) {
			t.Errorf("%q at %d was not seen", m.magic, m.offset)
		}
	}
	if holdsData([]byte("EF"), nil) {
		t.Error("a disk of two bytes holds data")
	}
}

func TestChoose(t *testing.T) {
	const gib = 1 << 30
	disks := []metal.Disk{
		{Name: "sda", Serial: "A", Bytes: 4 * gib, WWN: "naa.5000c500a1b2c3d4"},
		{Name: "sdb", Serial: "B", Bytes: 2 * gib},
		{Name: "sdc", Serial: "B2", Bytes: 2 * gib},
		{Name: "sdd", Serial: "D", Bytes: gib, Removable: true},
		{Name: "sde", Serial: "E", Bytes: gib, ReadOnly: true},
		{Name: "sdf", Serial: "twin", Bytes: 8 * gib}, {Name: "sdg", Serial: "twin", Bytes: 8 * gib},
	}
	for _, c := range []struct {
		name, want string
		bytes      int64
		chosen     string
		refused    string
	}{
		{"the smallest that fits, the first of equals", "", gib, "sdb", ""},
		{"the next larger one", "", 3 * gib, "sda", ""},
		{"nothing fits", "", 9 * gib, "", "no disk holds the image of 9.0 GiB (9663676416 bytes) that is neither removable nor read-only; the machine has sda 4.0 GiB (4294967296 bytes) serial A; "},
		{"by name", "sdc", gib, "sdc", ""},
		{"by device file", "/dev/sdc", gib, "sdc", ""},
		{"by serial", "B", gib, "sdb", ""},
		{"by WWN in another form", "0x5000C500A1B2C3D4", gib, "sda", ""},
		{"a removable one that is asked for", "sdd", gib, "sdd", ""},
		{"a read-only one", "sde", gib, "", "read-only"},
		{"too small", "sdb", 3 * gib, "", "the image needs 3.0 GiB (3221225472 bytes), disk sdb has 2.0 GiB (2147483648 bytes)"},
		{"not there", "sdq", gib, "", `no disk has the name, serial or WWN "sdq"`},
		{"two of them", "twin", gib, "", "not one disk but several: sdf"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Choose(disks, c.want, c.bytes)
			if c.refused != "" {
				if err == nil || !strings.Contains(err.Error(), c.refused) {
					t.Errorf("got error %v; want one with %q", err, c.refused)
				}
				return
			}
			if err != nil || got.Name != c.chosen {
				t.Errorf("got %s, %v; want %s", got.Name, err, c.chosen)
			}
		})
	}
	if _, err := Choose(nil, "", 1); err == nil || !strings.Contains(err.Error(), "no disks") {
		t.Errorf("no disks: got %v", err)
	}
}
