package store

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// An OperationFilter selects operations: every field that is not zero must match. They come newest first; After is
// the id behind which to continue.
type OperationFilter struct {
	IDs     []string // nil: any
	Machine string
	Status  string
	After   string
	Limit   int
}

// InsertOperation adds an open operation with what its worker must remember. metal.Conflict when the machine or the
// image has an open one, or when the key was used before.
func (tx *Tx) InsertOperation(o *metal.Operation, work any) error {
	o.Status, o.StartedAt, o.ChangedAt = metal.OpOpen, tx.Now, tx.Now
	doc, err := encode(o)
	if err != nil {
		return err
	}
	text, err := encode(work)
	if err != nil {
		return err
	}
	_, err = tx.exec(string(o.Kind)+" operation", `INSERT INTO operation (id, kind, machine_id, image, status, key, job, started_at, doc, work)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		o.ID, string(o.Kind), nullable(o.MachineID), nullable(o.Image), string(o.Status), o.Key, o.Job, tx.Now.UnixNano(), doc, text)
	return err
}

func nullable(s string) sql.NullString { return sql.NullString{String: s, Valid: s != ""} }

// SaveOperation writes an operation and its work back, if its worker still holds the job: an overtaken worker gets
// metal.Conflict and must stop.
func (tx *Tx) SaveOperation(o *metal.Operation, work any) error {
	o.ChangedAt = tx.Now
	doc, err := encode(o)
	if err != nil {
		return err
	}
	text, err := encode(work)
	if err != nil {
		return err
	}
	n, err := tx.exec("operation "+o.ID, "UPDATE operation SET status = $2, doc = $3, work = $4 WHERE id = $1 AND job = $5 AND status = 'open'",
		o.ID, string(o.Status), doc, text, o.Job)
	if err == nil && n == 0 {
		return metal.Errorf(metal.Conflict, "operation %s is over, or another worker has it", o.ID)
	}
	return err
}

// ClaimOperation makes the caller the operation's worker, and every other one overtaken.
func (tx *Tx) ClaimOperation(o *metal.Operation) error {
	was := o.Job
	o.Job++
	doc, err := encode(o)
	if err != nil {
		return err
	}
	n, err := tx.exec("operation "+o.ID, "UPDATE operation SET job = $2, doc = $3 WHERE id = $1 AND job = $4 AND status = 'open'", o.ID, o.Job, doc, was)
	if err == nil && n == 0 {
		return metal.Errorf(metal.Conflict, "operation %s is over, or another worker has it", o.ID)
	}
	return err
}

// Operation reads one operation; metal.NotFound. With work not nil, what its worker remembers is read into it.
func (tx *Tx) Operation(id string, work any) (*metal.Operation, error) {
	var doc, text string
	if err := tx.one("operation "+id, "SELECT doc, work FROM operation WHERE id = $1", []any{id}, &doc, &text); err != nil {
		return nil, err
	}
	o := new(metal.Operation)
	if err := json.Unmarshal([]byte(doc), o); err != nil {
		return nil, fmt.Errorf("read operation %s: %w", id, err)
	}
	if work != nil {
		if err := json.Unmarshal([]byte(text), work); err != nil {
			return nil, fmt.Errorf("read the work of operation %s: %w", id, err)
		}
	}
	return o, nil
}

// OpenOperation reads the open operation of a machine; nil for none.
func (tx *Tx) OpenOperation(machineID string) (*metal.Operation, error) {
	return optional(document[metal.Operation](tx, "open operation", "SELECT doc FROM operation WHERE machine_id = $1 AND status = 'open'", machineID))
}

// OperationByKey reads the operation that a call with this key started; nil for none.
func (tx *Tx) OperationByKey(machineID string, kind metal.OperationKind, key string) (*metal.Operation, error) {
	if key == "" {
		return nil, nil
	}
	return optional(document[metal.Operation](tx, "operation", "SELECT doc FROM operation WHERE machine_id = $1 AND kind = $2 AND key = $3", machineID, string(kind), key))
}

// Operations lists operations, newest first.
func (tx *Tx) Operations(f OperationFilter) ([]metal.Operation, error) {
	where, args := []string{"1 = 1"}, []any{}
	add := func(condition string, value any) {
		args = append(args, value)
		where = append(where, fmt.Sprintf(condition, len(args)))
	}
	if f.Machine != "" {
		add("machine_id = $%d", f.Machine)
	}
	if f.Status != "" {
		add("status = $%d", f.Status)
	}
	if f.After != "" {
		add("(started_at, id) < (SELECT started_at, id FROM operation WHERE id = $%d)", f.After)
	}
	if f.IDs != nil {
		marks, ids := inList(len(args)+1, f.IDs)
		where, args = append(where, "id IN "+marks), append(args, ids...)
	}
	limit := f.Limit
	if limit <= 0 {
		limit = 500
	}
	args = append(args, limit)
	return documents[metal.Operation](tx, "list of operations", "SELECT doc FROM operation WHERE "+strings.Join(where, " AND ")+
		fmt.Sprintf(" ORDER BY started_at DESC, id DESC LIMIT $%d", len(args)), args...)
}

// OpenOperations returns the ids of all operations that are not over.
func (tx *Tx) OpenOperations() ([]string, error) {
	list, err := documents[metal.Operation](tx, "open operations", "SELECT doc FROM operation WHERE status = 'open' ORDER BY started_at, id")
	ids := make([]string, len(list))
	for i := range list {
		ids[i] = list[i].ID
	}
	return ids, err
}

// A LogLine is one line of an operation's log.
type LogLine struct {
	Number int64
	At     time.Time
	Text   string
}

// AppendLog adds lines to an operation's log.
func (tx *Tx) AppendLog(id string, lines ...string) error {
	for _, line := range lines {
		_, err := tx.exec("log of "+id, `INSERT INTO operation_log (operation_id, number, at, text)
			VALUES ($1, (SELECT coalesce(max(number), 0) + 1 FROM operation_log WHERE operation_id = $1), $2, $3)`, id, tx.Now.UnixNano(), line)
		if err != nil {
			return err
		}
	}
	return nil
}

// Log reads an operation's log behind a line number.
func (tx *Tx) Log(id string, after int64, limit int) ([]LogLine, error) {
	rows, err := tx.tx.QueryContext(tx.ctx, placeholders("SELECT number, at, text FROM operation_log WHERE operation_id = $1 AND number > $2 ORDER BY number LIMIT $3"), id, after, limit)
	if err != nil {
		return nil, translate("log of "+id, err)
	}
	defer rows.Close()
	list := []LogLine{}
	for rows.Next() {
		var l LogLine
		var at int64
		if err := rows.Scan(&l.Number, &at, &l.Text); err != nil {
			return nil, translate("log of "+id, err)
		}
		l.At = time.Unix(0, at).UTC()
		list = append(list, l)
	}
	return list, translate("log of "+id, rows.Err())
}
