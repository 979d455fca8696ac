package daemon

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/netns"
)

// TestFirmwareBootsOverIPv6 boots real firmware on a link that has no IPv4. Router advertisements send it to DHCPv6
// for its address and the URL of its boot file (RFC 5970): each way ends at the script.
//
// iPXE of 2019, which QEMU and Debian 12 have, needs nothing else: it asks for option 59 by itself, with the user class
// iPXE and a DUID of the machine's UUID. Its MAC address, which names its script, is in its link-local address. It waits
// 16 s for DHCPv4 first. OVMF's own PXE gets snponly.efi by TFTP, which goes on in the same way.
func TestFirmwareBootsOverIPv6(t *testing.T) {
	needFirmware(t)
	for _, f := range []firmware{
		biosIPXE(),
		{name: "UEFI's own PXE", mode: metal.UEFI, args: uefi(without("IPv4PXESupport")...), rom: noROM, log: []string{"snponly.efi"}},
		{name: "UEFI's own HTTP boot", mode: metal.UEFI, prepare: httpOverIPv6, rom: noROM,
			log: []string{"method=HEAD path=/boot/files/snponly.efi", "method=GET path=/boot/files/snponly.efi"}},
	} {
		t.Run(f.name, func(t *testing.T) {
			if f.prepare != nil {
				f.args = f.prepare(t)
			}
			ns, people := netns.New(t, "q"), netns.New(t, "p")
			netns.Wire(t, ns, "eth0", people, "eth0")
			ns.Run(t, "ip addr add 172.31.0.1/24 dev eth0")
			socket(t, ns)
			ns.Run(t, "ip addr add fd00:31::1/64 dev br0 nodad")
			ns.UntilLinkLocal(t, "br0")
			m := startMetald(t, ns, "eth0", "br0")
			vlan := metal.VLANSpec{RA: metal.RouterAd{Enabled: true, Managed: true, Other: true}}
			if _, err := m.PutVLAN(t.Context(), api.PutVLANRequest{ByName: api.ByName{Name: "wire"}, Body: vlan}); err != nil {
				t.Fatal(err)
			}
			m.put(t, "rack6", metal.SubnetSpec{CIDR: netip.MustParsePrefix("fd00:31::/64"), DHCP: between("fd00:31::100", "fd00:31::1ff")})

			from := m.booted(t, f.mode, f.powerOn(t, ns))
			f.check(t, m)
			leases := m.leases(t, "rack6")
			if !slices.ContainsFunc(leases, func(l metal.Lease) bool { return l.Addr == from && l.MAC == firstMAC }) {
				t.Errorf("the script was fetched from %s; want it one of the leases %+v", from, leases)
			}
		})
	}
}

// httpOverIPv6 returns the arguments of a machine whose firmware boots by HTTP over IPv6 first. OVMF has no switch for
// that, and tries IPv4 for over two minutes before it: so it is let make its list of boot options, on a wire where
// nobody is, and the list is put into another order, as a person does in the firmware's menu. It then shows that menu
// for 8 s: the HTTP boot of 2022.11 fails with "Unexpected network error" where duplicate address detection has not
// ended when it starts; its PXE waits for that.
func httpOverIPv6(t *testing.T) []string {
	t.Helper()
	made, ordered := filepath.Join(t.TempDir(), "made.fd"), filepath.Join(t.TempDir(), "ordered.fd")
	empty, err := os.ReadFile("/usr/share/OVMF/OVMF_VARS_4M.fd")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(made, empty, 0o600); err != nil {
		t.Fatal(err)
	}
	variables := func(file string) []string { return uefi("-drive", "if=pflash,format=raw,unit=1,file="+file) }
	noPXE := append(without("IPv4PXESupport"), without("IPv6PXESupport")...)
	t.Run("makes its list of boot options", func(t *testing.T) { // ends with the machine off
		f := firmware{args: append(variables(made), noPXE...), rom: noROM, wire: "hubport,hubid=0"}
		console := f.powerOn(t, netns.New(t, "n"))
		console.Says(t, "Start HTTP Boot")
	})
	store, err := os.ReadFile(made)
	if err != nil {
		t.Fatal(err)
	}
	bootFirst(t, store, "UEFI HTTPv6")
	if err := os.WriteFile(ordered, store, 0o600); err != nil {
		t.Fatal(err)
	}
	return append(append(variables(ordered), noPXE...), "-boot", "menu=on,splash-time=8000")
}

// bootFirst puts the boot option whose description begins so before all others in a store of UEFI variables. That
// begins after the header of the volume (PI 1.7, volume 3, 3.2.1); each variable has a header of its own, with time
// and key (EDK II, AUTHENTICATED_VARIABLE_HEADER).
func bootFirst(t *testing.T, store []byte, description string) {
	t.Helper()
	const storeHeader, header, inUse = 28, 60, 0x3f
	text := func(b []byte) string {
		var units []uint16
		for ; len(b) >= 2 && (b[0] != 0 || b[1] != 0); b = b[2:] {
			units = append(units, binary.LittleEndian.Uint16(b))
		}
		return string(utf16.Decode(units))
	}
	le := binary.LittleEndian
	var order, first []byte
	for at := int(le.Uint16(store[48:])) + storeHeader; le.Uint16(store[at:]) == 0x55aa; {
		data := at + header + int(le.Uint32(store[at+36:]))
		end := data + int(le.Uint32(store[at+40:]))
		name := text(store[at+header : data])
		switch {
		case store[at+2] != inUse: // deleted, or replaced by a later one
		case name == "BootOrder":
			order = store[data:end]
		case len(name) == len("Boot0000") && strings.HasPrefix(name, "Boot") && strings.HasPrefix(text(store[data+6:end]), description):
			number, err := hex.DecodeString(name[len("Boot"):])
			if err != nil {
				t.Fatal(err)
			}
			first = []byte{number[1], number[0]}
		}
		at = (end + 3) &^ 3
	}
	for i := 0; i < len(order); i += 2 {
		if slices.Equal(order[i:i+2], first) {
			copy(order[2:i+2], slices.Clone(order[:i]))
			copy(order, first)
			return
		}
	}
	t.Fatalf("got boot order %x; want %q (%x) in it", order, description, first)
}
