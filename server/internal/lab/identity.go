package lab

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/netip"

	"github.com/google/uuid"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// BMC ports count up from these; machine 1 has the first port plus one.
const (
	ipmiPort    = 6230
	redfishPort = 8440
)

// macOf returns the address of the NIC of machine i of the lab called name. It depends on nothing else, so that
// configurations written for a lab stay true when it is made again. The prefix is the one QEMU's machines have.
func macOf(name string, i int) metal.MAC {
	lab := sha256.Sum256([]byte(name))
	return metal.MACOf([]byte{0x52, 0x54, 0x00, lab[0], lab[1], byte(i)})
}

// uuidOf returns the SMBIOS UUID of machine i of the lab called name, stable for the same reason.
func uuidOf(name string, i int) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, fmt.Appendf(nil, "metal-lab:%s/%d", name, i)).String()
}

func machineName(i int) string { return fmt.Sprintf("node%d", i) }

func tapName(i int) string { return fmt.Sprintf("tap%d", i) }

func diskSerial(serial string, disk int) string { return fmt.Sprintf("%s-D%d", serial, disk) }

// bmcAddr is where the BMC of machine i listens.
func (c Config) bmcAddr(i int) netip.AddrPort {
	port := ipmiPort
	if c.BMC == Redfish {
		port = redfishPort
	}
	return netip.AddrPortFrom(c.host(), uint16(port+i))
}

// newPassword returns 16 characters, 96 bits of entropy. IPMI 2.0 takes 20 bytes at most (section 22.30).
func newPassword() metal.Secret {
	raw := make([]byte, 12)
	rand.Read(raw) // never fails (crypto/rand)
	return metal.NewSecret(base64.RawURLEncoding.EncodeToString(raw))
}

// describe returns machine i as it will be written to the state file.
func (c Config) describe(i int, password metal.Secret) Machine {
	name := machineName(i)
	serial := fmt.Sprintf("LAB%04d", i)
	dir := machineDir(c.Dir, name)
	m := Machine{
		Name:    name,
		MACs:    []metal.MAC{macOf(c.Name, i)},
		UUID:    uuidOf(c.Name, i),
		Serial:  serial,
		Console: consolePath(dir),
		BMC: BMC{
			Type:         c.BMC,
			Address:      c.bmcAddr(i).String(),
			Username:     "admin",
			Password:     password,
			PasswordFile: passwordPath(dir),
		},
	}
	if c.BMC == Redfish {
		m.BMC.Address = "https://" + m.BMC.Address
	}
	for d := range c.Disks {
		m.Disks = append(m.Disks, diskPath(dir, d))
	}
	return m
}
