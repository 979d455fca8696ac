// Package network puts a machine in the RAM environment on its network: links up, an address by DHCP, and the
// neighbours that its switches name (LLDP).
package network

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// head is how long the NIC that the machine booted from is asked alone. It has just carried the boot, so another
// one is better only when something broke.
const head = 8 * time.Second

// look is how often sysfs is read for what has no event: it costs some microseconds.
const look = 10 * time.Millisecond

// Network brings the machine's NICs up.
type Network struct {
	Sys     string    // /sys
	Etc     string    // /etc, for resolv.conf
	BootMAC metal.MAC // of the NIC the machine booted from; may be empty
	Log     *slog.Logger
	// Up is told each NIC that is up, once, before it has a carrier. It must return at once.
	Up func(nic net.Interface)
}

// Online is a NIC with an address.
type Online struct {
	NIC   net.Interface
	Lease Lease
}

// Connect brings all NICs up and returns the first that got an address, which is set up when it returns. It tries
// until ctx ends. NICs that appear later, as their drivers come up, take part.
func (n *Network) Connect(ctx context.Context) (Online, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := setUp("lo"); err != nil {
		n.Log.Warn("bring up loopback", "error", err)
	}
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel() // before the wait
	leases := make(chan Online)
	seen := map[string]bool{}
	began := time.Now()
	for {
		for _, nic := range n.fresh(seen) {
			workers.Go(func() {
				if boot := metal.MACOf(nic.HardwareAddr) == n.BootMAC; !boot && n.bootNICIsThere() {
					if !sleep(ctx, head-time.Since(began)) {
						return
					}
				}
				lease, err := n.ask(ctx, nic)
				if err != nil {
					if ctx.Err() == nil {
						n.Log.Warn("ask for an address", "nic", nic.Name, "error", err)
					}
					return
				}
				select {
				case leases <- Online{nic, lease}:
				case <-ctx.Done():
				}
			})
		}
		select {
		case <-ctx.Done():
			return Online{}, fmt.Errorf("get on the network: %w", ctx.Err())
		case online := <-leases:
			if err := n.apply(online); err != nil {
				return Online{}, err
			}
			n.Log.Info("on the network", "nic", online.NIC.Name, "address", online.Lease.Address)
			return online, nil
		case <-time.After(look):
		}
	}
}

// fresh brings up NICs that were not seen before and returns them.
func (n *Network) fresh(seen map[string]bool) []net.Interface {
	var fresh []net.Interface
	for _, name := range Hardware(n.Sys) {
		if seen[name] {
			continue
		}
		if err := setUp(name); err != nil {
			if !errors.Is(err, os.ErrNotExist) {
				n.Log.Warn("bring up", "nic", name, "error", err)
			}
			continue
		}
		nic, err := net.InterfaceByName(name)
		if err != nil {
			continue // gone, or renamed: the next look finds it
		}
		seen[name] = true
		n.Up(*nic)
		fresh = append(fresh, *nic)
	}
	return fresh
}

// Hardware returns the names of the NICs that are hardware and speak Ethernet, sorted.
func Hardware(sys string) []string {
	dir := filepath.Join(sys, "class/net")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // no NIC has a driver yet
	}
	var names []string
	for _, e := range entries {
		if _, err := os.Stat(filepath.Join(dir, e.Name(), "device")); err != nil {
			continue
		}
		if raw, err := os.ReadFile(filepath.Join(dir, e.Name(), "type")); err == nil && strings.TrimSpace(string(raw)) == "1" {
			names = append(names, e.Name())
		}
	}
	return names
}

func (n *Network) bootNICIsThere() bool {
	return slices.ContainsFunc(Hardware(n.Sys), func(name string) bool {
		raw, err := os.ReadFile(filepath.Join(n.Sys, "class/net", name, "address"))
		return err == nil && strings.TrimSpace(string(raw)) == string(n.BootMAC)
	})
}

// ask waits for the NIC's carrier and gets a lease.
func (n *Network) ask(ctx context.Context, nic net.Interface) (Lease, error) {
	// carrier, not operstate: the kernel may report the latter a second later.
	for carrier := filepath.Join(n.Sys, "class/net", nic.Name, "carrier"); ; {
		if raw, err := os.ReadFile(carrier); err == nil && strings.TrimSpace(string(raw)) == "1" {
			break
		}
		if !sleep(ctx, look) {
			return Lease{}, ctx.Err()
		}
	}
	l, err := openLink(&nic)
	if err != nil {
		return Lease{}, err
	}
	defer l.Close()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	return dora(ctx, l, nic.HardwareAddr)
}

// Keep keeps the address for as long as ctx lasts: it asks again at the lease's renewal time, and takes a new
// address when the server gives another one. It asks as if it had none, which any server answers with the address
// that the machine holds, rather than by the unicast that a relay's server may not be reached by.
func (n *Network) Keep(ctx context.Context, online Online) error {
	for sleep(ctx, max(online.Lease.Renew, time.Second)) {
		limited, cancel := context.WithTimeout(ctx, max(online.Lease.Duration-online.Lease.Renew, time.Minute))
		lease, err := n.ask(limited, online.NIC)
		cancel()
		if err != nil {
			if ctx.Err() == nil {
				// The address stays: without it the agent could not even report, and the server may be back soon.
				n.Log.Warn("renew the address", "nic", online.NIC.Name, "error", err)
			}
			continue
		}
		if lease.Address != online.Lease.Address {
			n.Log.Warn("the address changed", "from", online.Lease.Address, "to", lease.Address)
			if err := dropAddress(online.NIC, online.Lease.Address); err != nil {
				n.Log.Warn("drop the old address", "error", err)
			}
		}
		online.Lease = lease
		if err := n.apply(online); err != nil {
			n.Log.Warn("set the address", "error", err)
		}
	}
	return nil
}

// apply gives the NIC its address, the machine its route and its resolver.
func (n *Network) apply(online Online) error {
	if err := setAddress(online.NIC, online.Lease); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(n.Etc, "resolv.conf"), resolvConf(online.Lease), 0o644); err != nil {
		return fmt.Errorf("write the resolver's configuration: %w", err)
	}
	return nil
}

// resolvConf writes resolv.conf(5). A domain that is no host name is left out: it comes from the network.
func resolvConf(l Lease) []byte {
	var b []byte
	if l.Domain != "" && !strings.ContainsFunc(l.Domain, func(r rune) bool {
		return r != '.' && r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) {
		b = fmt.Appendf(b, "search %s\n", l.Domain)
	}
	for _, server := range l.DNS {
		b = fmt.Appendf(b, "nameserver %s\n", server)
	}
	return b
}
