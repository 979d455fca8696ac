package lab

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"github.com/metalform/terraform-provider-metal/server/internal/bmc/bmctest"
)

// serveBMC opens the BMC of n inside the namespace and runs it until the lab ends. It completes desc with what only
// the running BMC knows.
func (l *Lab) serveBMC(n *node, addr netip.AddrPort, desc *BMC) error {
	identity := bmctest.Identity{
		UUID: n.desc.UUID, Serial: n.desc.Serial, Model: "Virtual", Name: n.desc.Name, MACs: n.desc.MACs,
	}
	run, err := l.openBMC(n, addr, identity, desc)
	if err != nil {
		return err
	}
	l.bmcs.Go(func() error {
		if err := run(l.serving); err != nil {
			return fmt.Errorf("run BMC of %s: %w", n.desc.Name, err)
		}
		return nil
	})
	return nil
}

// openBMC returns the service of a BMC whose socket is open.
func (l *Lab) openBMC(n *node, addr netip.AddrPort, identity bmctest.Identity, desc *BMC) (func(context.Context) error, error) {
	switch desc.Type {
	case Redfish:
		listener, err := inside(l.ns, func() (net.Listener, error) { return net.Listen("tcp", addr.String()) })
		if err != nil {
			return nil, err
		}
		b, err := bmctest.NewRedfish(listener, n, identity, desc.account(), n.log)
		if err != nil {
			listener.Close()
			return nil, err
		}
		desc.Fingerprint = b.Fingerprint()
		return b.Run, nil
	default: // IPMI; Validate knows no third
		conn, err := inside(l.ns, func() (net.PacketConn, error) { return net.ListenPacket("udp", addr.String()) })
		if err != nil {
			return nil, err
		}
		b, err := bmctest.NewIPMI(conn, n, identity, desc.account(), n.log)
		if err != nil {
			conn.Close()
			return nil, err
		}
		return b.Run, nil
	}
}

// inside returns what open made on the namespace's thread.
func inside[T any](ns *namespace, open func() (T, error)) (T, error) {
	var made T
	err := ns.do(func() (err error) {
		made, err = open()
		return err
	})
	return made, err
}
