package lab

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/bmc/bmctest"
)

// settleTime is how long after a reset the machine counts as booted. SeaBIOS resets a second time, some 40 ms after
// every warm reset, to get its pristine copy back (its qemu_reboot), and must find the same boot order then.
const settleTime = 2 * time.Second

// node is a machine while the lab runs. It is the hardware behind its BMC.
type node struct {
	desc     Machine
	firmware metal.BootMode
	// launch starts the machine's QEMU so that it boots from first.
	launch func(ctx context.Context, first metal.BootDevice) (*process, error)
	log    *slog.Logger
	watch  sync.WaitGroup // the goroutines that watch a process

	mu   sync.Mutex
	proc *process // nil when the machine is off; one that has ended counts as nil
	plan bootPlan
	dead bool // closed for good
}

var _ bmctest.Hardware = (*node)(nil)

// Power returns PowerOn while the machine's QEMU runs.
func (n *node) Power(context.Context) (metal.Power, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.current() == nil {
		return metal.PowerOff, nil
	}
	return metal.PowerOn, nil
}

// current returns the running process, or nil. The caller holds mu.
func (n *node) current() *process {
	if n.proc != nil && !n.proc.running() {
		n.leave()
	}
	return n.proc
}

// leave forgets a process that has ended. A reset it saw has used up a one-time override. The caller holds mu.
func (n *node) leave() {
	n.plan = n.plan.afterResets(n.proc.monitor.resetsSeen())
	n.plan.since = 0
	n.proc = nil
	n.log.Info("machine is off")
}

// SetPower starts or kills the machine's QEMU. It returns nil when it already is so.
func (n *node) SetPower(ctx context.Context, on bool) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	proc := n.current()
	switch {
	case on && proc == nil:
		return n.start(ctx)
	case !on && proc != nil:
		proc.kill()
		n.leave()
	}
	return nil
}

// start turns the machine on. The caller holds mu.
func (n *node) start(ctx context.Context) error {
	if n.dead {
		return metal.Errorf(metal.Conflict, "power on %s: the lab is going down", n.desc.Name)
	}
	first := n.plan.first()
	proc, err := n.launch(ctx, first)
	if err != nil {
		return err
	}
	// The firmware's list of boot devices was made as QEMU started; what follows is for the reset after this boot.
	n.plan = n.plan.booted()
	if n.plan.first() != first {
		if _, err := proc.monitor.setBootIndex(ctx, nicID, nicIndex(n.plan.first())); err != nil {
			proc.kill()
			return err
		}
	}
	n.proc = proc
	n.log.Info("machine is on", "first", first, "pid", proc.pid)
	n.watch.Go(func() { n.follow(proc) })
	return nil
}

// follow lets resets use up a one-time override, until the process ends.
func (n *node) follow(proc *process) {
	defer proc.monitor.close()
	settled := time.NewTimer(settleTime)
	settled.Stop()
	defer settled.Stop()
	for {
		select {
		case <-proc.exited:
			n.mu.Lock()
			if n.proc == proc {
				n.leave()
			}
			n.mu.Unlock()
			return
		case <-proc.monitor.reset:
			settled.Reset(settleTime)
		case <-settled.C:
			if err := n.settle(proc); err != nil {
				n.log.Error("boot order was not restored after a reset", "error", err)
			}
		}
	}
}

// settle takes an override away that the resets so far have used.
func (n *node) settle(proc *process) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.proc != proc {
		return nil
	}
	plan := n.plan.afterResets(proc.monitor.resetsSeen())
	if plan.first() != n.plan.first() {
		if err := n.reorder(context.Background(), proc, plan.first()); err != nil {
			return err
		}
	}
	n.plan = plan
	return nil
}

// reorder tells a running machine where to start from after its next reset. The caller holds mu.
func (n *node) reorder(ctx context.Context, proc *process, first metal.BootDevice) error {
	ctx, cancel := context.WithTimeout(ctx, helloTime)
	defer cancel()
	_, err := proc.monitor.setBootIndex(ctx, nicID, nicIndex(first))
	return err
}

// Reset pulls the reset line. It does nothing to a machine that is off.
func (n *node) Reset(ctx context.Context) error { return n.press(ctx, "system_reset") }

// Shutdown presses the ACPI power button. It does nothing to a machine that is off.
func (n *node) Shutdown(ctx context.Context) error { return n.press(ctx, "system_powerdown") }

func (n *node) press(ctx context.Context, command string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	proc := n.current()
	if proc == nil {
		return nil
	}
	_, err := proc.monitor.execute(ctx, command, nil)
	return err
}

// SetBoot overrides the boot order for the next start or reset (once), or until further notice; "" ends an override.
func (n *node) SetBoot(ctx context.Context, device metal.BootDevice, once, uefi bool) error {
	switch device {
	case "", metal.BootNetwork, metal.BootDisk:
	default:
		return metal.Errorf(metal.Invalid, "boot %s from %q: it can start from %s or %s", n.desc.Name, device, metal.BootNetwork, metal.BootDisk)
	}
	if device != "" && uefi != (n.firmware == metal.UEFI) {
		// Real ones with only one kind of firmware ignore the flag, and somebody should know.
		n.log.Warn("boot override asks for the other kind of firmware; it is done with the machine's own", "firmware", n.firmware)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	plan := bootPlan{device: device, once: once && device != ""}
	if proc := n.current(); proc != nil {
		resets, err := proc.monitor.setBootIndex(ctx, nicID, nicIndex(plan.first()))
		if err != nil {
			return err
		}
		plan.since = resets
	}
	n.plan = plan
	n.log.Info("boot override set", "device", device, "once", plan.once)
	return nil
}

// Boot returns the override that waits.
func (n *node) Boot(context.Context) (metal.BootDevice, bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.current()
	return n.plan.device, n.plan.once, nil
}

// bootIndex reads the boot index of the machine's NIC from QEMU.
func (n *node) bootIndex(ctx context.Context) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	proc := n.current()
	if proc == nil {
		return 0, errors.New("read boot index: the machine is off")
	}
	index, _, err := proc.monitor.bootIndex(ctx, nicID)
	return index, err
}

// close turns the machine off for good and waits for everything that watched it.
func (n *node) close() {
	n.mu.Lock()
	n.dead = true
	if proc := n.current(); proc != nil {
		proc.kill()
		n.leave()
	}
	n.mu.Unlock()
	n.watch.Wait()
}
