package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/bmc/bmctest"
)

// State is what lab.json tells of a lab: all that a person, a test or a demo needs to use it.
type State struct {
	// Name is the network namespace's name too.
	Name string `json:"name"`
	Dir  string `json:"dir"`
	// Bridge is the interface in the namespace that all machines are on; metald serves on it.
	Bridge string `json:"bridge"`
	// Subnet and Host are the IPv4 network and the bridge's address in it; Host6 is the bridge's IPv6 network and address.
	Subnet   netip.Prefix   `json:"subnet"`
	Host     netip.Addr     `json:"host"`
	Host6    netip.Prefix   `json:"host6"`
	Firmware metal.BootMode `json:"firmware"`
	// Owner is the process that runs the lab.
	Owner Process `json:"owner"`
	// Ready is false until every machine's BMC answers.
	Ready    bool      `json:"ready"`
	Machines []Machine `json:"machines"`
}

// Machine tells of one machine of a lab.
type Machine struct {
	Name   string      `json:"name"`
	MACs   []metal.MAC `json:"macs"` // the NIC it boots from first
	UUID   string      `json:"uuid"`
	Serial string      `json:"serial"`
	BMC    BMC         `json:"bmc"`
	// Console is the file with what the machine wrote to its serial port since the lab was made.
	Console string `json:"console"`
	// Disks are qcow2 files.
	Disks []string `json:"disks"`
}

// BMC says how to reach a machine's BMC from inside the namespace.
type BMC struct {
	Type string `json:"type"` // IPMI or Redfish
	// Address is host:port for IPMI and a URL for Redfish.
	Address  string       `json:"address"`
	Username string       `json:"username"`
	Password metal.Secret `json:"-"` // in lab.json as "password"; see stored
	// PasswordFile holds the password and nothing else, as ipmitool -f wants it.
	PasswordFile string `json:"password_file"`
	// Fingerprint is the SHA-256 of the certificate's DER form in hex; empty for IPMI.
	Fingerprint string `json:"fingerprint,omitempty"`
}

// stored is a BMC in lab.json, the one place where its password is written out. The file is the owner's only (0600),
// and the password opens nothing but a virtual machine.
type stored struct {
	bmcFields
	Password string `json:"password"`
}

// bmcFields drops BMC's methods, which would otherwise call themselves.
type bmcFields BMC

// MarshalJSON writes the password too.
func (b BMC) MarshalJSON() ([]byte, error) {
	return json.Marshal(stored{bmcFields(b), b.Password.Reveal()})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (b *BMC) UnmarshalJSON(data []byte) error {
	var s stored
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	*b = BMC(s.bmcFields)
	b.Password = metal.NewSecret(s.Password)
	return nil
}

// account is the BMC's one account.
func (b BMC) account() bmctest.Account {
	return bmctest.Account{Username: b.Username, Password: b.Password}
}

// Machine returns the machine called name, or a NotFound error that says which there are.
func (s *State) Machine(name string) (Machine, error) {
	var names []string
	for _, m := range s.Machines {
		if m.Name == name {
			return m, nil
		}
		names = append(names, m.Name)
	}
	return Machine{}, metal.Errorf(metal.NotFound, "lab %s has no machine %q: it has %v", s.Name, name, names)
}

// Load reads the state of the lab in dir. The error is NotFound when there is none; a lab whose owner died still has
// its file, see State.Owner.
func Load(dir string) (*State, error) {
	data, err := os.ReadFile(statePath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, metal.Errorf(metal.NotFound, "no lab in %s: make one with metal-lab up", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("read lab state: %w", err)
	}
	var s State
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("read lab state %s: %w", statePath(dir), err)
	}
	return &s, nil
}

// save replaces the state file in one step, so that a reader never sees half of it.
func (s *State) save() error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("write lab state: %w", err)
	}
	next := filepath.Join(s.Dir, stateDraft)
	if err := os.WriteFile(next, append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("write lab state: %w", err)
	}
	if err := os.Rename(next, statePath(s.Dir)); err != nil {
		return fmt.Errorf("write lab state: %w", err)
	}
	return nil
}
