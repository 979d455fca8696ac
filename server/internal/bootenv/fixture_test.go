package bootenv

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// plantKernel makes a tree as a kernel package has it, with a few modules that depend on each other.
func plantKernel(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	plant(t, filepath.Join(root, "boot/vmlinuz-6.1.0-test"), []byte("kernel"))
	modules := map[string]string{
		"kernel/net/other-a/virtio_net.ko": "alias=virtio:d00000001v*\x00depends=net-failover,virtio\x00name=virtio_net\x00",
		"kernel/net/net_failover.ko":       "depends=failover\x00",
		"kernel/net/other/failover.ko":     "depends=\x00alias=has a blank\x00",
		"kernel/fs/fat/vfat.ko":            "alias=fs-vfat\x00depends=fat\x00softdep=pre: nls_absent virtio post: x\x00",
		"kernel/fs/fat/fat.ko":             "depends=\x00",
		"kernel/orphan.ko":                 "depends=parent\x00",
		"kernel/hen.ko":                    "depends=egg\x00",
		"kernel/egg.ko":                    "depends=hen\x00",
	}
	for name, info := range modules {
		plant(t, filepath.Join(root, "lib/modules/6.1.0-test", name), moduleFile(info))
	}
	plant(t, filepath.Join(root, "lib/modules/6.1.0-test/modules.builtin"), []byte("kernel/drivers/virtio/virtio.ko\n"))
	return root
}

// moduleFile makes the smallest ELF file with a .modinfo section.
func moduleFile(modinfo string) []byte {
	names := "\x00.modinfo\x00.shstrtab\x00"
	header := elf.Header64{
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_REL), Machine: uint16(elf.EM_X86_64), Version: uint32(elf.EV_CURRENT),
		Ehsize: 64, Shentsize: 64, Shnum: 3, Shstrndx: 2, Shoff: uint64(64 + len(modinfo) + len(names)),
	}
	sections := []elf.Section64{
		{},
		{Name: 1, Type: uint32(elf.SHT_PROGBITS), Off: 64, Size: uint64(len(modinfo))},
		{Name: 10, Type: uint32(elf.SHT_STRTAB), Off: uint64(64 + len(modinfo)), Size: uint64(len(names))},
	}
	var b bytes.Buffer
	write := func(v any) {
		if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
			panic(err) // a bytes.Buffer takes everything
		}
	}
	write(header)
	b.WriteString(modinfo + names)
	write(sections)
	return b.Bytes()
}

// plantAgent makes a file that looks like a static program for arch.
func plantAgent(t *testing.T, arch metal.Arch) string {
	t.Helper()
	machine := map[metal.Arch]elf.Machine{metal.AMD64: elf.EM_X86_64, metal.ARM64: elf.EM_AARCH64}[arch]
	raw := moduleFile("")
	binary.LittleEndian.PutUint16(raw[18:], uint16(machine))
	name := filepath.Join(t.TempDir(), "metal-agent")
	plant(t, name, raw)
	return name
}

func plant(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// needTool skips the test where a tool is missing; in CI that is a failure.
func needTool(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err == nil {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is not installed", name)
	}
	t.Skipf("%s is not installed", name)
}
