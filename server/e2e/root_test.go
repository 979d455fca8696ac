package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/lab"
	"github.com/metalform/terraform-provider-metal/server/internal/lab/demo"
)

// installing bounds an installation: mkfs, unpacking, an initramfs and GRUB by an emulated processor.
const installing = 30 * time.Minute

// raiseRoot makes a rack whose machine is commissioned and claimed, and imports the root archive of a Debian as "root".
func raiseRoot(t *testing.T, cfg lab.Config) (*rig, metal.Machine) {
	t.Helper()
	need(t, "mmdebstrap")
	assets, err := demo.BuildRoot(t.Context(), cache(t), programs(t))
	if err != nil {
		t.Fatal(err)
	}
	g := raiseWith(t, cfg, assets.Env, filepath.Dir(assets.Root), `boot = "3m"`, `report = "20m"`)
	image, err := g.Client.PutImage(t.Context(), api.PutImageRequest{
		ByName: api.ByName{Name: "root"}, Body: metal.ImageSpec{Source: assets.Root, Kind: metal.ImageRoot, Reports: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	g.endedIn(t, image.OperationID, installing)
	m := g.commission(t, g.declare(t, "n1").ID)
	if _, err := g.Client.PutAllocation(t.Context(), api.PutAllocationRequest{ByName: api.ByName{Name: "web"}}); err != nil {
		t.Fatal(err)
	}
	return g, m
}

// TestRootArchiveMachines installs a Debian from its root archive, with layouts and a network that are declared, and
// logs in to look at both.
func TestRootArchiveMachines(t *testing.T) {
	if os.Getenv("METAL_NIGHTLY") == "" {
		t.Skip("installs systems, which takes minutes each: METAL_NIGHTLY=1 runs it, and so does make nightly")
	}
	bonded := metal.NetworkSpec{
		Mode:  "static",
		Bonds: []metal.NetworkBond{{NetworkLink: metal.NetworkLink{Name: "bond0", Primary: true}, Interfaces: []string{"boot0"}}},
		VLANs: []metal.NetworkVLAN{
			{NetworkLink: metal.NetworkLink{Name: "san", Addresses: []string{"198.51.100.7/24", "2001:db8:40::7/64"}, MTU: 1400}, ID: 40, Link: "bond0"},
			{NetworkLink: metal.NetworkLink{Name: "guests"}, ID: 50, Link: "bond0"},
		},
		Bridges: []metal.NetworkBridge{{
			NetworkLink: metal.NetworkLink{Name: "br0", Addresses: []string{"192.0.2.9/24"}, Routes: []metal.NetworkRoute{{To: "203.0.113.0/24", Via: "192.0.2.1"}}},
			Interfaces:  []string{"guests"},
		}},
	}
	for _, tt := range []struct {
		name    string
		cfg     lab.Config
		storage metal.StorageSpec
		network metal.NetworkSpec
		want    map[string]string // what a command prints in the system
	}{
		{
			"flat on UEFI", lab.Config{Firmware: metal.UEFI, BMC: lab.Redfish}, metal.StorageSpec{Layout: metal.LayoutFlat, Swap: "256MiB"}, metal.NetworkSpec{},
			map[string]string{
				"findmnt -rno SOURCE,FSTYPE /": "/dev/vda3 ext4", "findmnt -rno FSTYPE /boot/efi": "vfat", "test -d /sys/firmware/efi && echo efi": "efi",
				"awk 'NR == 2 {print $2}' /proc/swaps": "partition", "lsblk -dno PARTTYPENAME /dev/vda1": "EFI System",
			},
		},
		{
			"a volume group on BIOS, and a bond, VLANs and a bridge", lab.Config{Firmware: metal.BIOS, BMC: lab.IPMI},
			metal.StorageSpec{Layout: metal.LayoutLVM, Filesystem: "xfs", RootSize: "3GiB"}, bonded,
			map[string]string{
				"findmnt -rno SOURCE,FSTYPE /":                                       "/dev/mapper/system-root xfs",
				"cat /sys/class/net/bond0/bonding/slaves":                            "boot0",
				"cat /sys/class/net/bond0/bonding/mode":                              "active-backup 1",
				"ip -br -4 addr show dev san | awk '{print $3}'":                     "198.51.100.7/24",
				"ip -br -6 addr show dev san | tr ' ' '\\n' | grep 2001":             "2001:db8:40::7/64",
				"cat /sys/class/net/san/mtu":                                         "1400",
				"ip -d link show dev san | grep -o 'vlan protocol 802.1Q id [0-9]*'": "vlan protocol 802.1Q id 40",
				"ls /sys/class/net/br0/brif":                                         "guests",
				"ip -br -4 addr show dev br0 | awk '{print $3}'":                     "192.0.2.9/24",
				"ip route show 203.0.113.0/24 | grep -o 'via [0-9.]* dev br0'":       "via 192.0.2.1 dev br0",
				"ip -br -4 addr show dev boot0 | awk '{print $3}'":                   "",
			},
		},
		{
			"a mirror on UEFI", lab.Config{Firmware: metal.UEFI, BMC: lab.Redfish, Disks: 2}, metal.StorageSpec{Layout: metal.LayoutRAID1}, metal.NetworkSpec{},
			map[string]string{
				"findmnt -rno FSTYPE / && cat /sys/block/md*/md/level": "ext4\nraid1", "cat /sys/block/md*/md/degraded": "0",
				"lsblk -rno PARTTYPENAME /dev/vda1 /dev/vdb1": `EFI\x20System` + "\n" + `EFI\x20System`,
			},
		},
		{
			"all encrypted, and opened by the TPM, on UEFI", lab.Config{Firmware: metal.UEFI, BMC: lab.Redfish, TPM: true},
			metal.StorageSpec{Layout: metal.LayoutFlat, Encryption: &metal.StorageEncryption{TPM2: true}}, metal.NetworkSpec{},
			map[string]string{
				"lsblk -rno TYPE,FSTYPE $(findmnt -no SOURCE /)": "crypt ext4",
				"sudo cryptsetup luksDump --dump-json-metadata $(sudo blkid -l -o device -t TYPE=crypto_LUKS) | grep -o systemd-tpm2 | head -1": "systemd-tpm2",
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.cfg.MemoryMiB, tt.cfg.CPUs = 1024, 2
			g, m := raiseRoot(t, tt.cfg)
			body := g.spec(t, "root", "", "")
			body.Storage, body.Network = &tt.storage, tt.network
			body.KernelParameters = "console=tty0 console=ttyS0 no_timer_check"
			d, err := g.Client.CreateDeployment(t.Context(), api.CreateDeploymentRequest{Body: api.CreateDeploymentBody{MachineID: m.ID, DeploymentBody: body}})
			if err != nil {
				t.Fatal(err)
			}
			g.endedIn(t, d.OperationID, installing)
			d = g.deployed(t, d)
			if got := g.login(t, d, "hostname"); got != "n1" {
				t.Errorf("the host name: got %q; want n1", got)
			}
			for command, want := range tt.want {
				if got := g.login(t, d, command+" || true"); got != want {
					t.Errorf("%s: got %q; want %q", command, got, want)
				}
			}
			if console := g.console(t); !strings.Contains(console, "ROOT-READY") {
				t.Errorf("console: want the system to say that it is up:\n%s", tail(console))
			}
		})
	}
}
