package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/httpapi"
)

const secret = "t0p-secret-token"

type tokens struct{}

func (tokens) Authenticate(_ context.Context, token string) (string, error) {
	if token != secret {
		return "", metal.Errorf(metal.Unauthorized, "the server does not know this token")
	}
	return "alice", nil
}

var at = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// fleet is one machine, one subnet and one operation, which plays a script. Endpoints it lacks panic, since the
// embedded interface is nil.
type fleet struct {
	httpapi.Fleet
	mu       sync.Mutex
	script   []metal.Operation // the last one stays
	uploaded string
	subnet   api.PutSubnetRequest
	created  []any
}

func node() metal.Machine {
	return metal.Machine{
		ID: "m-1", State: metal.Deployed, Declared: true, Power: metal.PowerOn, Address: "10.0.0.5", OperationID: "o-1",
		Spec: metal.MachineSpec{
			Name: "node-1", MACs: []metal.MAC{"52:54:00:12:34:56"}, Arch: metal.AMD64, Pool: "default",
			BMC: &metal.BMC{Type: "redfish", Address: "https://10.9.0.5"},
		},
		Hardware: metal.Facts{Vendor: "Dell", Product: "R640", CPUs: 64, MemoryBytes: 256 << 30, Disks: 2, DiskBytes: 960 << 30},
	}
}

func (f *fleet) note(in any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.created = append(f.created, in)
}

func (f *fleet) GetStatus(ctx context.Context, _ api.None) (api.ServerStatus, error) {
	return api.ServerStatus{Version: "1.2.3", Started: at, Token: httpapi.Caller(ctx), Services: map[string]string{"tftp": ":69", "dhcp": ":67"}}, nil
}

func (f *fleet) ListMachines(_ context.Context, in api.ListMachinesRequest) (api.List[metal.Machine], error) {
	one := node()
	if in.After == "" { // two pages
		return api.List[metal.Machine]{Items: []metal.Machine{one}, Next: "m-1"}, nil
	}
	one.ID, one.Spec.Name, one.State, one.Address, one.Hardware = "m-2", "node-2", metal.New, "", metal.Facts{}
	return api.List[metal.Machine]{Items: []metal.Machine{one}}, nil
}

func (f *fleet) GetMachine(_ context.Context, in api.GetMachineRequest) (metal.Machine, error) {
	if in.ID != "node-1" {
		return metal.Machine{}, &metal.Error{Code: metal.NotFound, Message: "there is no machine " + in.ID, Detail: "looked for an id\nand for a name"}
	}
	return node(), nil
}

func (f *fleet) CreateMachine(_ context.Context, in api.CreateMachineRequest) (metal.Machine, error) {
	f.note(in)
	return metal.Machine{ID: "m-9", State: metal.New, Spec: in.Body.MachineSpec}, nil
}

func (f *fleet) CommissionMachine(_ context.Context, in api.CommandRequest) (metal.Operation, error) {
	f.note(in)
	return f.script[0], nil
}

func (f *fleet) GetOperation(ctx context.Context, in api.GetOperationRequest) (metal.Operation, error) {
	f.mu.Lock()
	now := f.script[0]
	if len(f.script) > 1 {
		f.script = f.script[1:]
		f.mu.Unlock()
		return now, nil
	}
	f.mu.Unlock()
	if in.Wait != "" && !now.Ended() {
		<-ctx.Done()
		return metal.Operation{}, ctx.Err()
	}
	return now, nil
}

func (f *fleet) GetOperationLog(_ context.Context, in api.GetLogRequest) (api.Log, error) {
	if in.After == 2 {
		return api.Log{Ended: true}, nil
	}
	return api.Log{Lines: []api.LogLine{{Number: 1, At: at, Text: "boots"}, {Number: 2, At: at.Add(time.Second), Text: "writes"}}}, nil
}

func (f *fleet) ListEvents(_ context.Context, in api.ListEventsRequest) (api.List[metal.Event], error) {
	if in.After > 0 {
		return api.List[metal.Event]{}, nil
	}
	return api.List[metal.Event]{Items: []metal.Event{{Seq: 4, At: at, Kind: "machine", Subject: "m-1", Text: "is ready"}}}, nil
}

func (f *fleet) PutImage(_ context.Context, in api.PutImageRequest) (metal.Image, error) {
	f.note(in)
	return metal.Image{Name: in.Name, State: metal.ImageWaiting}, nil
}

func (f *fleet) UploadImage(_ context.Context, in api.UploadImageRequest) (metal.Image, error) {
	text, err := io.ReadAll(in.Body)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.uploaded = string(text)
	return metal.Image{Name: in.Name, State: metal.ImageReady}, err
}

func (f *fleet) GetSubnet(_ context.Context, in api.ByName) (metal.Subnet, error) {
	if in.Name != "boot" {
		return metal.Subnet{}, metal.Errorf(metal.NotFound, "there is no subnet %s", in.Name)
	}
	return metal.Subnet{Name: in.Name, Revision: 5, Spec: metal.SubnetSpec{CIDR: netip.MustParsePrefix("10.0.0.0/24"), Fabric: "default", Domain: "lab"}}, nil
}

func (f *fleet) PutSubnet(_ context.Context, in api.PutSubnetRequest) (metal.Subnet, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.subnet = in
	return metal.Subnet{Name: in.Name, Spec: in.Body}, nil
}

func (f *fleet) PreviewAllocation(_ context.Context, in api.PreviewAllocationRequest) (api.AllocationPreview, error) {
	f.note(in)
	return api.AllocationPreview{
		Machine: &metal.Match{MachineID: "m-1", Machine: "node-1"},
		Others:  []metal.Match{{MachineID: "m-2", Machine: "node-2", Reasons: []string{"it is new", "32 GiB of memory are too few"}}},
	}, nil
}

func (f *fleet) GetInventory(context.Context, api.ByID) (metal.Inventory, error) {
	return metal.Inventory{
		SMBIOS: metal.SMBIOS{Vendor: "Dell", Product: "R640", Serial: "ABC", BIOSVendor: "Dell", BIOSVersion: "2.1"}, BootMode: metal.UEFI,
		CPU: metal.CPU{Model: "Xeon", Threads: 64}, Memory: metal.Memory{Bytes: 256 << 30},
		Disks: []metal.Disk{{Name: "sda", Model: "PM883", Serial: "S1", Bytes: 480 << 30, Bus: "sata"}},
		NICs:  []metal.NIC{{Name: "eno1", MAC: "52:54:00:12:34:56", Carrier: true, Driver: "ixgbe", LLDP: &metal.Neighbor{System: "sw1", Port: "Eth1/7"}}},
	}, nil
}

// serve starts a server with the fleet and points the environment at it. No login of the person is read.
func serve(t *testing.T, f httpapi.Fleet) string {
	t.Helper()
	server := httptest.NewServer(httpapi.New(f, tokens{}, httpapi.Info{}, slog.New(slog.DiscardHandler)))
	t.Cleanup(server.Close)
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(home, "config"))
	t.Setenv("METAL_URL", server.URL)
	t.Setenv("METAL_TOKEN", secret)
	t.Setenv("METAL_CA_FILE", "")
	t.Setenv("METAL_INSECURE", "")
	return server.URL
}

// metalctl runs the program, with its arguments separated by spaces.
func metalctl(t *testing.T, line string) (code int, out, errOut string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), strings.Fields(line), strings.NewReader(secret+"\n"), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}
