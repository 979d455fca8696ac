package bmctest

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"

	"github.com/bougou/go-ipmi/pkg/bmc"
	"github.com/bougou/go-ipmi/pkg/handlers"
	"github.com/bougou/go-ipmi/pkg/server"
	"github.com/bougou/go-ipmi/pkg/types"
)

// lanChannel is the number of the one LAN channel the reference server has.
const lanChannel = 1

// accountSlot is the user id of the account; slot 1 is the anonymous user (IPMI 2.0, 6.9.1), who may not log in.
const accountSlot = 2

// IPMI is a virtual BMC that speaks IPMI 2.0 over LAN (RMCP+) with cipher suites 3 and 17. It knows the commands that
// power and boot need; sensors, event log and serial over LAN are absent. IPMI 1.5 sessions are refused.
type IPMI struct {
	faultSwitch
	conn   net.PacketConn
	server *server.Server
	gate   gate
}

// NewIPMI makes a BMC that answers on conn, which it owns from now on. It returns an error when IPMI has no room for
// the account (16 bytes of name, 20 of password; IPMI 2.0, 22.28 and 22.30) or the UUID is not one.
func NewIPMI(conn net.PacketConn, hw Hardware, id Identity, acc Account, log *slog.Logger) (*IPMI, error) {
	guid, err := ipmiGUID(id.UUID)
	if err != nil {
		return nil, err
	}
	password := acc.Password.Reveal()
	if acc.Username == "" || len(acc.Username) > bmc.MaxUserNameLen || len(password) > bmc.MaxPasswordLen {
		return nil, fmt.Errorf("make IPMI account %q: a name has 1 to %d bytes, a password at most %d",
			acc.Username, bmc.MaxUserNameLen, bmc.MaxPasswordLen)
	}

	b := &IPMI{conn: conn}
	state := bmc.New(bmc.DeviceInfo{
		DeviceID: 0x20, DeviceRevision: 1, FirmwareMajor: 1,
		IPMIVersion:             0x02, // 2.0: BCD with the major digit in the low half (table 20-2)
		AdditionalDeviceSupport: 0x80, // a chassis device
	}, guid, noHAL{nic: lanNIC{b.conn.LocalAddr()}}, bmc.WithV15Disabled())
	user, err := state.Users.Add(accountSlot, acc.Username)
	if err != nil {
		return nil, fmt.Errorf("make IPMI account %q: %w", acc.Username, err)
	}
	err = state.Users.Update(user.ID, func(u *bmc.User) error {
		u.SetPassword([]byte(password))
		u.Enabled = true
		u.ChannelAccess = map[uint8]bmc.UserChannelAccess{lanChannel: {MaxPrivilege: bmc.PrivilegeLevelAdministrator, Enabled: true}}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("make IPMI account %q: %w", acc.Username, err)
	}

	registry := handlers.NewRegistry()
	registry.Use(b.gate.middleware)
	handlers.RegisterAllHandlers(registry)
	c := &ipmiChassis{hw: hw, faults: b.faults, log: log.With("bmc", conn.LocalAddr().String())}
	registry.RegisterFunc(types.CommandGetChassisStatus, c.status)
	registry.RegisterFunc(types.CommandChassisControl, c.control)
	registry.RegisterFunc(types.CommandSetSystemBootOptions, c.setBootOption)
	registry.RegisterFunc(types.CommandGetSystemBootOptions, c.bootOption)
	registry.RegisterFunc(types.CommandGetSystemGUID, func(context.Context, *handlers.HandlerContext, []byte) ([]byte, types.CompletionCode, error) {
		return guid[:], types.CodeOK, nil
	})
	b.server = server.NewServer(state, newIPMIConn(conn, b.faults), server.WithHandlerRegistry(registry))
	return b, nil
}

// Addr returns host:port where the BMC answers.
func (b *IPMI) Addr() string { return b.conn.LocalAddr().String() }

// Run answers until ctx ends, and returns nil then. No call to the hardware is under way after it returned.
func (b *IPMI) Run(ctx context.Context) error {
	b.gate.open(ctx)
	defer b.gate.shut()
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closed)
		_ = b.server.Close() // the socket of a BMC that goes away; nothing can be done about its error
	})
	err := b.server.Serve(ctx)
	if !stop() {
		<-closed
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// ipmiGUID returns a UUID the way IPMI sends it: all 16 bytes, least significant first (IPMI 2.0, 20.8).
func ipmiGUID(uuid string) ([16]byte, error) {
	raw, err := hex.DecodeString(strings.ReplaceAll(uuid, "-", ""))
	if err != nil || len(raw) != 16 {
		return [16]byte{}, fmt.Errorf("make BMC: %q is not a UUID", uuid)
	}
	slices.Reverse(raw)
	return [16]byte(raw), nil
}
