package main

import (
	"context"
	"sync"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const (
	gatherTime = 10 * time.Millisecond // how long the first of several reads waits for the others
	gatherMost = 200                   // ids in one call: 200 of them make a URL of 4 KiB
	aheadAfter = 2                     // calls by id before reading ahead
	aheadPage  = 500                   // objects read ahead in one call
	aheadKeeps = 5 * time.Minute       // how old an object may be that was read ahead: a plan is a snapshot anyway
)

// readers refresh the objects in a state, each kind with few calls.
type readers struct {
	pools        *reader[metal.Pool]
	fabrics      *reader[metal.Fabric]
	spaces       *reader[metal.Space]
	vlans        *reader[metal.VLAN]
	subnets      *reader[metal.Subnet]
	ranges       *reader[metal.IPRange]
	reservations *reader[metal.Reservation]
	routes       *reader[metal.StaticRoute]
	devices      *reader[metal.Device]
	zones        *reader[metal.Zone]
	records      *reader[metal.RecordSet]
	dnsKeys      *reader[metal.DNSKey]
	images       *reader[metal.Image]
	bootProfiles *reader[metal.BootProfile]
	sshKeys      *reader[metal.SSHKey]
	machines     *reader[metal.Machine]
	allocations  *reader[metal.Allocation]
	deployments  *reader[metal.Deployment]
}

func newReaders(c *client.Client) readers {
	named := func(page api.Page, names []string) api.ListByNamesRequest {
		return api.ListByNamesRequest{Page: page, Names: names}
	}
	byID := func(page api.Page, ids []string) api.ListByIDsRequest {
		return api.ListByIDsRequest{Page: page, IDs: ids}
	}
	byKey := func(page api.Page, keys []string) api.ListRecordSetsRequest {
		return api.ListRecordSetsRequest{Page: page, Keys: keys}
	}
	machines := func(page api.Page, ids []string) api.ListMachinesRequest {
		return api.ListMachinesRequest{Page: page, IDs: ids}
	}
	return readers{
		pools:        newReader(c.ListPools, named, func(p metal.Pool) string { return p.Name }),
		fabrics:      newReader(c.ListFabrics, named, func(f metal.Fabric) string { return f.Name }),
		spaces:       newReader(c.ListSpaces, named, func(s metal.Space) string { return s.Name }),
		vlans:        newReader(c.ListVLANs, named, func(v metal.VLAN) string { return v.Name }),
		subnets:      newReader(c.ListSubnets, named, func(s metal.Subnet) string { return s.Name }),
		ranges:       newReader(c.ListRanges, named, func(r metal.IPRange) string { return r.Name }),
		reservations: newReader(c.ListReservations, named, func(r metal.Reservation) string { return r.Name }),
		routes:       newReader(c.ListStaticRoutes, named, func(r metal.StaticRoute) string { return r.Name }),
		devices:      newReader(c.ListDevices, named, func(d metal.Device) string { return d.Name }),
		zones:        newReader(c.ListZones, named, func(z metal.Zone) string { return z.Name }),
		records:      newReader(c.ListRecordSets, byKey, recordKey),
		dnsKeys:      newReader(c.ListDNSKeys, named, func(k metal.DNSKey) string { return k.Name }),
		images:       newReader(c.ListImages, named, func(i metal.Image) string { return i.Name }),
		bootProfiles: newReader(c.ListBootProfiles, named, func(p metal.BootProfile) string { return p.Name }),
		sshKeys:      newReader(c.ListSSHKeys, named, func(k metal.SSHKey) string { return k.Name }),
		machines:     newReader(c.ListMachines, machines, func(m metal.Machine) string { return m.ID }),
		allocations:  newReader(c.ListAllocations, byID, func(a metal.Allocation) string { return a.ID }),
		deployments:  newReader(c.ListDeployments, byID, func(d metal.Deployment) string { return d.ID }),
	}
}

// A reader reads objects of one kind for a refresh. Terraform refreshes ten objects at a time, so that gathering
// alone would leave a hundred calls for a thousand objects. A state that goes on asking is therefore read ahead: each
// further call by id is followed by one page of the list. That costs a small state nothing, and a large one one more
// call for each of its first pages.
//
// Only refreshes go through a reader. What an apply reads comes from the server at that moment.
type reader[T any] struct {
	batch *client.Batcher[T]
	list  func(ctx context.Context, page api.Page, ids []string) (api.List[T], error)
	id    func(T) string

	// turn is held by the one fetch under way. The others wait for it: the page that it reads ahead may spare them
	// theirs, so that the number of calls does not depend on how the reads fall in time.
	turn chan struct{}

	mu    sync.Mutex
	calls int
	after string // where the next page begins
	end   bool   // there is no next page
	ahead map[string]aged[T]
}

type aged[T any] struct {
	object T
	read   time.Time
}

func newReader[In, T any](
	list func(context.Context, In) (api.List[T], error), request func(api.Page, []string) In, id func(T) string,
) *reader[T] {
	r := &reader[T]{id: id, turn: make(chan struct{}, 1), ahead: map[string]aged[T]{}}
	r.list = func(ctx context.Context, page api.Page, ids []string) (api.List[T], error) {
		return list(ctx, request(page, ids))
	}
	r.batch = client.NewBatcher(r.fetch, gatherTime, gatherMost)
	return r
}

// get returns the object with the id, or a NotFound error. An object that the page before did not show is asked for
// by its id: absence from a page proves nothing.
func (r *reader[T]) get(ctx context.Context, id string) (T, error) {
	if object, ok := r.known(id, time.Now()); ok {
		return object, nil
	}
	return r.batch.Get(ctx, id)
}

func (r *reader[T]) known(id string, now time.Time) (T, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found, ok := r.ahead[id]
	return found.object, ok && now.Sub(found.read) < aheadKeeps
}

func (r *reader[T]) fetch(ctx context.Context, ids []string) (map[string]T, error) {
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	found := make(map[string]T, len(ids))
	var missing []string
	for _, id := range ids {
		if object, ok := r.known(id, time.Now()); ok {
			found[id] = object
		} else {
			missing = append(missing, id)
		}
	}
	if len(missing) == 0 {
		return found, nil
	}
	got, err := r.list(ctx, api.Page{Limit: len(missing)}, missing)
	if err != nil {
		return nil, err
	}
	for _, object := range got.Items {
		found[r.id(object)] = object
	}
	if after, due := r.due(); due {
		r.readAhead(ctx, after)
	}
	return found, nil
}

// due says whether to read a page ahead now, and behind which id. It counts the call that was just made.
func (r *reader[T]) due() (after string, due bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	return r.after, r.calls > aheadAfter && !r.end
}

// readAhead reads one page. A failure costs nothing but the page: the next object is asked for by its id.
func (r *reader[T]) readAhead(ctx context.Context, after string) {
	read := time.Now()
	got, err := r.list(ctx, api.Page{After: after, Limit: aheadPage}, nil)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.end = true
		return
	}
	for _, object := range got.Items {
		r.ahead[r.id(object)] = aged[T]{object, read}
	}
	r.after, r.end = got.Next, got.Next == ""
}
