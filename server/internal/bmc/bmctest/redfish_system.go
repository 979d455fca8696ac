package bmctest

import (
	"context"
	"net/http"
	"slices"
	"sync"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// redfishSystem is the one computer system of a Redfish BMC.
type redfishSystem struct {
	hw     Hardware
	id     Identity
	faults func() Faults

	// mu is held from the reading of a system to the end of its change, so that If-Match means something.
	mu     sync.Mutex
	legacy bool // the boot mode last asked for is Legacy
}

// resetTypes are the kinds of reset there are (DSP2046, Resource.ResetType).
func resetTypes() []string {
	return []string{"On", "ForceOff", "GracefulShutdown", "ForceRestart", "PowerCycle"}
}

func (s *redfishSystem) show(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	current, err := s.resource(r.Context())
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, current)
}

// A bootOverride is the Boot property as far as a client may write it; what is nil stays as it is.
type bootOverride struct {
	BootSourceOverrideTarget  *string
	BootSourceOverrideEnabled *string
	BootSourceOverrideMode    *string
}

func (s *redfishSystem) patch(w http.ResponseWriter, r *http.Request) error {
	var body struct{ Boot *bootOverride }
	if err := readBody(w, r, &body); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	current, err := s.resource(r.Context())
	if err != nil {
		return err
	}
	tag, err := current.etag()
	if err != nil {
		return err
	}
	if !matches(r.Header.Get("If-Match"), tag) {
		return failf(http.StatusPreconditionFailed, "PreconditionFailed",
			"The ETag supplied did not match the ETag required to change this resource.")
	}
	if body.Boot == nil {
		return failf(http.StatusBadRequest, "PropertyMissing", "The property 'Boot' is a required property and must be included in the request.")
	}
	if err := s.override(r.Context(), *body.Boot); err != nil {
		return err
	}
	if current, err = s.resource(r.Context()); err != nil {
		return err
	}
	return answer(w, http.StatusOK, current)
}

// override changes the boot override. s.mu is held.
func (s *redfishSystem) override(ctx context.Context, want bootOverride) error {
	device, once, err := s.hw.Boot(ctx)
	if err != nil {
		return err
	}
	if t := want.BootSourceOverrideTarget; t != nil {
		switch *t {
		case "None":
			device = ""
		case "Pxe":
			device = metal.BootNetwork
		case "Hdd":
			device = metal.BootDisk
		default:
			return notInList("BootSourceOverrideTarget", *t)
		}
	}
	if e := want.BootSourceOverrideEnabled; e != nil {
		switch *e {
		case "Disabled":
			device = ""
		case "Once":
			once = true
		case "Continuous":
			once = false
		default:
			return notInList("BootSourceOverrideEnabled", *e)
		}
	}
	legacy := s.legacy
	if m := want.BootSourceOverrideMode; m != nil {
		if legacy = *m == "Legacy"; !legacy && *m != "UEFI" {
			return notInList("BootSourceOverrideMode", *m)
		}
	}
	if err := s.hw.SetBoot(ctx, device, once && device != "", !legacy); err != nil {
		return err
	}
	s.legacy = legacy
	return nil
}

func (s *redfishSystem) reset(w http.ResponseWriter, r *http.Request) error {
	var body struct{ ResetType string }
	if err := readBody(w, r, &body); err != nil {
		return err
	}
	if !slices.Contains(resetTypes(), body.ResetType) {
		return failf(http.StatusBadRequest, "ActionParameterNotSupported",
			"The value '%s' for the parameter ResetType is not supported on the target resource.", body.ResetType)
	}
	if s.faults().RefusePower {
		return failf(http.StatusInternalServerError, "InternalError", "The chassis refused to change the power state.")
	}
	if err := s.apply(r.Context(), body.ResetType); err != nil {
		return err
	}
	return answer(w, http.StatusNoContent, nil)
}

func (s *redfishSystem) apply(ctx context.Context, resetType string) error {
	switch resetType {
	case "On":
		return s.hw.SetPower(ctx, true)
	case "ForceOff":
		return s.hw.SetPower(ctx, false)
	case "GracefulShutdown":
		return s.hw.Shutdown(ctx)
	case "ForceRestart":
		return s.hw.Reset(ctx)
	}
	if err := s.hw.SetPower(ctx, false); err != nil { // PowerCycle
		return err
	}
	return s.hw.SetPower(ctx, true)
}

func (s *redfishSystem) powerState(ctx context.Context) (string, error) {
	power, err := s.hw.Power(ctx)
	if err != nil {
		return "", err
	}
	if power == metal.PowerOn {
		return "On", nil
	}
	return "Off", nil
}

// resource returns the system as it is. s.mu is held.
func (s *redfishSystem) resource(ctx context.Context) (resource, error) {
	power, err := s.powerState(ctx)
	if err != nil {
		return nil, err
	}
	device, once, err := s.hw.Boot(ctx)
	if err != nil {
		return nil, err
	}
	target := map[metal.BootDevice]string{"": "None", metal.BootNetwork: "Pxe", metal.BootDisk: "Hdd"}[device]
	enabled := "Continuous"
	switch {
	case device == "":
		enabled = "Disabled"
	case once:
		enabled = "Once"
	}
	mode := "UEFI"
	if s.legacy {
		mode = "Legacy"
	}
	return resource{
		"@odata.id": systemPath, "@odata.type": "#ComputerSystem.v1_22_0.ComputerSystem",
		"Id": "1", "Name": s.id.Name, "SystemType": "Physical", "Manufacturer": "Metalform", "Model": s.id.Model,
		"SerialNumber": s.id.Serial, "UUID": s.id.UUID, "PowerState": power, "Status": healthy(),
		"EthernetInterfaces": link(systemPath + "/EthernetInterfaces"),
		"Boot": resource{
			"BootSourceOverrideTarget": target, "BootSourceOverrideEnabled": enabled, "BootSourceOverrideMode": mode,
			"BootSourceOverrideTarget@Redfish.AllowableValues":  []string{"None", "Pxe", "Hdd"},
			"BootSourceOverrideEnabled@Redfish.AllowableValues": []string{"Disabled", "Once", "Continuous"},
			"BootSourceOverrideMode@Redfish.AllowableValues":    []string{"Legacy", "UEFI"},
		},
		"Links": resource{"ManagedBy": []resource{link(managerPath)}, "Chassis": []resource{link(chassisPath)}},
		"Actions": resource{"#ComputerSystem.Reset": resource{
			"target": systemPath + "/Actions/ComputerSystem.Reset", "ResetType@Redfish.AllowableValues": resetTypes(),
		}},
	}, nil
}

func notInList(property, value string) error {
	return failf(http.StatusBadRequest, "PropertyValueNotInList",
		"The value '%s' for the property %s is not in the list of acceptable values.", value, property)
}
