package neighbour

import (
	"fmt"
	"net"
	"testing"

	"github.com/metalform/terraform-provider-metal/server/internal/netns"
)

// cable joins two namespaces by interfaces with hardware addresses that end in the number, and 1 or 2.
func cable(t *testing.T, left netns.Space, leftName string, right netns.Space, rightName string, number int) {
	t.Helper()
	netns.Wire(t, left, leftName, right, rightName)
	for i, end := range []struct {
		ns   netns.Space
		name string
	}{{left, leftName}, {right, rightName}} {
		end.ns.Run(t, "ip link set "+end.name+" down")
		end.ns.Run(t, fmt.Sprintf("ip link set %s address 52:54:00:00:%02x:%02x up", end.name, number, i+1))
	}
}

// background runs a service in the namespace, and returns where its end is told.
func background(ns netns.Space, run func() error) <-chan error {
	ended := make(chan error, 1)
	go func() { ended <- ns.In(run) }()
	return ended
}

func index(t *testing.T, ns netns.Space, device string) int {
	t.Helper()
	var found *net.Interface
	ns.Must(t, func() (err error) {
		found, err = net.InterfaceByName(device)
		return err
	})
	return found.Index
}

// host is a namespace where no router is asked for, so that nothing is on a wire that a test has not sent.
func host(t *testing.T, suffix string) netns.Space {
	t.Helper()
	netns.Need(t, "sysctl")
	ns := netns.New(t, suffix).WithoutDAD(t)
	ns.Run(t, "sysctl -q -w net.ipv6.conf.default.router_solicitations=0")
	return ns
}

// pairOfHosts is us and a peer on one link: 10.0.0.1 and 10.0.0.2, 2001:db8::1 and ::2.
func pairOfHosts(t *testing.T) (us, peer netns.Space, link int) {
	t.Helper()
	us, peer = host(t, "a"), host(t, "b")
	cable(t, us, "eth0", peer, "eth0", 0)
	for i, ns := range []netns.Space{us, peer} {
		ns.Run(t, fmt.Sprintf("ip addr add 10.0.0.%d/24 dev eth0", i+1))
		ns.Run(t, fmt.Sprintf("ip addr add 2001:db8::%d/64 dev eth0 nodad", i+1))
		ns.UntilLinkLocal(t, "eth0")
	}
	return us, peer, index(t, us, "eth0")
}
