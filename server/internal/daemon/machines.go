package daemon

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agentapi"
	"github.com/metalform/terraform-provider-metal/server/internal/boot"
	"github.com/metalform/terraform-provider-metal/server/internal/fleet"
	"github.com/metalform/terraform-provider-metal/server/internal/image"
	"github.com/metalform/terraform-provider-metal/server/internal/lifecycle"
	"github.com/metalform/terraform-provider-metal/server/internal/metadata"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// agents lets the agents' handler speak to the engine, and the engine to the fleet where a stranger enlists.
type agents struct {
	*lifecycle.Engine
	fleet *fleet.Fleet
}

func (a agents) Hello(ctx context.Context, h agentapi.Hello) (agentapi.Session, error) {
	return a.Engine.Hello(ctx, h, a.fleet.Enlist)
}

// bootFacts answers the boot server from the store.
type bootFacts struct {
	db *store.DB
	*lifecycle.Engine
	parameters string // of every RAM environment's kernel
}

func (b bootFacts) BootFacts(ctx context.Context, mac metal.MAC) (f boot.Facts, err error) {
	err = b.db.Read(ctx, func(tx *store.Tx) error {
		m, err := tx.MachineByMAC(mac)
		if metal.CodeOf(err) == metal.NotFound {
			f.KernelParameters = b.parameters
			return nil
		}
		if err != nil {
			return err
		}
		f = boot.Facts{Name: m.Spec.Name, State: m.State, Arch: m.Arch(), KernelParameters: strings.TrimSpace(b.parameters + " " + m.Spec.KernelParameters)}
		if f.WantsAgent, err = lifecycle.WantsAgent(tx, m); err != nil {
			return err
		}
		f.Memory, err = lifecycle.RunsFromMemory(tx, m)
		return err
	})
	return f, err
}

// Looping tells that a machine, which should be up from its disk, asks the network for something to boot.
func (b bootFacts) Looping(ctx context.Context, mac metal.MAC, times int) error {
	return b.db.Update(ctx, func(tx *store.Tx) error {
		m, err := tx.MachineByMAC(mac)
		if metal.CodeOf(err) == metal.NotFound {
			return nil // forgotten since
		}
		if err != nil {
			return err
		}
		return tx.AddEvent("machine", m.ID, fmt.Sprintf(
			"%s is %s and should boot its own disk, but asked the network for something to boot %d times within 10 minutes: look at its console and its boot order", m.Spec.Name, m.State, times))
	})
}

// seeder renders the cloud-init seed of a deployment from the facts about its machine.
func seeder(zone string, server netip.Addr) lifecycle.Seeder {
	return func(tx *store.Tx, m *metal.Machine, d *metal.Deployment, userData []byte, phoneHome string) (map[string]string, error) {
		keys, err := fleet.Keys(tx, d.Spec.SSHKeys)
		if err != nil {
			return nil, err
		}
		f := metadata.Facts{InstanceID: d.ID, Hostname: d.Spec.Hostname, SSHKeys: keys, UserData: userData, PhoneHomeURL: phoneHome, KernelParameters: d.Spec.KernelParameters}
		if f.Hostname == "" {
			f.Hostname = m.Spec.Name
		}
		f.FQDN = f.Hostname + "." + zone
		assigned, err := fleet.Assigned(tx, m)
		if err != nil {
			return nil, err
		}
		declared, err := fleet.Network(tx, m, d.Spec.Network)
		if err != nil {
			return nil, err
		}
		f.Network = metadata.NetworkFacts{Mode: "dhcp", MAC: m.Spec.MACs[0], Declared: declared}
		if len(assigned) == 0 {
			return metadata.Seed(f)
		}
		a := assigned[0]
		s, err := tx.Subnet(a.Subnet)
		if err != nil {
			return nil, err
		}
		domain := zone
		if s.Spec.Domain != "" {
			domain = s.Spec.Domain
		}
		f.FQDN = f.Hostname + "." + domain
		f.NTP = or(s.Spec.NTP, server)
		f.Network = metadata.NetworkFacts{
			Mode: d.Spec.Network.Mode, MAC: a.MAC, Addr: netip.PrefixFrom(a.Addr, s.Spec.CIDR.Bits()),
			Gateway: s.Spec.Gateway, DNS: or(s.Spec.DNS, server), Search: []string{domain},
			Declared: declared,
		}
		return metadata.Seed(f)
	}
}

func or(list []netip.Addr, fallback netip.Addr) []netip.Addr {
	if len(list) == 0 {
		return []netip.Addr{fallback}
	}
	return list
}

// importer brings images in by the image store.
func importer(s *image.Store) lifecycle.Importer {
	return func(ctx context.Context, spec metal.ImageSpec, progress func(float64)) (lifecycle.Content, error) {
		c, err := s.Import(ctx, spec, nil, progress)
		return lifecycle.Content(c), err
	}
}

// images lets the fleet use the image store.
type images struct {
	*image.Store
	dirs []string
}

// Allowed refuses at once what the import would refuse: a file outside of the directories. The import looks again,
// after every symbolic link.
func (i images) Allowed(spec metal.ImageSpec) error {
	if !filepath.IsAbs(spec.Source) {
		return nil // a URL, as the fleet has seen
	}
	for _, dir := range i.dirs {
		if rel, err := filepath.Rel(dir, spec.Source); err == nil && filepath.IsLocal(rel) {
			return nil
		}
	}
	return metal.Errorf(metal.Invalid, "source %q is not below images.directories of the server (%v)", spec.Source, i.dirs)
}

func (i images) Upload(ctx context.Context, spec metal.ImageSpec, body fleet.Body) (lifecycle.Content, error) {
	c, err := i.Import(ctx, spec, body, func(float64) {})
	return lifecycle.Content(c), err
}

// limits translates the configuration's.
func limits(l *Limits) lifecycle.Limits {
	out := lifecycle.Limits{
		Boot: duration(l.Boot), Boots: l.Boots, Silence: duration(l.Silence), Report: duration(l.Report), Idle: duration(l.Idle),
		State: map[metal.State]time.Duration{},
	}
	for state, text := range map[metal.State]string{
		metal.Commissioning: l.Commission, metal.Deploying: l.Deploy, metal.Erasing: l.Erase, metal.Releasing: l.Release, metal.Undeploying: l.Undeploy,
	} {
		if text != "" {
			out.State[state] = duration(text)
		}
	}
	return out
}
