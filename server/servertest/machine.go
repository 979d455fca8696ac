package servertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agentapi"
	"github.com/metalform/terraform-provider-metal/server/internal/bmc/bmctest"
)

// Subnet returns a subnet that serves addresses of a network, without dynamic ranges.
func Subnet(cidr string) metal.SubnetSpec {
	return metal.SubnetSpec{CIDR: netip.MustParsePrefix(cidr), DHCP: metal.DHCPSpec{Mode: metal.DHCPAuthoritative}}
}

// Account of every simulated BMC.
const (
	BMCUser     = "admin"
	BMCPassword = "correct-horse"
)

// Machine pretends to be one: its BMC is real on the wire, its firmware asks the boot server what to boot, and what
// it boots is an agent, or a system that calls back.
type Machine struct {
	MAC     metal.MAC
	BMC     metal.BMC
	BMCFake *bmctest.Fake // its power; SetFault makes the BMC refuse
	IPMI    *bmctest.IPMI // SetFaults makes it silent or slow

	server *Server
	log    *slog.Logger
	mu     sync.Mutex
	off    context.CancelFunc // ends what runs on it; nil when it is off
	// Behaviour, under mu.
	refuse map[agentapi.StepKind]*metal.Failure // what the agent fails at
	dead   bool                                 // it never calls back
	mute   bool                                 // its installed system never calls back
	first  []string                             // what it says of its first boot, in this order
	disk   int64                                // bytes of its disk
	memory int64                                // bytes
	shape  func(*metal.Inventory)               // changes what it has; nil: nothing
	boots  int
	steps  []agentapi.StepKind
	seed   map[string]string // of the system on its disk
	uuid   string
}

// NewMachine makes the n-th machine (1 to 250) of a server. It is off.
func (s *Server) NewMachine(t testing.TB, n int) *Machine {
	t.Helper()
	m := &Machine{
		MAC: metal.MAC(fmt.Sprintf("52:54:00:77:00:%02x", n)), server: s, log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		refuse: map[agentapi.StepKind]*metal.Failure{}, uuid: fmt.Sprintf("00000000-0000-4000-8000-0000000000%02x", n), disk: 8 << 30, memory: 8 << 30,
	}
	m.BMCFake = &bmctest.Fake{OnPowerOn: func(bmctest.Boot) { m.powerOn() }, OnPowerOff: m.powerOff, OnReset: func(bmctest.Boot) { m.powerOff(); m.powerOn() }}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.IPMI, err = bmctest.NewIPMI(conn, m.BMCFake, bmctest.Identity{UUID: m.uuid, Name: string(m.MAC)},
		bmctest.Account{Username: BMCUser, Password: metal.NewSecret(BMCPassword)}, m.log)
	if err != nil {
		t.Fatal(err)
	}
	m.BMC = metal.BMC{Type: "ipmi", Address: m.IPMI.Addr(), Username: BMCUser}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.IPMI.Run(ctx) }()
	t.Cleanup(func() {
		m.powerOff()
		cancel()
		<-done
	})
	return m
}

// Plug switches the machine on as a person does: it boots from the network.
func (m *Machine) Plug() { _ = m.BMCFake.SetPower(context.Background(), true) }

// Refuse makes the agent fail at a kind of step; nil lets it succeed again.
func (m *Machine) Refuse(kind agentapi.StepKind, f *metal.Failure) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refuse[kind] = f
}

// Die makes the machine boot nothing any more.
func (m *Machine) Die() { m.mu.Lock(); m.dead = true; m.mu.Unlock() }

// Mute makes installed systems never call back.
func (m *Machine) Mute() { m.mu.Lock(); m.mute = true; m.mu.Unlock() }

// FirstBoot has installed systems tell this of their first boot: the first report before they call back that they are
// up, the others after.
func (m *Machine) FirstBoot(reports ...string) { m.mu.Lock(); m.first = reports; m.mu.Unlock() }

// SilenceBMC makes the BMC answer nothing.
func (m *Machine) SilenceBMC() { m.IPMI.SetFaults(bmctest.Faults{Silent: true}) }

// SetDisk makes the disk another one, of that many bytes. The server learns of it with the next inventory.
func (m *Machine) SetDisk(bytes int64) { m.mu.Lock(); m.disk = bytes; m.mu.Unlock() }

// SetMemory changes the memory, in bytes. The server learns of it with the next inventory.
func (m *Machine) SetMemory(bytes int64) { m.mu.Lock(); m.memory = bytes; m.mu.Unlock() }

// SetMAC changes the address of the NIC. It is for a machine that has never been on.
func (m *Machine) SetMAC(mac metal.MAC) { m.mu.Lock(); m.MAC = mac; m.mu.Unlock() }

// Shape changes what the machine has, in the inventories from now on.
func (m *Machine) Shape(change func(*metal.Inventory)) { m.mu.Lock(); m.shape = change; m.mu.Unlock() }

// inventory is what it has.
func (m *Machine) inventory() metal.Inventory {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.have(metal.Disk{})
}

// have is what it has, with a disk. The caller holds mu.
func (m *Machine) have(disk metal.Disk) metal.Inventory {
	inv := metal.Inventory{
		Arch: metal.AMD64, BootMode: metal.BIOS, CPU: metal.CPU{Threads: 4, Cores: 4, Sockets: 1}, Memory: metal.Memory{Bytes: m.memory},
		SMBIOS: metal.SMBIOS{Vendor: "Metalform", Product: "Simulated", UUID: m.uuid, Serial: "SN-" + string(m.MAC)},
		Disks:  []metal.Disk{disk}, NICs: []metal.NIC{{Name: "eth0", MAC: m.MAC, Carrier: true, Boot: true}},
	}
	if m.shape != nil {
		m.shape(&inv)
	}
	return inv
}

// Mend ends every fault that the methods above, and those of its BMC, have made.
func (m *Machine) Mend() {
	m.mu.Lock()
	m.dead, m.mute, m.first = false, false, nil
	clear(m.refuse)
	m.mu.Unlock()
	m.IPMI.SetFaults(bmctest.Faults{})
	m.BMCFake.SetFault(nil)
}

// Seed returns the seed of the system on the disk.
func (m *Machine) Seed() map[string]string { m.mu.Lock(); defer m.mu.Unlock(); return m.seed }

// Boots returns how often it was switched on.
func (m *Machine) Boots() int { m.mu.Lock(); defer m.mu.Unlock(); return m.boots }

// Steps returns what its agents did.
func (m *Machine) Steps() []agentapi.StepKind {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]agentapi.StepKind(nil), m.steps...)
}

func (m *Machine) powerOn() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.off != nil {
		return
	}
	m.boots++
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	m.off = func() { cancel(); <-done }
	fromDisk := m.BMCFake.NextBoot().Device == metal.BootDisk
	dead := m.dead
	go func() {
		defer close(done)
		if !dead {
			m.boot(ctx, fromDisk)
		}
	}()
}

func (m *Machine) powerOff() {
	m.mu.Lock()
	off := m.off
	m.off = nil
	m.mu.Unlock()
	if off != nil {
		off()
	}
}

var tokenOf = regexp.MustCompile(agentapi.ParamToken + `=(\S+)`)

// boot is the firmware: from the disk where the BMC says so, else what the boot server says.
func (m *Machine) boot(ctx context.Context, fromDisk bool) {
	for ctx.Err() == nil {
		if fromDisk {
			m.system(ctx)
			return
		}
		script, err := m.get(ctx, m.server.Boot+"/boot/script/"+string(m.MAC)+"?platform=pcbios")
		if err != nil {
			pause(ctx, 50*time.Millisecond)
			continue
		}
		token := tokenOf.FindStringSubmatch(script)
		if token == nil {
			m.system(ctx)
			return
		}
		fromDisk = m.agent(ctx, token[1])
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (m *Machine) get(ctx context.Context, from string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %s", res.Status)
	}
	return string(body), err
}

// HostKey is what every simulated system reports.
const HostKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPlQ0XxIJ3fIEY8w7lX9k3Zq0H3eVhb3pCqJYq3T0b1n"

// agent speaks the agents' wire. It returns true when the machine goes on to boot from its disk.
func (m *Machine) agent(ctx context.Context, token string) (disk bool) {
	c, err := agentapi.NewClient(m.server.Boot, &http.Client{})
	if err != nil {
		return false
	}
	hello := agentapi.Hello{
		Token: token, BootID: fmt.Sprintf("%s-%d", m.MAC, m.Boots()), BootMAC: m.MAC, MACs: []metal.MAC{m.MAC},
		SMBIOS: metal.SMBIOS{UUID: m.uuid, Serial: "SN-" + string(m.MAC), Vendor: "Metalform", Product: "Simulated"},
		Arch:   metal.AMD64, BootMode: m.inventory().BootMode, Version: "simulated",
	}
	greeted := false
	results := map[string]agentapi.Result{}
	for ctx.Err() == nil {
		if !greeted {
			_, err := c.Hello(ctx, hello)
			if metal.CodeOf(err) == metal.Unauthorized {
				return false // boots again
			}
			if errors.Is(err, agentapi.ErrGone) {
				m.leave(ctx)
				return false
			}
			greeted = err == nil
		}
		if !greeted {
			pause(ctx, 50*time.Millisecond)
			continue
		}
		s, err := c.Next(ctx, 20*time.Second)
		if errors.Is(err, agentapi.ErrGone) {
			m.leave(ctx)
			return false
		}
		if err != nil {
			greeted = metal.CodeOf(err) != metal.Unauthorized
			pause(ctx, 20*time.Millisecond)
			continue
		}
		if s == nil {
			continue
		}
		r, did := results[s.ID]
		if !did {
			r = m.do(s)
			results[s.ID] = r
		}
		for ctx.Err() == nil && greeted {
			if err := c.Result(ctx, r); err == nil {
				break
			} else if metal.CodeOf(err) == metal.Unauthorized {
				greeted = false
			}
			pause(ctx, 20*time.Millisecond)
		}
		switch {
		case !greeted || r.Failure != nil:
		case s.Kind == agentapi.StepReboot:
			m.mu.Lock()
			m.boots++
			m.mu.Unlock()
			return s.Reboot.Loaded || m.BMCFake.NextBoot().Device == metal.BootDisk
		case s.Kind == agentapi.StepPowerOff:
			m.leave(ctx)
		}
	}
	return false
}

// leave powers the machine off from inside, and returns when it is.
func (m *Machine) leave(ctx context.Context) {
	go func() { _ = m.BMCFake.SetPower(context.Background(), false) }()
	<-ctx.Done()
}

// do pretends to do a step.
func (m *Machine) do(s *agentapi.Step) agentapi.Result {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.steps = append(m.steps, s.Kind)
	r := agentapi.Result{StepID: s.ID, Failure: m.refuse[s.Kind], Log: []string{"did " + string(s.Kind)}}
	if r.Failure != nil {
		return r
	}
	disk := metal.Disk{Name: "vda", Serial: "DISK-" + string(m.MAC), Bytes: m.disk, BlockSize: 512, Bus: "virtio"}
	var output any
	switch s.Kind {
	case agentapi.StepInventory:
		output = m.have(disk)
	case agentapi.StepErase:
		m.seed = nil
		output = []metal.DiskWiped{{Name: disk.Name, Serial: disk.Serial, Bytes: disk.Bytes, Method: "simulated", Sampled: 64, Result: metal.WipeVerified}}
	case agentapi.StepWrite:
		m.seed = s.Write.Seed
		output = agentapi.Written{Disk: disk, WriteMillis: 1}
	case agentapi.StepInstall:
		m.seed = map[string]string{}
		for name, content := range s.Install.Files {
			m.seed[path.Base(name)] = content
		}
		output = agentapi.Written{WriteMillis: 1}
	default:
		return r
	}
	text, err := json.Marshal(output)
	if err != nil {
		r.Failure = &metal.Failure{Message: err.Error()}
	}
	r.Output = text
	return r
}
