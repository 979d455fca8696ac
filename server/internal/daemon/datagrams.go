package daemon

import (
	"context"
	"io"
	"net"
	"net/netip"

	"github.com/metalform/terraform-provider-metal/server/internal/boot"
	"github.com/metalform/terraform-provider-metal/server/internal/dhcp"
	"github.com/metalform/terraform-provider-metal/server/internal/ra"
	"github.com/metalform/terraform-provider-metal/server/internal/tftp"
	"github.com/metalform/terraform-provider-metal/server/internal/udp"
)

// openTFTP opens the server that old firmware gets its first boot file from.
func (d *Daemon) openTFTP(ctx context.Context) error {
	if !*d.cfg.TFTP.Enabled {
		return nil
	}
	conn, err := udp.Listen(ctx, "udp4", net.JoinHostPort(d.ours.Addr().String(), "69"), "")
	if err != nil {
		return err
	}
	d.closers = append(d.closers, conn.Close)
	files := boot.Files{Loaders: d.cfg.Boot.Loaders, Env: d.cfg.Boot.Env}
	open := func(_ context.Context, name string, _ netip.Addr) (io.ReadCloser, int64, error) {
		file, err := files.OpenTFTP(name)
		if err != nil {
			return nil, 0, err
		}
		info, err := file.Stat()
		if err != nil {
			return nil, 0, err
		}
		return file, info.Size(), nil
	}
	d.add("tftp", conn.LocalAddr().String(), tftp.New(conn.Socket(), open, d.log).Run)
	return nil
}

// openDHCP opens the DHCP server.
func (d *Daemon) openDHCP(ctx context.Context) error {
	if !*d.cfg.DHCP.Enabled {
		return nil
	}
	s, err := dhcp.New(ctx, d.cfg.Interface, d.ours.Addr(), &leases{db: d.db, fleet: d.fleet, bootURL: d.bootURL(), zone: d.cfg.Zone}, d.log)
	if err != nil {
		return err
	}
	d.closers = append(d.closers, s.Close)
	d.add("dhcp", d.cfg.Interface, s.Run)
	return nil
}

// openRA opens the router advertisements that keep iPXE from waiting for a router.
func (d *Daemon) openRA(context.Context) error {
	if !*d.cfg.RA.Enabled {
		return nil
	}
	s, err := ra.New(d.cfg.Interface, ra.Config{}, d.log)
	if err != nil {
		return err
	}
	d.add("router advertisements", d.cfg.Interface, s.Run)
	return nil
}
