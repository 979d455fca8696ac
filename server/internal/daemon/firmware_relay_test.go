package daemon

import (
	"cmp"
	"encoding/hex"
	"log/slog"
	"net/netip"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/netns"
	"github.com/metalform/terraform-provider-metal/server/internal/ra"
)

// firmware is one kind of machine that boots from the network.
type firmware struct {
	name string
	mode metal.BootMode
	args []string // of QEMU
	rom  string   // of the network card: empty for QEMU's, which is iPXE
	wire string   // that the card is on: empty for the device tap0
	log  []string // what metald logs on the way to the script
	// prepare makes args, where that takes more than to write them down; nil where not.
	prepare func(*testing.T) []string
}

const noROM = ",romfile=" // the firmware's own network boot

func uefi(more ...string) []string {
	return append([]string{"-drive", "if=pflash,format=raw,unit=0,readonly=on,file=" + ovmf}, more...)
}

// without turns a part of OVMF off.
func without(part string) []string {
	return []string{"-fw_cfg", "name=opt/org.tianocore/" + part + ",string=n"}
}

func biosIPXE() firmware {
	return firmware{name: "BIOS with iPXE in the option ROM", mode: metal.BIOS}
}

func uefiPXE() firmware {
	return firmware{name: "UEFI's own PXE", mode: metal.UEFI, args: uefi(), rom: noROM, log: []string{"snponly.efi"}}
}

// powerOn starts the machine in a namespace, and returns its console.
func (f firmware) powerOn(t *testing.T, ns netns.Space) *netns.Program {
	t.Helper()
	wire := cmp.Or(f.wire, "tap,ifname=tap0,script=no,downscript=no")
	// iPXE makes its DHCPv6 identifier of the machine's UUID, and takes an empty one for none.
	return ns.Start(t, append([]string{
		"qemu-system-x86_64", "-machine", "q35", "-accel", "tcg", "-cpu", "max", "-m", "256", "-nodefaults", "-no-user-config",
		"-display", "none", "-serial", "stdio", "-uuid", "6d657461-6c66-4f72-ad00-000000000001",
		"-netdev", wire + ",id=n0",
		"-device", "virtio-net-pci,netdev=n0,mac=" + string(firstMAC) + f.rom,
	}, f.args...)...)
}

// check waits for what metald should have logged on the way to the script: a line may follow what it tells of.
func (f firmware) check(t *testing.T, m *metald) {
	t.Helper()
	for _, want := range f.log {
		m.log.Says(t, want)
	}
}

// needFirmware skips the test where virtual machines cannot be booted, or should not.
func needFirmware(t *testing.T, tools ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("boots virtual machines")
	}
	netns.Need(t, append(tools, "qemu-system-x86_64", ovmf, "/usr/lib/ipxe/snponly.efi")...)
}

// socket makes a bridge br0 with a device tap0 for a machine.
func socket(t *testing.T, ns netns.Space) {
	t.Helper()
	ns.Run(t, "ip link add br0 type bridge forward_delay 0 stp_state 0 mcast_snooping 0")
	ns.Run(t, "ip link set br0 up")
	ns.Run(t, "ip tuntap add tap0 mode tap")
	ns.Run(t, "ip link set tap0 master br0 up")
}

// TestFirmwareBootsThroughARelayAgent has ISC's relay agent, on a router with option 82, between us and real firmware:
// addresses and boot file come through the agent, loader and script over the router. That one advertises itself by
// IPv6, as routers do: on a link without any iPXE waits 16 s for one.
func TestFirmwareBootsThroughARelayAgent(t *testing.T) {
	needFirmware(t, "dhcrelay")
	for _, f := range []firmware{biosIPXE(), uefiPXE()} {
		t.Run(f.name, func(t *testing.T) {
			server, relay, machine := netns.New(t, "s"), netns.New(t, "r"), netns.New(t, "c")
			netns.Wire(t, server, "eth0", relay, "up0")
			netns.Wire(t, relay, "down0", machine, "wire0")
			socket(t, machine)
			machine.Run(t, "ip link set wire0 master br0")
			server.Run(t, "ip addr add 172.31.0.1/24 dev eth0")
			server.Run(t, "ip route add 10.1.0.0/24 via 172.31.0.2")
			relay.Run(t, "ip addr add 172.31.0.2/24 dev up0")
			relay.Run(t, "ip addr add 10.1.0.254/24 dev down0")
			relay.Run(t, "sysctl -q -w net.ipv4.ip_forward=1")
			server.UntilLinkLocal(t, "eth0")
			relay.UntilLinkLocal(t, "down0")
			m := startMetald(t, server, "eth0")
			m.put(t, "near", metal.SubnetSpec{CIDR: netip.MustParsePrefix("172.31.0.0/24")})
			m.put(t, "far", metal.SubnetSpec{
				CIDR: netip.MustParsePrefix("10.1.0.0/24"), Gateway: netip.MustParseAddr("10.1.0.254"), DHCP: between("10.1.0.100", "10.1.0.150"),
			})
			var router *ra.Server
			relay.Must(t, func() (err error) {
				router, err = ra.New("down0", ra.Config{}, slog.New(slog.DiscardHandler))
				return err
			})
			netns.Keep(t, "the router's advertisements", router.Run)
			agent := relay.Start(t, "dhcrelay", "-4", "-d", "--no-pid", "-a", "-m", "discard", "-id", "down0", "-iu", "up0", "172.31.0.1")
			agent.Says(t, "Sending on")

			from := m.booted(t, f.mode, f.powerOn(t, machine), agent)
			f.check(t, m)
			leases := m.leases(t, "far")
			known := false
			for _, l := range leases {
				if l.MAC != firstMAC || l.Relay.String() != "10.1.0.254" || l.Circuit != hex.EncodeToString([]byte("down0")) {
					t.Errorf("got lease %+v; want one of the machine, with the agent's address and circuit", l)
				}
				known = known || l.Addr == from
			}
			if !known {
				t.Errorf("the script was fetched from %s; want it one of the leases %+v", from, leases)
			}
		})
	}
}
