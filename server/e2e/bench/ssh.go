package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"
)

type dial func(ctx context.Context, network, address string) (net.Conn, error)

// awaitSSH returns when an SSH server at addr says what it is (RFC 4253, 4.2).
func awaitSSH(ctx context.Context, d dial, addr netip.Addr) error {
	for {
		err := hearSSH(ctx, d, netip.AddrPortFrom(addr, 22).String())
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("wait for SSH at %s: %w", addr, ctx.Err()), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func hearSSH(ctx context.Context, d dial, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := d(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return err
	}
	banner := make([]byte, len("SSH-2.0-"))
	if _, err := io.ReadFull(conn, banner); err != nil {
		return err
	}
	if string(banner) != "SSH-2.0-" {
		return fmt.Errorf("%s says %q; want an SSH server", address, banner)
	}
	return nil
}
