package main

import (
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func (f *fake) serveClaims() {
	on(f, api.ListAllocations, listOf(func(r *http.Request) api.List[*metal.Allocation] {
		return page(r, "ids", f.allocations, every)
	}))
	on(f, api.GetAllocation, func(r *http.Request) (metal.Allocation, error) {
		a := f.allocation(r.PathValue("id"))
		if a == nil {
			return metal.Allocation{}, notFound("allocation", r.PathValue("id"))
		}
		return *a, nil
	})
	on(f, api.PutAllocation, f.putAllocation)
	on(f, api.PreviewAllocation, f.preview)
	on(f, api.DeleteAllocation, func(r *http.Request) (metal.Operation, error) {
		a := f.allocation(r.PathValue("id"))
		if a == nil {
			return metal.Operation{}, notFound("allocation", r.PathValue("id"))
		}
		return f.release(a), nil
	})
	on(f, api.ListDeployments, listOf(func(r *http.Request) api.List[*metal.Deployment] {
		for _, d := range f.deployments {
			f.decorate(d)
		}
		return page(r, "ids", f.deployments, every)
	}))
	on(f, api.GetDeployment, f.deploymentBy(func(*http.Request, *metal.Deployment) error { return nil }))
	on(f, api.CreateDeployment, f.createDeployment)
	on(f, api.UpdateDeployment, f.deploymentBy(func(r *http.Request, d *metal.Deployment) error {
		body, err := bodyOf[api.DeploymentBody](r)
		if err != nil {
			return err
		}
		return f.redeploy(d, body)
	}))
	on(f, api.PlanDeployment, func(r *http.Request) (impact metal.Impact, err error) {
		body, err := bodyOf[api.DeploymentBody](r)
		if err != nil {
			return impact, err
		}
		d := f.deployments[r.PathValue("id")]
		return f.impact(d, complete(body, d.Spec.UserDataSHA256)), nil
	})
	on(f, api.DeleteDeployment, func(r *http.Request) (op metal.Operation, err error) {
		_, err = f.deploymentBy(func(_ *http.Request, d *metal.Deployment) error {
			m := f.machines[d.MachineID]
			op = f.work(m, metal.OpUndeploy, "", metal.Undeploy, func() {})
			delete(f.deployments, d.ID)
			m.DeploymentID = ""
			return nil
		})(r)
		return op, err
	})
}

// listOf turns a list of pointers into a list of values.
func listOf[T any](get func(*http.Request) api.List[*T]) func(*http.Request) (api.List[T], error) {
	return func(r *http.Request) (api.List[T], error) {
		got := get(r)
		out := api.List[T]{Items: []T{}, Next: got.Next}
		for _, item := range got.Items {
			out.Items = append(out.Items, *item)
		}
		return out, nil
	}
}

func (f *fake) allocation(id string) *metal.Allocation {
	for _, a := range f.allocations {
		if a.ID == id || a.Name == id {
			return a
		}
	}
	return nil
}

// misfit says why a machine does not meet a claim.
func (f *fake) misfit(m *metal.Machine, spec metal.AllocationSpec) (why []string) {
	if m.Spec.Pool != spec.Pool {
		why = append(why, "it is in pool "+m.Spec.Pool)
	}
	if m.Hardware.CPUs < spec.Constraints.MinCPUs {
		why = append(why, "it has too few CPUs")
	}
	if c := spec.Constraints.Machine; c != "" && c != m.ID && c != m.Spec.Name {
		why = append(why, "it is not "+c)
	}
	for _, tag := range spec.Constraints.Tags {
		if !slices.Contains(m.Spec.Tags, tag) {
			why = append(why, "it has no tag "+tag)
		}
	}
	return why
}

func (f *fake) preview(r *http.Request) (api.AllocationPreview, error) {
	spec, err := bodyOf[metal.AllocationSpec](r)
	out := api.AllocationPreview{Others: []metal.Match{}}
	if err != nil {
		return out, err
	}
	if name := r.URL.Query().Get("name"); name != "" {
		a := f.allocation(name)
		out.Machine = &metal.Match{MachineID: a.MachineID, Machine: a.Machine, Reasons: f.misfit(f.machines[a.MachineID], spec)}
		return out, nil
	}
	for _, id := range sortedKeys(f.machines) {
		m := f.machines[id]
		match := metal.Match{MachineID: m.ID, Machine: m.Spec.Name, Reasons: f.misfit(m, spec)}
		if m.State != metal.Ready {
			match.Reasons = append(match.Reasons, "it is "+string(m.State))
		}
		if len(match.Reasons) == 0 && out.Machine == nil {
			out.Machine = &match
			continue
		}
		out.Others = append(out.Others, match)
	}
	return out, nil
}

func (f *fake) putAllocation(r *http.Request) (metal.Allocation, error) {
	spec, err := bodyOf[metal.AllocationSpec](r)
	if err != nil {
		return metal.Allocation{}, err
	}
	name := r.PathValue("name")
	if a := f.allocation(name); a != nil {
		if why := f.misfit(f.machines[a.MachineID], spec); len(why) > 0 {
			return *a, metal.Errorf(metal.Conflict, "allocation %s holds a machine that does not meet the new constraints", name)
		}
		a.Spec = spec
		return *a, nil
	}
	for _, id := range sortedKeys(f.machines) {
		m := f.machines[id]
		if m.State == metal.Ready && len(f.misfit(m, spec)) == 0 {
			a := &metal.Allocation{ID: f.id("a"), Name: name, Spec: spec, MachineID: m.ID, Machine: m.Spec.Name, Addresses: []string{m.Address}, FQDN: m.FQDN}
			f.allocations[a.ID], m.AllocationID, m.State = a, a.ID, metal.Allocated
			return *a, nil
		}
	}
	return metal.Allocation{}, metal.Errorf(metal.Exhausted, "cannot claim a machine for allocation %s: none is free and matches", name)
}

// release ends a claim, as DeleteAllocation does and as a person may behind Terraform's back.
func (f *fake) release(a *metal.Allocation) metal.Operation {
	m := f.machines[a.MachineID]
	delete(f.deployments, m.DeploymentID)
	delete(f.allocations, a.ID)
	m.AllocationID, m.DeploymentID = "", ""
	return f.work(m, metal.OpRelease, "", metal.Release, func() {})
}

func (f *fake) decorate(d *metal.Deployment) {
	m := f.machines[d.MachineID]
	d.State, d.Settled, d.Failure, d.OperationID, d.FQDN = m.State, m.Settled, m.Failure, m.OperationID, m.FQDN
	d.Addresses, d.PendingChanges = []string{m.Address}, []string{}
	if d.Applied != nil {
		d.PendingChanges = changesOf(*d.Applied, d.Spec)
	}
}

func (f *fake) deploymentBy(do func(*http.Request, *metal.Deployment) error) func(*http.Request) (metal.Deployment, error) {
	return func(r *http.Request) (metal.Deployment, error) {
		d := f.deployments[r.PathValue("id")]
		if d == nil {
			return metal.Deployment{}, notFound("deployment", r.PathValue("id"))
		}
		err := do(r, d)
		f.decorate(d)
		return *d, err
	}
}

func (f *fake) createDeployment(r *http.Request) (metal.Deployment, error) {
	body, err := bodyOf[api.CreateDeploymentBody](r)
	if err != nil {
		return metal.Deployment{}, err
	}
	m := f.machines[body.MachineID]
	if m == nil || m.AllocationID == "" {
		return metal.Deployment{}, metal.Errorf(metal.Conflict, "cannot deploy to machine %s: claim it first", body.MachineID)
	}
	d := f.deployments[m.DeploymentID]
	if d == nil {
		d = &metal.Deployment{ID: f.id("d"), MachineID: m.ID}
		f.deployments[d.ID], m.DeploymentID = d, d.ID
	}
	err = f.redeploy(d, body.DeploymentBody)
	f.decorate(d)
	return *d, err
}

func complete(body api.DeploymentBody, stored string) metal.DeploymentSpec {
	spec := body.DeploymentSpec
	spec.UserDataSHA256 = stored
	if body.UserData != nil {
		spec.UserDataSHA256 = digestOf(*body.UserData)
	}
	return spec
}

func fieldsOf(s metal.DeploymentSpec) map[string]any {
	return map[string]any{
		"image": s.Image, "hostname": s.Hostname, "ssh_keys": s.SSHKeys, "user_data": s.UserDataSHA256, "network": s.Network,
		"kernel_parameters": s.KernelParameters, "disk": s.Disk, "boot": s.Boot, "trigger": s.Trigger,
	}
}

func changesOf(from, to metal.DeploymentSpec) []string {
	was, now := fieldsOf(from), fieldsOf(to)
	maps.DeleteFunc(now, func(name string, value any) bool { return sameSpec(was[name], value) })
	return sortedKeys(now)
}

func (f *fake) impact(d *metal.Deployment, spec metal.DeploymentSpec) metal.Impact {
	m := f.machines[d.MachineID]
	out := metal.Impact{Action: "none", Changes: []string{}}
	base := d.Applied
	if m.State == metal.Deploying {
		base = &d.Spec
	}
	if base != nil {
		out.Changes = changesOf(*base, spec)
	}
	redeploy := m.State == metal.Allocated || m.State == metal.FailedDeployment ||
		slices.ContainsFunc(out.Changes, func(c string) bool { return slices.Contains(spec.RedeployOn, c) })
	switch {
	case redeploy:
		out.Action, out.Erases = "deploy", "the system disk of machine "+m.Spec.Name
		if spec.Protected && m.State == metal.Deployed {
			out.Problem = "redeploy_protection is on"
		}
	case !sameSpec(d.Spec, spec):
		out.Action = "store"
	}
	return out
}

func (f *fake) redeploy(d *metal.Deployment, body api.DeploymentBody) error {
	spec := complete(body, d.Spec.UserDataSHA256)
	impact := f.impact(d, spec)
	if impact.Problem != "" {
		return metal.Errorf(metal.Conflict, "cannot redeploy: %s", impact.Problem)
	}
	d.Spec = spec
	if body.UserData != nil {
		f.userData[d.ID] = *body.UserData
	}
	if impact.Action != "deploy" {
		return nil
	}
	d.Digest = f.images[spec.Image].Digest
	f.work(f.machines[d.MachineID], metal.OpDeploy, "", metal.Deploy, func() {
		applied := spec
		d.Applied, d.DeployedAt, d.SSHHostKeys = &applied, time.Unix(1_800_000_000, 0), []string{"ssh-ed25519 AAAA host"}
	})
	return nil
}
