package layout

import (
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestRulesMeanWhatTheySay(t *testing.T) {
	disks := rack()
	disks[0].WWN = "0x5000c500a1b2c3d4"
	disks[1].Bus, disks[1].Name = "nvme", "nvme0n1"
	for name, c := range map[string]struct {
		rule  metal.DiskRule
		named string
		want  string
	}{
		"a kernel name with /dev/":        {metal.DiskRule{Name: "/dev/sdc"}, "", "sdc"},
		"a WWN in another form":           {metal.DiskRule{WWN: "naa.5000C500A1B2C3D4"}, "", "sda"},
		"the deployment's disk, by WWN":   {metal.DiskRule{}, "5000c500a1b2c3d4", "sda"},
		"the deployment's disk, by name":  {metal.DiskRule{}, "/dev/sdd", "sdd"},
		"a path":                          {metal.DiskRule{Path: "pci-0000:00:17.0-ata-4"}, "", "sdd"},
		"a kind":                          {metal.DiskRule{Kind: "hdd"}, "", "sde"},
		"a kind that is a bus":            {metal.DiskRule{Kind: "nvme"}, "", "nvme0n1"},
		"a size":                          {metal.DiskRule{MinSize: "1TiB"}, "", "sde"},
		"the smallest, by where it is":    {metal.DiskRule{Pick: "smallest"}, "", "sda"},
		"the largest that is not too big": {metal.DiskRule{Pick: "largest", MaxSize: "100GiB"}, "", "sda"},
		"a model with a slash":            {metal.DiskRule{Model: "qemu*/1", Bus: "nvme"}, "", "nvme0n1"},
	} {
		t.Run(name, func(t *testing.T) {
			p := &picker{free: usable(disks)}
			got, err := p.pick("storage.disk", c.rule, c.named, 1)
			if err != nil || len(got) != 1 || got[0].Name != c.want {
				t.Fatalf("got %v, %v; want %s", got, err, c.want)
			}
			if len(p.free) != 4 {
				t.Errorf("got %d disks left; want the other 4", len(p.free))
			}
		})
	}
}

func TestALongListOfDisksIsCutShort(t *testing.T) {
	var disks []metal.Disk
	for range 12 {
		disks = append(disks, metal.Disk{Name: "sda", Bytes: 1 << 30})
	}
	if got := describeDisks(disks); !strings.HasSuffix(got, ", and 4 more") {
		t.Errorf("got %s; want 8 disks and how many more", got)
	}
}
