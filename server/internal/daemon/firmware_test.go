package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/server/internal/boot"
	"github.com/metalform/terraform-provider-metal/server/internal/netns"
	"github.com/metalform/terraform-provider-metal/server/internal/ra"
	"github.com/metalform/terraform-provider-metal/server/internal/tftp"
)

const ovmf = "/usr/share/OVMF/OVMF_CODE_4M.fd"

// TestFirmwareFindsItsScript boots real firmware in QEMU: each way of network boot ends at the script of the machine
// with the kind of firmware filled in, which iPXE does with the ${platform} in the URL that DHCP names.
func TestFirmwareFindsItsScript(t *testing.T) {
	needFirmware(t)
	uefi := []string{"-drive", "if=pflash,format=raw,unit=0,readonly=on,file=" + ovmf}
	noPXE := []string{"-fw_cfg", "name=opt/org.tianocore/IPv4PXESupport,string=n", "-fw_cfg", "name=opt/org.tianocore/IPv6PXESupport,string=n"}
	cases := []struct {
		name, platform, rom string
		args, log           []string
	}{
		{"BIOS with iPXE in the option ROM", "pcbios", "", nil, nil},
		{"UEFI with iPXE in the option ROM", "efi", "", uefi, nil},
		{"UEFI's own PXE", "efi", ",romfile=", uefi, []string{"snponly.efi"}},
		{"UEFI's own HTTP boot", "efi", ",romfile=", append(noPXE, uefi...), []string{"HEAD /boot/files/snponly.efi", "GET /boot/files/snponly.efi"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.subnet(t, "rack", "172.31.0.0/24", "172.31.0.128", "172.31.0.200")
			ns := rack(t)
			r.serve(t, ns, "br0", ours)
			requests := r.serveFiles(t, ns)
			fromTFTP := ns.Start(t, "env", tftpAlone+"=1", os.Args[0])
			args := append([]string{
				"qemu-system-x86_64", "-machine", "q35", "-accel", "tcg", "-cpu", "max", "-m", "256", "-nodefaults", "-no-user-config",
				"-display", "none", "-serial", "stdio", "-netdev", "tap,id=n0,ifname=tap0,script=no,downscript=no",
				"-device", "virtio-net-pci,netdev=n0,mac=52:54:00:00:00:01,bootindex=1" + c.rom,
			}, c.args...)
			console := ns.Start(t, args...)
			want := "GET /boot/script/52:54:00:00:00:01?platform=" + c.platform
			for _, line := range append(c.log, want+"\n") {
				netns.Until(t, "the firmware asks: "+line, func() bool { return strings.Contains(fromTFTP.String()+requests.String(), line) },
					requests.String, r.log.String, fromTFTP.String, console.String)
			}
		})
	}
}

// rack makes a namespace with a bridge that has our address, and a tap device for a virtual machine.
func rack(t *testing.T) netns.Space {
	t.Helper()
	ns := netns.New(t, "q")
	ns.Run(t, "ip link add br0 type bridge forward_delay 0 stp_state 0 mcast_snooping 0")
	ns.Run(t, "ip addr add 172.31.0.1/24 dev br0")
	ns.Run(t, "ip link set br0 up")
	ns.Run(t, "ip tuntap add tap0 mode tap")
	ns.Run(t, "ip link set tap0 master br0 up")
	ns.UntilLinkLocal(t, "br0")
	return ns
}

// TestMain runs a TFTP server instead of the tests where it is told to: that opens a socket for each transfer, in
// whatever thread, so its whole process must be in the namespace.
func TestMain(m *testing.M) {
	if os.Getenv(tftpAlone) == "" {
		os.Exit(m.Run())
	}
	fmt.Println(serveTFTP())
}

const tftpAlone = "METAL_TEST_SERVES_TFTP"

func serveTFTP() error {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: ours.AsSlice(), Port: 69})
	if err != nil {
		return err
	}
	files := boot.Files{Loaders: []string{"/usr/lib/ipxe"}}
	log := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return tftp.New(conn, boot.TFTP{Files: files, Log: log}.Open, log).Run(context.Background())
}

// serveFiles runs the boot server and router advertisements. It returns the HTTP requests, one a line.
func (r *rig) serveFiles(t *testing.T, ns netns.Space) *netns.Output {
	t.Helper()
	files, requests := boot.Files{Loaders: []string{"/usr/lib/ipxe"}, Env: filepath.Join(t.TempDir(), "none")}, &netns.Output{}
	handler := boot.NewHandler(bootFacts{r.db, r.engine, ""}, nil, files, func(*http.Request) string { return r.bootURL }, r.logger)
	web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		io.WriteString(requests, q.Method+" "+q.URL.Path+"?"+q.URL.RawQuery+"\n") // iPXE writes the colons of a MAC as %3A
		handler.ServeHTTP(w, q)
	})}
	var listener net.Listener
	var routers *ra.Server
	ns.Must(t, func() (err error) {
		if listener, err = net.Listen("tcp", "172.31.0.1:7080"); err != nil {
			return err
		}
		routers, err = ra.New("br0", ra.Config{}, r.logger)
		return err
	})
	netns.Keep(t, "the boot server", func(ctx context.Context) error {
		defer context.AfterFunc(ctx, func() { web.Close() })()
		if err := web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	netns.Keep(t, "the router's advertisements", routers.Run)
	return requests
}
