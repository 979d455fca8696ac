package udp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// listenError says why a socket could not be had, and what to do about it.
func listenError(network, addr, iface string, err error) error {
	where := network + " " + addr
	if iface != "" {
		where += " on " + iface
	}
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return metal.Errorf(metal.Conflict, "listen on %s: the port is taken%s; stop the other service or set another address: %w",
			where, holder(network, addr), err)
	case errors.Is(err, unix.ENODEV):
		return metal.Errorf(metal.NotFound, "listen on %s: there is no interface %q; name one that `ip link` shows: %w",
			where, iface, err)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return metal.Errorf(metal.Invalid, "listen on %s: the address is not this machine's; set one that `ip address` shows: %w",
			where, err)
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return metal.Errorf(metal.Forbidden, "listen on %s: not allowed; run as root or give CAP_NET_BIND_SERVICE and CAP_NET_RAW: %w",
			where, err)
	}
	return fmt.Errorf("listen on %s: %w", where, err)
}

// holder names the processes that hold the UDP port of addr, as in " by dnsmasq (pid 812)". It is empty where that
// cannot be seen, as for another user's process without root.
func holder(network, addr string) string {
	_, portText, err := net.SplitHostPort(addr)
	if err != nil {
		return ""
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return ""
	}
	table, err := os.Open("/proc/self/net/" + strings.TrimSuffix(network, "4")) // udp, udp6
	if err != nil {
		return ""
	}
	defer table.Close()
	sockets := map[string]bool{}
	for _, inode := range socketsOn(table, uint16(port)) {
		sockets["socket:["+inode+"]"] = true
	}
	names := owners("/proc", sockets)
	if len(names) == 0 {
		return ""
	}
	return " by " + strings.Join(names, ", ")
}

// socketsOn returns the inodes of the sockets that are bound to port, from a table in the form of /proc/net/udp
// (proc(5)).
func socketsOn(table io.Reader, port uint16) []string {
	var inodes []string
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 {
			continue
		}
		_, hexPort, ok := strings.Cut(fields[1], ":")
		if !ok {
			continue
		}
		if n, err := strconv.ParseUint(hexPort, 16, 16); err == nil && uint16(n) == port {
			inodes = append(inodes, fields[9])
		}
	}
	return inodes
}

// owners returns the processes below proc that have one of the sockets ("socket:[inode]") open, as "name (pid n)".
func owners(proc string, sockets map[string]bool) []string {
	if len(sockets) == 0 {
		return nil
	}
	var names []string
	descriptors, _ := filepath.Glob(filepath.Join(proc, "[0-9]*", "fd", "*")) // the pattern is well formed
	seen := map[string]bool{}
	for _, descriptor := range descriptors {
		target, err := os.Readlink(descriptor)
		if err != nil || !sockets[target] {
			continue
		}
		process := filepath.Dir(filepath.Dir(descriptor))
		if seen[process] {
			continue
		}
		seen[process] = true
		name, err := os.ReadFile(filepath.Join(process, "comm"))
		if err != nil {
			continue
		}
		names = append(names, fmt.Sprintf("%s (pid %s)", strings.TrimSpace(string(name)), filepath.Base(process)))
	}
	return names
}
