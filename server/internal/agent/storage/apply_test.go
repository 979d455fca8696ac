package storage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// bench notes what is asked of programs and of the kernel, in order.
type bench struct {
	did   []string
	says  map[string]string // output by program
	fails string            // a line that fails
	input map[string]string
	// unlocks are the keys that were in a file when a volume was sealed.
	unlocks []string
}

func (b *bench) note(format string, args ...any) error {
	line := fmt.Sprintf(format, args...)
	b.did = append(b.did, line)
	if b.fails != "" && strings.HasPrefix(line, b.fails) {
		return errors.New("it broke")
	}
	return nil
}

func (b *bench) Run(_ context.Context, root string, input []byte, name string, args ...string) (string, error) {
	var short []string
	for i := 0; i < len(args); i++ {
		if args[i] == "--config" {
			i++
			continue
		}
		short = append(short, args[i])
	}
	line := strings.Join(append([]string{name}, short...), " ")
	if len(input) > 0 {
		if b.input == nil {
			b.input = map[string]string{}
		}
		b.input[line] = string(input)
	}
	for _, arg := range args {
		if file, ok := strings.CutPrefix(arg, "--unlock-key-file="); ok { // which is there for no longer than this
			key, err := os.ReadFile(filepath.Join(root, file))
			if err != nil {
				return "", err
			}
			b.unlocks = append(b.unlocks, string(key))
		}
	}
	if filepath.Base(root) != "tools" {
		line = root + ": " + line
	}
	return b.says[name], b.note("%s", line)
}

func (b *bench) Partition(_ context.Context, device string, parts []metal.PlannedPartition) error {
	return b.note("partition %s into %d", device, len(parts))
}
func (b *bench) Wipe(_ context.Context, d metal.Disk) error { return b.note("wipe %s", d.Name) }
func (b *bench) Await(context.Context, string) error        { return nil }
func (b *bench) Mount(device, dir, kind string, options []string) error {
	return b.note("mount %s %s %s %s", device, filepath.Base(dir), kind, strings.Join(options, ","))
}
func (b *bench) Unmount(dir string) error { return b.note("unmount %s", filepath.Base(dir)) }

func options(t *testing.T, b *bench, p metal.StoragePlan) Options {
	t.Helper()
	tools := filepath.Join(t.TempDir(), "tools")
	if err := os.Mkdir(tools, 0o700); err != nil {
		t.Fatal(err)
	}
	return Options{
		Plan: p, Keys: map[string]string{"root": "open sesame"}, Tools: tools, Target: filepath.Join(t.TempDir(), "target"), Sys: t.TempDir(),
		Disks:    []metal.Disk{{Name: "vda", Serial: "A", Bytes: 1 << 30}, {Name: "nvme0n1", Serial: "B", Bytes: 1 << 30}},
		Programs: b, Kernel: b, Log: slog.New(slog.DiscardHandler), Progress: func(float64) {},
	}
}

func disks() []metal.PlannedDisk {
	return []metal.PlannedDisk{{Name: "disk1", Kernel: "vda", Serial: "A", Bytes: 1 << 30}, {Name: "disk2", Kernel: "sdb", Serial: "B", Bytes: 1 << 30}}
}

func parts(names ...string) []metal.PlannedPartition {
	var all []metal.PlannedPartition
	for i, n := range names {
		all = append(all, metal.PlannedPartition{Number: i + 1, Name: n})
	}
	return all
}

func fileSystem(device, kind, uuid string) metal.StorageAction {
	return metal.StorageAction{Kind: metal.ActionFilesystem, Name: device, Devices: []string{device}, UUID: uuid, Filesystem: &metal.PlannedFilesystem{Type: kind}}
}

// stacked is a mirror with LUKS on it, and a volume group on that: all there is.
func stacked() metal.StoragePlan {
	root := fileSystem("root", "btrfs", "U1")
	root.Filesystem.Subvolumes = []string{"@", "@home"}
	return metal.StoragePlan{
		Disks: disks(),
		Actions: []metal.StorageAction{
			{Kind: metal.ActionWipe, Name: "disk1"},
			{Kind: metal.ActionPartition, Name: "disk1", Partitions: parts("bios1", "boot", "m1")},
			{Kind: metal.ActionPartition, Name: "disk2", Partitions: parts("bios2", "m2")},
			{Kind: metal.ActionRAID, Name: "md", Devices: []string{"m1", "m2"}, UUID: "U2", RAID: &metal.PlannedRAID{Level: 1, DataOffset: 1 << 20, MemberBytes: 1 << 29}},
			{Kind: metal.ActionEncrypt, Name: "secret", Devices: []string{"md"}, UUID: "U3", Encryption: &metal.PlannedEncryption{Key: "root", TPM2: true, PCRs: []int{7, 11}}},
			{Kind: metal.ActionVolumeGroup, Name: "vg", Devices: []string{"secret"}},
			{Kind: metal.ActionLogicalVolume, Name: "root", Devices: []string{"vg"}, Bytes: 400 << 20},
			root, fileSystem("boot", "ext4", "U4"),
			{Kind: metal.ActionSwap, Name: "m1", UUID: "U5"},
		},
		Mounts: []metal.PlannedMount{{Device: "root", Path: "/", Type: "btrfs", Options: []string{"subvol=@"}}, {Device: "boot", Path: "/boot", Type: "ext4"}},
	}
}

func TestAPlanIsCarriedOutInOrder(t *testing.T) {
	var b bench
	v, err := New(options(t, &b, stacked()))
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"wipe vda",
		"partition /dev/vda into 3",
		"wipefs --all --force /dev/vda1", "wipefs --all --force /dev/vda2", "wipefs --all --force /dev/vda3",
		"partition /dev/nvme0n1 into 2",
		"wipefs --all --force /dev/nvme0n1p1", "wipefs --all --force /dev/nvme0n1p2",
		"wipefs --all --force /dev/vda3", "wipefs --all --force /dev/nvme0n1p2",
		"mdadm --create /dev/md/md --run --force --quiet --homehost=any --metadata=1.2 --level=1 --uuid=U2 --raid-devices=2 --data-offset=1024K --bitmap=internal --size=524288K /dev/vda3 /dev/nvme0n1p2",
		"wipefs --all --force /dev/md/md",
		"cryptsetup luksFormat --batch-mode --type luks2 --uuid U3 --key-file - /dev/md/md",
		"systemd-cryptenroll --unlock-key-file=/unlock-key --tpm2-device=auto --tpm2-pcrs=7+11 /dev/md/md",
		"cryptsetup open --type luks2 --allow-discards --key-file - /dev/md/md secret",
		"wipefs --all --force /dev/mapper/secret",
		"lvm vgcreate --yes --force --physicalextentsize 4m vg /dev/mapper/secret",
		"lvm lvcreate --yes --wipesignatures y --name root --size 419430400b vg",
		"wipefs --all --force /dev/vg/root",
		"mkfs.btrfs -q -f -U U1 /dev/vg/root",
		"mount /dev/vg/root tmp btrfs ",
		"btrfs subvolume create /tmp/@", "btrfs subvolume create /tmp/@home",
		"unmount tmp",
		"wipefs --all --force /dev/vda2",
		"mkfs.ext4 -q -F -U U4 -O ^metadata_csum_seed,^orphan_file /dev/vda2",
		"wipefs --all --force /dev/vda3",
		"mkswap --uuid U5 /dev/vda3",
		"mount /dev/vg/root target btrfs subvol=@",
		"mount /dev/vda2 boot ext4 ",
	}
	if diff := cmp.Diff(want, b.did); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(b.input) != 2 || !slices.Equal(b.unlocks, []string{"open sesame"}) {
		t.Errorf("got %d programs with something to read and %q in files; want two of the three that need the passphrase, and the third", len(b.input), b.unlocks)
	}
	if left, err := os.ReadDir(v.Tools); err != nil || len(left) > 0 {
		t.Errorf("left among the tools: %v, %v; want no key", left, err)
	}
	for line, input := range b.input {
		if input != "open sesame" || strings.Contains(line, "sesame") {
			t.Errorf("%s: got %q to read; want the passphrase there and not on the command line", line, input)
		}
	}
	b.did = nil
	if err := v.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"unmount boot", "unmount target"}, b.did); diff != "" {
		t.Errorf("close (-want +got):\n%s", diff)
	}
}

func TestWhatIsPreservedIsNeverMade(t *testing.T) {
	p := stacked()
	for i := range p.Actions {
		a := &p.Actions[i]
		a.Preserve = a.Kind != metal.ActionWipe && a.Kind != metal.ActionPartition
		for j := range a.Partitions {
			a.Partitions[j].Preserve = true
		}
	}
	p.Actions = p.Actions[1:8] // without wiping
	b := bench{says: map[string]string{"blkid": "DEVNAME=/dev/vg/root\nUUID=u1\nTYPE=btrfs\n"}}
	v, err := New(options(t, &b, p))
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"partition /dev/vda into 3", "partition /dev/nvme0n1 into 2",
		"mdadm --assemble /dev/md/md --uuid=U2 --run /dev/vda3 /dev/nvme0n1p2",
		"cryptsetup open --type luks2 --allow-discards --key-file - /dev/md/md secret",
		"lvm vgchange --yes --activate y vg",
		"blkid --probe --output export /dev/vg/root",
		"mount /dev/vg/root target btrfs subvol=@", "mount /dev/vda2 boot ext4 ",
	}
	if diff := cmp.Diff(want, b.did); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.says["blkid"] = "TYPE=ext4\nUUID=u1\n"
	if err := v.Apply(t.Context()); metal.CodeOf(err) != metal.Conflict {
		t.Errorf("another file system: got %v; want Conflict", err)
	}
}

func TestAnEarlierVolumeMakesWayInAGroupThatIsPreserved(t *testing.T) {
	p := metal.StoragePlan{
		Disks: disks()[:1],
		Actions: []metal.StorageAction{
			{Kind: metal.ActionVolumeGroup, Name: "vg", Preserve: true},
			{Kind: metal.ActionLogicalVolume, Name: "root", Devices: []string{"vg"}, Bytes: 4 << 20},
		},
		Mounts: []metal.PlannedMount{{Device: "root", Path: "/"}},
	}
	b := bench{says: map[string]string{"lvm": "  home\n  root\n"}}
	v, err := New(options(t, &b, p))
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(b.did, "\n"), "lvm lvs --noheadings --options lv_name vg\nlvm lvremove --yes --force vg/root\nlvm lvcreate") {
		t.Errorf("got %q; want the earlier root removed, and home kept", b.did)
	}
}

func TestAFailureNamesActionAndDevice(t *testing.T) {
	for fails, want := range map[string]string{
		"mkfs.ext4":      "storage: filesystem boot: make ext4 on /dev/vda2",
		"mdadm --create": "storage: raid md: make array /dev/md/md",
		"lvm lvcreate":   "storage: logical_volume root: make logical volume /dev/vg/root",
		"cryptsetup luk": "storage: encrypt secret: encrypt /dev/md/md",
		"systemd-crypt":  "storage: encrypt secret: seal the key of /dev/md/md to the TPM",
		"btrfs sub":      "storage: filesystem root: make subvolume @ on /dev/vg/root",
		"mount /dev/vda": "mount /dev/vda2 on /boot",
		"wipe vda":       "storage: wipe disk1",
	} {
		b := bench{fails: fails}
		v, err := New(options(t, &b, stacked()))
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Apply(t.Context()); err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%s: got %v; want %s", fails, err, want)
		}
	}
}

func TestPlansThatCannotBeCarriedOutAreRefusedBeforeAnythingIsDone(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Options)
		want   string
	}{
		{"a disk that is not there", func(o *Options) { o.Plan.Disks[1].Serial = "C" }, "disk2"},
		{"a disk of another size", func(o *Options) { o.Plan.Disks[0].Bytes++ }, "disk1"},
		{"a disk without another name than the kernel's", func(o *Options) { o.Plan.Disks[1].Serial = "" }, "disk2"},
		{"two disks of one serial number", func(o *Options) {
			o.Disks[0].Serial = "B"
			o.Plan.Disks[0].Serial = "B"
			o.Plan.Disks[0].Kernel = "vdz"
		}, "disk1"},
		{"a removable disk", func(o *Options) { o.Disks[0].Removable = true }, "removable"},
		{"no passphrase", func(o *Options) { o.Keys = nil }, `"root"`},
		{"no root", func(o *Options) { o.Plan.Mounts = nil }, "not /"},
	}
	for _, tt := range tests {
		var b bench
		o := options(t, &b, stacked())
		tt.change(&o)
		if _, err := New(o); metal.CodeOf(err) != metal.Invalid || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v; want Invalid with %s", tt.name, err, tt.want)
		}
		if len(b.did) > 0 {
			t.Errorf("%s: got %v done", tt.name, b.did)
		}
	}
}

func TestACalledOffPlanStopsBetweenActions(t *testing.T) {
	var b bench
	ctx, cancel := context.WithCancel(t.Context())
	o := options(t, &b, stacked())
	o.Progress = func(float64) { cancel() }
	v, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Apply(ctx); metal.CodeOf(err) != metal.Conflict {
		t.Errorf("got %v; want Conflict", err)
	}
	if diff := cmp.Diff([]string{"wipe vda"}, b.did); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestStaleDevicesAreTakenDownFromTheTop(t *testing.T) {
	var b bench
	o := options(t, &b, stacked())
	for _, dir := range []string{"vda/vda3/holders/md127", "vda/holders", "vda3/holders/md127", "md127/holders/dm-0", "dm-0/holders/dm-1", "dm-1/holders", "sdz/holders/dm-9"} {
		if err := os.MkdirAll(filepath.Join(o.Sys, "class/block", dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range map[string]string{"vda/vda3/partition": "3", "dm-0/dm/name": "secret\n", "dm-1/dm/name": "vg-root\n"} {
		path := filepath.Join(o.Sys, "class/block", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	v, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.takeDownAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"dmsetup remove --retry vg-root", "dmsetup remove --retry secret", "mdadm --stop /dev/md127"}, b.did); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestModulesOfAPlan(t *testing.T) {
	got := Modules(stacked())
	for _, want := range []string{"raid1", "dm_mod", "dm_crypt", "tpm_tis", "btrfs", "ext4"} {
		if !strings.Contains(" "+strings.Join(got, " ")+" ", " "+want+" ") {
			t.Errorf("got %v; want %s among them", got, want)
		}
	}
}
