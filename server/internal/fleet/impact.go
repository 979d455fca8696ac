package fleet

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// fields are those of a deployment that end up on the machine, by the name they have in redeploy_on.
func fields(s metal.DeploymentSpec) map[string]string {
	keys := slices.Clone(s.SSHKeys)
	sort.Strings(keys)
	return map[string]string{
		"image":             s.Image,
		"hostname":          s.Hostname,
		"ssh_keys":          strings.Join(keys, "\n"),
		"user_data":         s.UserDataSHA256,
		"network":           networkField(s.Network),
		"kernel_parameters": s.KernelParameters,
		"disk":              s.Disk,
		"storage":           storageField(s.Storage),
		"boot":              s.Boot,
		"trigger":           s.Trigger,
	}
}

// changes lists the fields that differ, sorted.
func changes(from, to metal.DeploymentSpec) []string {
	a, b := fields(from), fields(to)
	list := []string{}
	for name := range a {
		if a[name] != b[name] {
			list = append(list, name)
		}
	}
	sort.Strings(list)
	return list
}

// sameKnobs compares what steers redeployment and ends up on no machine.
func sameKnobs(a, b metal.DeploymentSpec) bool {
	return a.Protected == b.Protected && slices.Equal(a.RedeployOn, b.RedeployOn)
}

// decide says what a spec does to the machine of a deployment. A deployment that failed is always tried again; one
// that is under way with the same spec is left alone, so that a create can be repeated.
func decide(m *metal.Machine, d *metal.Deployment, spec metal.DeploymentSpec) metal.Impact {
	impact := metal.Impact{Action: "none", Changes: []string{}}
	base := d.Applied
	if m.State == metal.Deploying {
		base = &d.Spec
	}
	if base != nil {
		impact.Changes = changes(*base, spec)
	}
	redeploy := m.State == metal.FailedDeployment || m.State == metal.Allocated
	for _, c := range impact.Changes {
		if slices.Contains(spec.RedeployOn, c) {
			redeploy = true
		}
	}
	switch {
	case redeploy:
		impact.Action = "deploy"
	case len(changes(d.Spec, spec)) > 0 || !sameKnobs(d.Spec, spec):
		impact.Action = "store"
	}
	if !redeploy {
		return impact
	}
	switch {
	case m.Locked:
		impact.Problem = "it is locked; unlock it first"
	case spec.Protected && m.State == metal.Deployed:
		impact.Problem = fmt.Sprintf("redeploy_protection is on, and %s changed", strings.Join(impact.Changes, ", "))
	case !m.Settled:
		impact.Problem = fmt.Sprintf("operation %s works on it; wait for it, or abort it", m.OperationID)
	default:
		if _, err := metal.Next(m.State, metal.Deploy); err != nil {
			impact.Problem = err.Error()
		}
	}
	return impact
}
