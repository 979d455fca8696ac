package daemon

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/server/internal/boot"
	"github.com/metalform/terraform-provider-metal/server/internal/ra"
	"github.com/metalform/terraform-provider-metal/server/internal/tftp"
)

const ovmf = "/usr/share/OVMF/OVMF_CODE_4M.fd"

// TestFirmwareFindsItsScript boots real firmware in QEMU: each way of network boot ends at the script of the machine
// with the kind of firmware filled in, which iPXE does with the ${platform} in the URL that DHCP names.
func TestFirmwareFindsItsScript(t *testing.T) {
	if testing.Short() {
		t.Skip("boots virtual machines")
	}
	need(t, "qemu-system-x86_64", "ip")
	for _, file := range []string{ovmf, "/usr/lib/ipxe/snponly.efi"} {
		if _, err := os.Stat(file); err != nil {
			need(t, file)
		}
	}
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
			fromTFTP := background(t, ns, "env", tftpAlone+"=1", os.Args[0])
			args := append([]string{
				"qemu-system-x86_64", "-machine", "q35", "-accel", "tcg", "-cpu", "max", "-m", "256", "-nodefaults", "-no-user-config",
				"-display", "none", "-serial", "stdio", "-netdev", "tap,id=n0,ifname=tap0,script=no,downscript=no",
				"-device", "virtio-net-pci,netdev=n0,mac=52:54:00:00:00:01,bootindex=1" + c.rom,
			}, c.args...)
			console := background(t, ns, args...)
			want := "GET /boot/script/52:54:00:00:00:01?platform=" + c.platform
			until(t, "the firmware fetched its script", func() bool { return strings.Contains(requests.String(), want+"\n") },
				func() string { return requests.String() + r.log.String() + fromTFTP.String() + console.String() })
			for _, line := range c.log {
				if all := fromTFTP.String() + requests.String(); !strings.Contains(all, line) {
					t.Errorf("got no %q in\n%s", line, all)
				}
			}
		})
	}
}

// rack makes a namespace with a bridge that has our address, and a tap device for a virtual machine.
func rack(t *testing.T) string {
	t.Helper()
	ns := namespace(t, "q")
	sh(t, ns, "ip link add br0 type bridge forward_delay 0 stp_state 0 mcast_snooping 0")
	sh(t, ns, "ip addr add 172.31.0.1/24 dev br0")
	sh(t, ns, "ip link set br0 up")
	sh(t, ns, "ip tuntap add tap0 mode tap")
	sh(t, ns, "ip link set tap0 master br0 up")
	until(t, "the bridge has a link-local address", func() bool {
		line := sh(t, ns, "ip -6 addr show dev br0 scope link")
		return line != "" && !strings.Contains(line, "tentative")
	}, func() string { return sh(t, ns, "ip addr") })
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
	open := func(_ context.Context, name string, _ netip.Addr) (io.ReadCloser, int64, error) {
		file, err := files.OpenTFTP(name)
		if err != nil {
			return nil, 0, err
		}
		info, err := file.Stat()
		return file, info.Size(), err
	}
	log := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return tftp.New(conn, open, log).Run(context.Background())
}

// serveFiles runs the boot server and router advertisements. It returns the HTTP requests, one a line.
func (r *rig) serveFiles(t *testing.T, ns string) *output {
	t.Helper()
	files, requests := boot.Files{Loaders: []string{"/usr/lib/ipxe"}, Env: filepath.Join(t.TempDir(), "none")}, &output{}
	handler := boot.NewHandler(bootFacts{r.db, r.engine}, files, func(*http.Request) string { return r.bootURL }, r.logger)
	web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		io.WriteString(requests, q.Method+" "+q.URL.Path+"?"+q.URL.RawQuery+"\n") // iPXE writes the colons of a MAC as %3A
		handler.ServeHTTP(w, q)
	})}
	var listener net.Listener
	var routers *ra.Server
	in(t, ns, func() (err error) {
		if listener, err = net.Listen("tcp", "172.31.0.1:7080"); err != nil {
			return err
		}
		routers, err = ra.New("br0", ra.Config{}, r.logger)
		return err
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { web.Serve(listener); ended <- nil }()
	go func() { ended <- routers.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		web.Close()
		for range cap(ended) {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
	return requests
}
