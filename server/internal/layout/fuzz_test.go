package layout

import (
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// FuzzPlan: whatever is declared, a plan that comes out is sound, the same twice, and kept by itself.
func FuzzPlan(f *testing.F) {
	seeds := []metal.StorageSpec{
		custom(func(*metal.StorageSpec) {}), withData(), {}, {Layout: "flat", Disk: &metal.DiskRule{Pick: "largest"}},
		{Layout: "raid10", Disk: &metal.DiskRule{Kind: "ssd"}, Swap: "10%", Encryption: &metal.StorageEncryption{KeyID: "x"}},
		{Layout: "lvm", Disk: &metal.DiskRule{Kind: "ssd", Count: 3, Pick: "smallest"}, RootSize: "50%", BootSize: "300MiB"},
		{Layout: "btrfs", Disk: &metal.DiskRule{Model: "[*"}},
	}
	for _, s := range seeds {
		b, err := json.Marshal(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, int64(40<<30), true)
		f.Add(b, int64(700<<20), false)
	}
	f.Fuzz(func(t *testing.T, b []byte, bytes int64, uefi bool) {
		var s metal.StorageSpec
		if json.Unmarshal(b, &s) != nil {
			return
		}
		r := request(s)
		r.Image.Bytes = 0
		for i := range 4 {
			r.Disks[i].Bytes = bytes
		}
		if !uefi {
			r.BootMode = metal.BIOS
		}
		checkSound(t, r)
	})
}

func checkSound(t *testing.T, r Request) (planned bool) {
	t.Helper()
	p, err := Plan(r)
	if err != nil {
		if metal.CodeOf(err) != metal.Invalid {
			t.Fatalf("got %v; want it invalid", err)
		}
		return false
	}
	if bad := wrong(p, r.Disks, r.BootMode); bad != "" {
		t.Fatalf("the plan is wrong: %s\n%s", bad, text(p))
	}
	if len(p.Describe()) == 0 {
		t.Fatal("the plan says nothing")
	}
	r.Previous = &p
	again, err := Plan(r)
	if err != nil {
		t.Fatalf("the same again is refused: %v", err)
	}
	if bad := wrong(again, r.Disks, r.BootMode); bad != "" {
		t.Fatalf("the plan that keeps is wrong: %s\n%s", bad, text(again))
	}
	return true
}

// TestRandomLayoutsAreSoundOrRefused draws declarations of which many can be planned.
func TestRandomLayoutsAreSoundOrRefused(t *testing.T) {
	planned := 0
	for seed := range uint64(3000) {
		r := draw(rand.New(rand.NewPCG(seed, 7)))
		if checkSound(t, r) {
			planned++
		}
	}
	if planned < 300 {
		t.Errorf("got %d of 3000 planned; want 300, or the draw tests nothing", planned)
	}
}

func draw(n *rand.Rand) Request {
	sizes := []string{"rest", "10%", "50%", "1GiB", "5GiB", "300MiB", "1MiB", "90%"}
	one := func(list ...string) string { return list[n.IntN(len(list))] }
	size := func() string { return one(sizes...) }
	s := metal.StorageSpec{Layout: metal.StorageLayout(one("flat", "lvm", "raid0", "raid1", "raid5", "raid6", "raid10", "btrfs", "custom", "custom", "custom"))}
	if s.Layout != metal.LayoutCustom {
		s.Disk = &metal.DiskRule{Kind: one("ssd", "hdd", ""), Pick: one("smallest", "largest", ""), Count: n.IntN(5)}
		s.RootSize, s.Swap, s.BootSize = one("", "50%", "4GiB"), one("", "1GiB", "5%"), one("", "500MiB")
		if n.IntN(3) == 0 {
			s.Encryption = &metal.StorageEncryption{TPM2: n.IntN(2) == 0, KeyID: one("", "k")}
		}
	} else {
		drawCustom(n, &s, size)
	}
	r := request(s)
	r.Image.Bytes = 0
	if n.IntN(2) == 0 {
		r.BootMode = metal.BIOS
	}
	return r
}

// drawCustom cuts disks into partitions, and stacks what it can on them.
func drawCustom(n *rand.Rand, s *metal.StorageSpec, size func() string) {
	var free []string
	name := func(prefix string, i int) string { return prefix + string(rune('a'+i)) }
	take := func() string {
		i := n.IntN(len(free))
		d := free[i]
		if n.IntN(20) > 0 { // now and then, twice
			free = append(free[:i], free[i+1:]...)
		}
		return d
	}
	for i := range 1 + n.IntN(4) {
		s.Disks = append(s.Disks, metal.StorageDisk{Name: name("disk", i), Rule: metal.DiskRule{Serial: "S" + string(rune('1'+i))}})
		for j := range 1 + n.IntN(3) {
			part := name(name("part", i), j)
			s.Partitions = append(s.Partitions, metal.StoragePartition{Name: part, Disk: name("disk", i), Size: size()})
			free = append(free, part)
		}
	}
	if len(free) > 3 && n.IntN(2) == 0 {
		s.RAIDs = append(s.RAIDs, metal.StorageRAID{Name: "raid", Level: []int{0, 1, 5}[n.IntN(3)], Devices: []string{take(), take(), take()}})
		free = append(free, "raid")
	}
	if len(free) > 2 && n.IntN(2) == 0 {
		s.Encrypted = append(s.Encrypted, metal.StorageEncrypted{Name: "safe", Device: take(), StorageEncryption: metal.StorageEncryption{KeyID: "k"}})
		free = append(free, "safe")
	}
	if len(free) > 1 && n.IntN(2) == 0 {
		s.VolumeGroups = append(s.VolumeGroups, metal.StorageVolumeGroup{Name: "vg", Devices: []string{take()}})
		for i := range 1 + n.IntN(3) {
			s.LogicalVolumes = append(s.LogicalVolumes, metal.StorageLogicalVolume{Name: name("vol", i), VolumeGroup: "vg", Size: size(), Preserve: n.IntN(4) == 0})
			free = append(free, name("vol", i))
		}
	}
	for i, path := range []string{"/", "/srv", "/boot", "/srv/deep"} {
		if len(free) > 0 && (i == 0 || n.IntN(2) == 0) {
			s.Filesystems = append(s.Filesystems, metal.StorageFilesystem{Device: take(), Mount: path, Preserve: n.IntN(3) == 0, Type: []string{"", "xfs", "btrfs"}[n.IntN(3)]})
		}
	}
	if len(free) > 0 && n.IntN(2) == 0 {
		s.Swaps = append(s.Swaps, metal.StorageSwap{Device: take()})
	}
}

// FuzzSize: a size that is read is within bounds, and divides into parts that fit.
func FuzzSize(f *testing.F) {
	for _, s := range []string{"20GiB", "50%", "rest", "1MB", "999999999999999TiB", "-1GiB", "0%", "1 KiB", ""} {
		f.Add(s, int64(1<<40))
	}
	f.Fuzz(func(t *testing.T, text string, whole int64) {
		s, err := parseSize(text)
		if err != nil {
			return
		}
		if s.bytes < 0 || s.bytes > largest || s.percent < 0 || s.percent > 100 {
			t.Fatalf("%q: got %+v", text, s)
		}
		if whole < 0 || whole > largest {
			return
		}
		parts, err := divide("it", whole, mib, []claim{{"one", text, s}, {"two", "1MiB", share{bytes: mib}}})
		if err == nil && (parts[0] <= 0 || parts[0]+parts[1] > whole) {
			t.Fatalf("%q of %d: got %v", text, whole, parts)
		}
	})
}
