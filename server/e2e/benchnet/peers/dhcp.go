package peers

import (
	"net/netip"
	"path/filepath"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/testnet"
)

// Dynamic are the addresses that every DHCP server gives out: the upper half of the network, as metald has it. Dynamic6
// are those of DHCPv6.
var (
	Dynamic  = metal.AddrRange{First: netip.MustParseAddr("10.104.0.0"), Last: netip.MustParseAddr("10.111.255.254")}
	Dynamic6 = metal.AddrRange{First: netip.MustParseAddr("fd00:99::1:0:0"), Last: netip.MustParseAddr("fd00:99::1:ffff:ffff")}
)

// One thread is Kea's quickest way on one core: with a pool of one more, packets are handed from one to the other.
// Leases are in the file before the answer goes out (persist), though without fsync. The clean-up of the file (LFC)
// would be another process on the same core, and is off.
const kea4 = `{"Dhcp4": {
  "interfaces-config": {"interfaces": ["{{.Server.Interface}}"], "dhcp-socket-type": "raw"},
  "lease-database": {"type": "memfile", "persist": true, "name": "{{.Dir}}/leases4.csv", "lfc-interval": 0},
  "multi-threading": {"enable-multi-threading": false},
  "valid-lifetime": 600,
  "subnet4": [{
    "id": 1, "subnet": "{{.Prefix}}", "interface": "{{.Server.Interface}}",
    "relay": {"ip-addresses": ["{{.Client.Addr}}"]},
    "pools": [{"pool": "{{.First}} - {{.Last}}"}]
  }],
  "loggers": [{"name": "kea-dhcp4", "severity": "WARN", "output_options": [{"output": "stdout"}]}]
}}
`

const kea6 = `{"Dhcp6": {
  "data-directory": "{{.Dir}}",
  "interfaces-config": {"interfaces": ["{{.Server.Interface}}"]},
  "lease-database": {"type": "memfile", "persist": true, "name": "{{.Dir}}/leases6.csv", "lfc-interval": 0},
  "multi-threading": {"enable-multi-threading": false},
  "preferred-lifetime": 300,
  "valid-lifetime": 600,
  "subnet6": [{
    "id": 1, "subnet": "{{.Prefix6}}", "interface": "{{.Server.Interface}}",
    "pools": [{"pool": "{{.First6}} - {{.Last6}}"}]
  }],
  "loggers": [{"name": "kea-dhcp6", "severity": "WARN", "output_options": [{"output": "stdout"}]}]
}}
`

// Kea4 starts kea-dhcp4.
func (d Dir) Kea4(net *testnet.Net, dir string) (*testnet.Process, error) {
	return d.kea(net, dir, "kea-dhcp4", kea4)
}

// Kea6 starts kea-dhcp6.
func (d Dir) Kea6(net *testnet.Net, dir string) (*testnet.Process, error) {
	return d.kea(net, dir, "kea-dhcp6", kea6)
}

func (d Dir) kea(net *testnet.Net, dir, name, config string) (*testnet.Process, error) {
	path := filepath.Join(dir, name+".json")
	if err := fill(path, config, net, dir); err != nil {
		return nil, err
	}
	return d.start(net, dir, name, []string{"-c", path}, "KEA_PIDFILE_DIR="+dir, "KEA_LOCKFILE_DIR=none")
}

const dnsmasq = `port=0
user=root
interface={{.Server.Interface}}
bind-interfaces
dhcp-range={{.First}},{{.Last}},255.240.0.0,10m
dhcp-authoritative
dhcp-lease-max=1000000
dhcp-leasefile={{.Dir}}/dnsmasq.leases
pid-file={{.Dir}}/dnsmasq.pid
no-ping
quiet-dhcp
`

// Dnsmasq starts dnsmasq as a DHCPv4 server. It writes its whole lease file anew at every change.
func (d Dir) Dnsmasq(net *testnet.Net, dir string) (*testnet.Process, error) {
	path := filepath.Join(dir, "dnsmasq.conf")
	if err := fill(path, dnsmasq, net, dir); err != nil {
		return nil, err
	}
	return d.start(net, dir, "dnsmasq", []string{"--keep-in-foreground", "--log-facility=-", "--conf-file=" + path})
}
