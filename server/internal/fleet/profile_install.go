package fleet

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"net"
	"net/netip"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/profile"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// Install is an installation with what there is to know for rendering it.
type Install struct {
	metal.Installation
	Token metal.Secret
	Spec  metal.BootProfileSpec
	// Facts lack the URLs.
	Facts profile.Facts
}

// BootInstaller begins or goes on with the installation of the machine with a MAC address, which asked from an
// address for something to boot. Nil: no boot profile is for this machine now. One that is over returns as it is:
// until somebody forgets it, the machine boots its own disk.
func (f *Fleet) BootInstaller(ctx context.Context, mac metal.MAC, from netip.Addr) (out *Install, err error) {
	err = f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		m, err := machineOf(tx, mac)
		if err != nil || m != nil && m.State != metal.New && m.State != metal.Ready {
			return err
		}
		i, token, err := tx.Installation(mac)
		if metal.CodeOf(err) == metal.NotFound {
			i, token, err = begin(tx, mac, m)
		}
		if err != nil || i == nil {
			return err
		}
		out = &Install{Installation: *i, Token: token}
		if i.State != metal.Installing {
			return nil
		}
		boots := i.Boot(tx.Now)
		out.Installation = *i
		if err := tx.PutInstallation(i, token); err != nil {
			return err
		}
		if !boots {
			return tx.AddEvent("installation", string(mac), string(mac)+" booted the installer too often without a call home: it boots its own disk now")
		}
		return f.fillInstall(tx, out, from)
	})
	return out, err
}

// Installing returns the installation that a token is for; metal.NotFound for any other token, and one that is over.
func (f *Fleet) Installing(ctx context.Context, mac metal.MAC, token string, from netip.Addr) (out *Install, err error) {
	err = f.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		i, err := installationOf(tx, mac, token)
		if err != nil {
			return err
		}
		if i.State != metal.Installing {
			return metal.Errorf(metal.NotFound, "the installation of %s is over", mac)
		}
		out = &Install{Installation: *i, Token: metal.NewSecret(token)}
		return f.fillInstall(tx, out, from)
	})
	return out, err
}

// ReportInstallation writes down what an installer says of itself, and in which state the installation is from now
// on. A report that comes twice changes nothing more; after the end, nothing does.
func (f *Fleet) ReportInstallation(ctx context.Context, mac metal.MAC, token string, state metal.InstallationState, line string) error {
	return f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		i, err := installationOf(tx, mac, token)
		if err != nil || i.State != metal.Installing {
			return err
		}
		i.State = state
		i.Note(tx.Now, line)
		if err := tx.PutInstallation(i, metal.NewSecret(token)); err != nil {
			return err
		}
		if state == metal.Installing {
			return nil
		}
		return tx.AddEvent("installation", string(mac), string(mac)+" by boot profile "+i.Profile+": "+string(state))
	})
}

// installationOf reads an installation for whoever knows its token.
func installationOf(tx *store.Tx, mac metal.MAC, token string) (*metal.Installation, error) {
	i, want, err := tx.Installation(mac)
	if err != nil && metal.CodeOf(err) != metal.NotFound {
		return nil, err
	}
	if err != nil || subtle.ConstantTimeCompare([]byte(token), []byte(want.Reveal())) != 1 {
		return nil, metal.Errorf(metal.NotFound, "there is no installation of %s with this token", mac)
	}
	return i, nil
}

// machineOf reads the machine with a MAC address; nil where nobody declared it.
func machineOf(tx *store.Tx, mac metal.MAC) (*metal.Machine, error) {
	m, err := tx.MachineByMAC(mac)
	if metal.CodeOf(err) == metal.NotFound {
		return nil, nil
	}
	return m, err
}

// maxInstallations bounds what is remembered of machines that nobody declared.
const maxInstallations = 10_000

// begin begins an installation where a boot profile is for the machine; nil where none is.
func begin(tx *store.Tx, mac metal.MAC, m *metal.Machine) (*metal.Installation, metal.Secret, error) {
	all, err := tx.BootProfiles("", 1<<30, nil)
	if err != nil {
		return nil, metal.Secret{}, err
	}
	var tags []string
	if m != nil {
		tags = m.Spec.Tags
	}
	p := profile.For(all, m != nil, tags)
	if p == nil {
		return nil, metal.Secret{}, nil
	}
	if m == nil { // anybody on the network can make up MAC addresses
		n, err := tx.CountInstallations()
		if err != nil {
			return nil, metal.Secret{}, err
		}
		if n >= maxInstallations {
			return nil, metal.Secret{}, metal.Errorf(metal.Exhausted, "cannot install on %s by boot profile %s: %d installations are remembered; forget those that are over", mac, p.Name, n)
		}
	}
	i := &metal.Installation{MAC: mac, Profile: p.Name, Version: p.Version, State: metal.Installing, BegunAt: tx.Now, SeenAt: tx.Now}
	return i, metal.NewSecret(rand.Text()), tx.AddEvent("installation", string(mac), string(mac)+" installs by boot profile "+p.Name)
}

// fillInstall adds the profile at the installation's version, and the facts about the machine.
func (f *Fleet) fillInstall(tx *store.Tx, i *Install, from netip.Addr) error {
	p, secrets, err := tx.BootProfileVersion(i.Profile, i.Version)
	if err != nil {
		return err
	}
	keys, err := Keys(tx, p.Spec.SSHKeys)
	if err != nil {
		return err
	}
	i.Spec = p.Spec
	i.Facts = profile.Facts{
		Name: "host-" + strings.ReplaceAll(string(i.MAC), ":", ""), Domain: f.cfg.Zone, MAC: string(i.MAC), MACs: []string{string(i.MAC)},
		SSHKeys: keys, Var: p.Spec.Variables, Secret: secrets,
	}
	m, err := machineOf(tx, i.MAC)
	if err != nil {
		return err
	}
	if m != nil {
		i.Facts.Name, i.Facts.MACs = m.Spec.Name, nil
		for _, mac := range m.Spec.MACs {
			i.Facts.MACs = append(i.Facts.MACs, string(mac))
		}
	}
	f.fillNetwork(&i.Facts, from)
	i.Facts.FQDN = i.Facts.Name + "." + i.Facts.Domain
	return nil
}

// fillNetwork adds what is known of the subnet that the machine asked from.
func (f *Fleet) fillNetwork(facts *profile.Facts, from netip.Addr) {
	if !from.IsValid() {
		return
	}
	facts.Address = from.String()
	for _, s := range f.ledger.all() {
		if !s.CIDR.Contains(from) {
			continue
		}
		facts.Prefix = s.CIDR.Bits()
		if from.Is4() {
			facts.Netmask = net.IP(net.CIDRMask(s.CIDR.Bits(), 32)).String()
		}
		if s.Gateway.IsValid() {
			facts.Gateway = s.Gateway.String()
		}
		if s.Domain != "" {
			facts.Domain = s.Domain
		}
		facts.DNS, facts.NTP = texts(s.DNS, f.cfg.Own), texts(s.NTP, f.cfg.Own)
		return
	}
}

// texts writes addresses, or those of the server where there are none.
func texts(list, own []netip.Addr) []string {
	if len(list) == 0 {
		list = own
	}
	out := make([]string, len(list))
	for i, a := range list {
		out[i] = a.String()
	}
	return out
}
