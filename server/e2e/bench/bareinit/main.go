//go:build linux

// Command bareinit is the first process of the bench's peer, and does the least that shows a machine is up: it loads
// the NIC's driver, gets an address by DHCP, and sends one empty POST to where bare.report on the kernel's command
// line says.
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func main() {
	if err := report(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "bareinit:", err)
	}
	for { // the first process must not end
		_ = unix.Pause()
	}
}

func report(ctx context.Context) error {
	for _, fs := range []struct{ kind, at string }{{"proc", "/proc"}, {"sysfs", "/sys"}} {
		if err := unix.Mount(fs.kind, fs.at, fs.kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", fs.at, err)
		}
	}
	if err := loadModules(); err != nil {
		return err
	}
	nic, err := upNIC()
	if err != nil {
		return err
	}
	if err := address(ctx, nic); err != nil {
		return fmt.Errorf("get an address by DHCP: %w", err)
	}
	cmdline, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return err
	}
	_, url, _ := strings.Cut(string(cmdline), "bare.report=")
	url, _, _ = strings.Cut(strings.TrimSpace(url), " ")
	answer, err := http.Post(url, "text/plain", nil)
	if err != nil {
		return err
	}
	return answer.Body.Close()
}

// loadModules loads what is in /modules, in the order of the names.
func loadModules() error {
	files, err := filepath.Glob("/modules/*.ko")
	if err != nil {
		return err
	}
	for _, path := range files {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		err = unix.FinitModule(int(file.Fd()), "", 0)
		file.Close()
		if err != nil {
			return fmt.Errorf("load %s: %w", path, err)
		}
	}
	return nil
}

// upNIC waits for the first NIC, and for its link.
func upNIC() (netlink.Link, error) {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		nic, err := netlink.LinkByName("eth0")
		if err != nil {
			continue // its driver is still at it
		}
		if err := netlink.LinkSetUp(nic); err != nil {
			return nil, fmt.Errorf("set eth0 up: %w", err)
		}
		for time.Now().Before(end) {
			if carrier, _ := os.ReadFile("/sys/class/net/eth0/carrier"); strings.HasPrefix(string(carrier), "1") {
				return nic, nil
			}
			time.Sleep(time.Millisecond)
		}
	}
	return nil, fmt.Errorf("there is no NIC with a link")
}

// address asks for an address and takes it.
func address(ctx context.Context, nic netlink.Link) error {
	client, err := nclient4.New(nic.Attrs().Name, nclient4.WithTimeout(250*time.Millisecond), nclient4.WithRetry(100))
	if err != nil {
		return err
	}
	defer client.Close()
	lease, err := client.Request(ctx)
	if err != nil {
		return err
	}
	ours := &net.IPNet{IP: lease.ACK.YourIPAddr, Mask: lease.ACK.SubnetMask()}
	return netlink.AddrAdd(nic, &netlink.Addr{IPNet: ours})
}
