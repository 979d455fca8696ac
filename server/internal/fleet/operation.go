package fleet

import (
	"context"
	"strconv"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// ListOperations lists operations, newest first.
func (f *Fleet) ListOperations(ctx context.Context, in api.ListOperationsRequest) (l api.List[metal.Operation], err error) {
	err = f.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		machine := in.Machine
		if machine != "" {
			m, err := tx.FindMachine(machine)
			if err != nil {
				return err
			}
			machine = m.ID
		}
		list, err := tx.Operations(store.OperationFilter{IDs: in.IDs, Machine: machine, Status: in.Status, After: in.After, Limit: limitOf(in.Page)})
		l = page(list, limitOf(in.Page)-1, func(o metal.Operation) string { return o.ID })
		return err
	})
	return l, err
}

// GetOperation reads an operation; with wait it answers when the operation changed or ended.
func (f *Fleet) GetOperation(ctx context.Context, in api.GetOperationRequest) (out metal.Operation, err error) {
	err = f.poll(ctx, in.Wait, func(tx *store.Tx) (bool, error) {
		o, err := tx.Operation(in.ID, nil)
		if err != nil {
			return false, err
		}
		out = *o
		return o.Ended() || (in.Seen != "" && in.Seen != strconv.FormatInt(o.ChangedAt.UnixNano(), 10)), nil
	})
	return out, err
}

// GetOperationLog reads an operation's log; with wait it answers when there is a line.
func (f *Fleet) GetOperationLog(ctx context.Context, in api.GetLogRequest) (out api.Log, err error) {
	const most = 1000
	err = f.poll(ctx, in.Wait, func(tx *store.Tx) (bool, error) {
		o, err := tx.Operation(in.ID, nil)
		if err != nil {
			return false, err
		}
		lines, err := tx.Log(o.ID, in.After, most)
		out.Lines = make([]api.LogLine, 0, len(lines))
		for _, l := range lines {
			out.Lines = append(out.Lines, api.LogLine(l))
		}
		out.Ended = o.Ended() && len(lines) < most
		return len(lines) > 0 || o.Ended(), err
	})
	return out, err
}

// ListEvents reads what changed; with wait it answers when something did.
func (f *Fleet) ListEvents(ctx context.Context, in api.ListEventsRequest) (l api.List[metal.Event], err error) {
	limit := in.Limit
	if limit <= 0 {
		limit = 500
	}
	err = f.poll(ctx, in.Wait, func(tx *store.Tx) (bool, error) {
		list, err := tx.Events(in.After, limit)
		l.Items = list
		if len(list) > 0 {
			l.Next = strconv.FormatInt(list[len(list)-1].Seq, 10)
		}
		return len(list) > 0, err
	})
	return l, err
}
