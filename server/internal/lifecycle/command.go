package lifecycle

import (
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"strings"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// newID makes an identity: the prefix, a dash, and 12 characters of 60 random bits.
func newID(prefix string) string {
	var raw [8]byte
	rand.Read(raw[:]) // never fails (crypto/rand since Go 1.24)
	return prefix + "-" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(raw[:]))[:12]
}

// NewID makes an identity for a thing of another package: "m" for machines, "a" for claims, "d" for deployments.
func NewID(prefix string) string { return newID(prefix) }

// Order is what a command adds to its operation.
type Order struct {
	Key        string      // the caller's idempotency key, or empty
	Erase      metal.Erase // release and undeploy
	PowerOff   bool        // release: leave no agent waiting in RAM afterwards
	Claim      string      // release: name of the allocation that ends, for the erase certificate
	Deployment string      // deploy: its id
	Action     string      // power: on, off, cycle
}

// Start begins an operation on a machine in the caller's transaction. A repeat with the same key returns the
// operation that the first call began. It fails with metal.Conflict when the machine is locked, has an open
// operation that the command does not override, or is in no state for the command.
func (e *Engine) Start(tx *store.Tx, m *metal.Machine, cmd metal.Command, o Order) (*metal.Operation, error) {
	kind := metal.OperationKind(cmd)
	if before, err := tx.OperationByKey(m.ID, kind, o.Key); err != nil || before != nil {
		return before, err
	}
	if err := unlocked(m, cmd); err != nil {
		return nil, err
	}
	over, err := overridden(tx, m, cmd)
	if err != nil {
		return nil, err
	}
	next, err := metal.Next(m.State, cmd)
	if err != nil {
		return nil, err
	}
	if over != nil {
		if err := e.abort(tx, m, over); err != nil {
			return nil, err
		}
	}
	if _, working := metal.Working(m.State); !working {
		m.Prior = m.State
	}
	m.State = next
	return e.open(tx, m, kind, o, e.limits.of(next))
}

// StartPower begins a power operation, which leaves the machine's state as it is.
func (e *Engine) StartPower(tx *store.Tx, m *metal.Machine, action, key string) (*metal.Operation, error) {
	if before, err := tx.OperationByKey(m.ID, metal.OpPower, key); err != nil || before != nil {
		return before, err
	}
	if err := unlocked(m, "switch"); err != nil {
		return nil, err
	}
	if _, err := overridden(tx, m, "switch"); err != nil {
		return nil, err
	}
	return e.open(tx, m, metal.OpPower, Order{Key: key, Action: action}, 5*time.Minute)
}

// StartImport begins the import of an image.
func (e *Engine) StartImport(tx *store.Tx, image string) (*metal.Operation, error) {
	op := &metal.Operation{ID: newID("o"), Kind: metal.OpImport, Image: image, Deadline: tx.Now.Add(2 * time.Hour)}
	return op, tx.InsertOperation(op, &work{})
}

func unlocked(m *metal.Machine, cmd metal.Command) error {
	if m.Locked {
		return metal.Errorf(metal.Conflict, "cannot %s machine %s: it is locked; unlock it first", cmd, m.Spec.Name)
	}
	return nil
}

// overridden returns the open operation that the tables let the command end, nil where nothing works on the machine,
// and otherwise metal.Conflict with the operation.
func overridden(tx *store.Tx, m *metal.Machine, cmd metal.Command) (*metal.Operation, error) {
	op, err := tx.OpenOperation(m.ID)
	if err != nil || op == nil {
		return nil, err
	}
	if m.State == metal.Deploying && (cmd == metal.Release || cmd == metal.Undeploy) {
		return op, nil
	}
	return nil, &metal.Error{Code: metal.Conflict, Operation: op.ID, Message: fmt.Sprintf("cannot %s machine %s: operation %s (%s) works on it; wait for it, or abort it", cmd, m.Spec.Name, op.ID, op.Kind)}
}

func (e *Engine) open(tx *store.Tx, m *metal.Machine, kind metal.OperationKind, o Order, limit time.Duration) (*metal.Operation, error) {
	op := &metal.Operation{ID: newID("o"), Kind: kind, MachineID: m.ID, Key: o.Key, Deadline: tx.Now.Add(limit)}
	if err := tx.InsertOperation(op, &work{Erase: o.Erase, PowerOff: o.PowerOff, Claim: o.Claim, Deployment: o.Deployment, Action: o.Action}); err != nil {
		return nil, err
	}
	m.Settled, m.OperationID = false, op.ID
	if kind != metal.OpPower {
		m.Failure = nil
	}
	if err := tx.SaveMachine(m); err != nil {
		return nil, err
	}
	return op, tx.AddEvent("machine", m.ID, fmt.Sprintf("%s is %s (%s)", m.Spec.Name, m.State, kind))
}

// Abort ends the open operation of a machine, which goes to the state that the table has for that; metal.Conflict
// when there is none. Whatever works on the machine sees it before its next write.
func (e *Engine) Abort(tx *store.Tx, m *metal.Machine) error {
	op, err := tx.OpenOperation(m.ID)
	if err != nil {
		return err
	}
	if op == nil {
		return metal.Errorf(metal.Conflict, "nothing works on machine %s: there is nothing to abort", m.Spec.Name)
	}
	return e.abort(tx, m, op)
}

func (e *Engine) abort(tx *store.Tx, m *metal.Machine, op *metal.Operation) error {
	w := new(work)
	op, err := tx.Operation(op.ID, w)
	if err != nil {
		return err
	}
	v := view{op: op, w: w, m: m}
	if err := e.end(tx, v, metal.OpAborted, nil); err != nil {
		return err
	}
	return tx.SaveOperation(op, w)
}

// Mark makes one of the changes that need no work.
func (e *Engine) Mark(tx *store.Tx, m *metal.Machine, cmd metal.Command, reason string) error {
	if err := unlocked(m, cmd); err != nil {
		return err
	}
	if _, err := overridden(tx, m, cmd); err != nil {
		return err
	}
	next, err := metal.Next(m.State, cmd)
	if err != nil {
		return err
	}
	m.State, m.Failure = next, nil
	if reason != "" && next == metal.Broken {
		m.Failure = &metal.Failure{Step: "marked", Message: reason}
	}
	if err := tx.SaveMachine(m); err != nil {
		return err
	}
	return tx.AddEvent("machine", m.ID, fmt.Sprintf("%s is %s", m.Spec.Name, m.State))
}
