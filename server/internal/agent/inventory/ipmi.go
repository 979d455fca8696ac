package inventory

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// IPMI network functions, commands and parameters (IPMI 2.0, appendix G and 23.2).
const (
	netFnApp       = 0x06
	netFnTransport = 0x0c

	commandDeviceID     = 0x01
	commandLANParameter = 0x02

	parameterAddress = 3
	parameterMAC     = 5
)

// lanChannels is the highest channel that may be a LAN one (6.3).
const lanChannels = 0x0b

// Limits: a BMC that hangs must not hold the inventory up.
const (
	answerLimit = 2 * time.Second
	bmcLimit    = 5 * time.Second
)

// bmc asks the machine's own BMC through the kernel's driver; nil when there is none.
func (s Sources) bmc(ctx context.Context) *metal.BMCSeen {
	f, err := os.OpenFile(filepath.Join(s.Dev, "ipmi0"), os.O_RDWR, 0)
	if err != nil {
		return nil
	}
	defer f.Close()
	ctx, cancel := context.WithTimeout(ctx, bmcLimit)
	defer cancel()
	k := &kernelBMC{fd: int(f.Fd())}
	seen, err := askBMC(func(netFn, command byte, data ...byte) ([]byte, error) {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return k.call(netFn, command, data)
	})
	if err != nil {
		s.Log.Warn("ask the BMC in band", "error", err)
		return nil
	}
	return seen
}

// askBMC asks who the BMC is, and takes the first LAN channel that has an address, or else the first that has a MAC.
func askBMC(call func(netFn, command byte, data ...byte) ([]byte, error)) (*metal.BMCSeen, error) {
	id, err := call(netFnApp, commandDeviceID)
	if err != nil {
		return nil, err
	}
	if len(id) < 10 {
		return nil, fmt.Errorf("the BMC's device id is %d bytes long, not 10 or more", len(id))
	}
	seen := &metal.BMCSeen{Firmware: fmt.Sprintf("%d.%02x", id[2]&0x7f, id[3]), Vendor: maker(id)}
	for channel := byte(1); channel <= lanChannels; channel++ {
		raw, err := call(netFnTransport, commandLANParameter, channel, parameterMAC, 0, 0)
		if err != nil || len(raw) < 7 {
			continue // no LAN channel
		}
		mac := metal.MACOf(raw[1:7])
		raw, err = call(netFnTransport, commandLANParameter, channel, parameterAddress, 0, 0)
		if err == nil && len(raw) >= 5 && [4]byte(raw[1:5]) != ([4]byte{}) {
			seen.MAC, seen.Address = mac, netip.AddrFrom4([4]byte(raw[1:5])).String()
			break
		}
		if seen.MAC == "" {
			seen.MAC = mac
		}
	}
	if _, err := metal.ParseMAC(string(seen.MAC)); err != nil {
		seen.MAC = ""
	}
	return seen, nil
}

// maker names the manufacturer by its IANA enterprise number (20.1), or gives the number.
func maker(id []byte) string {
	number := int(id[6]) | int(id[7])<<8 | int(id[8]&0x0f)<<16
	names := map[int]string{
		2: "IBM", 11: "HPE", 343: "Intel", 674: "Dell", 2011: "Huawei", 5771: "Cisco", 7244: "Quanta", 10368: "Fujitsu",
		10876: "Supermicro", 15370: "Gigabyte", 19046: "Lenovo", 37945: "Inspur", 42817: "OpenBMC", 47196: "HPE", 49769: "YADRO",
	}
	if name, ok := names[number]; ok {
		return name
	}
	return fmt.Sprintf("enterprise %d", number)
}
