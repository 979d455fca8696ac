// Package testnet is the network that servers and their load meet on: two network namespaces joined by one veth, each
// with a processor core of its own, and the processes in them.
package testnet

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/vishvananda/netns"
)

// Prefix is the IPv4 network of both sides, and Prefix6 the IPv6 one. They are as large as they are so that 100,000
// reservations and as many leases fit.
var (
	Prefix  = netip.MustParsePrefix("10.96.0.0/12")
	Prefix6 = netip.MustParsePrefix("fd00:99::/64")
	// Sources are IPv4 addresses that the client's side has beside its own, for load that must seem to come from many
	// clients.
	Sources = netip.MustParsePrefix("10.200.0.0/16")
)

// A Side is one of the two namespaces.
type Side struct {
	Namespace string
	Interface string
	Addr      netip.Addr
	Addr6     netip.Addr
	Core      int // that its processes run on
}

// Net is both sides. One at a time has its namespaces, which are named for the process.
type Net struct{ Server, Client Side }

// Up makes the network. It needs root, and ip(8). Close takes it down.
func Up(ctx context.Context) (*Net, error) {
	cores, err := Cores()
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("bench-%d-", os.Getpid())
	n := &Net{
		Server: Side{name + "server", "srv0", netip.MustParseAddr("10.99.0.1"), netip.MustParseAddr("fd00:99::1"), cores[0]},
		Client: Side{name + "client", "cli0", netip.MustParseAddr("10.99.0.2"), netip.MustParseAddr("fd00:99::2"), cores[len(cores)-1]},
	}
	if err := n.raise(ctx); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func (n *Net) raise(ctx context.Context) error {
	s, c := n.Server, n.Client
	for _, side := range []Side{s, c} {
		if err := ip(ctx, "netns", "add", side.Namespace); err != nil {
			return err
		}
		// Servers that start at once bind to link-local addresses, which are not usable before the detection of duplicates
		// (RFC 4862, 5.4) has ended.
		err := side.Inside(func() error { return os.WriteFile("/proc/sys/net/ipv6/conf/default/accept_dad", []byte("0"), 0) })
		if err != nil {
			return err
		}
	}
	if err := ip(ctx, "link", "add", s.Interface, "netns", s.Namespace, "type", "veth", "peer", "name", c.Interface, "netns", c.Namespace); err != nil {
		return err
	}
	for _, side := range []Side{s, c} {
		for _, args := range [][]string{
			{"link", "set", "lo", "up"},
			{"link", "set", side.Interface, "up"},
			{"addr", "add", fmt.Sprintf("%s/%d", side.Addr, Prefix.Bits()), "dev", side.Interface},
			{"addr", "add", fmt.Sprintf("%s/%d", side.Addr6, Prefix6.Bits()), "dev", side.Interface},
		} {
			if err := ip(ctx, append([]string{"-n", side.Namespace}, args...)...); err != nil {
				return err
			}
		}
	}
	if err := ip(ctx, "-n", s.Namespace, "route", "add", Sources.String(), "via", c.Addr.String()); err != nil {
		return err
	}
	return ip(ctx, "-n", c.Namespace, "route", "add", "local", Sources.String(), "dev", "lo")
}

func ip(ctx context.Context, args ...string) error {
	if out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("make the test network: ip %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// Close removes both namespaces, and with them the link. It also works while a context is cancelled.
func (n *Net) Close() error {
	var all []error
	for _, side := range []Side{n.Server, n.Client} {
		if _, err := os.Stat(filepath.Join("/run/netns", side.Namespace)); err != nil {
			continue // it never came to be
		}
		if out, err := exec.Command("ip", "netns", "delete", side.Namespace).CombinedOutput(); err != nil {
			all = append(all, fmt.Errorf("remove network namespace %s: %w: %s", side.Namespace, err, out))
		}
	}
	return errors.Join(all...)
}

// Inside runs f on a thread in the side's namespace. What it opens stays there and can be used from anywhere.
func (s Side) Inside(f func() error) error {
	done := make(chan error)
	go func() { done <- s.visit(f) }()
	return <-done
}

// visit enters the namespace, and leaves it again: were the thread to end instead, programs that were started on it
// before would be killed with it (PDEATHSIG, prctl(2)).
func (s Side) visit(f func() error) error {
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("open this thread's network namespace: %w", err)
	}
	defer home.Close()
	err = s.enter(f)
	if back := netns.Set(home); back != nil {
		return errors.Join(err, fmt.Errorf("leave network namespace %s: %w", s.Namespace, back)) // the thread stays locked, and ends here
	}
	runtime.UnlockOSThread()
	return err
}

func (s Side) enter(f func() error) error {
	handle, err := netns.GetFromName(s.Namespace)
	if err != nil {
		return fmt.Errorf("open network namespace %s: %w", s.Namespace, err)
	}
	defer handle.Close()
	if err := netns.Set(handle); err != nil {
		return fmt.Errorf("enter network namespace %s: %w", s.Namespace, err)
	}
	return f()
}
