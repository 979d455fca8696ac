package lifecycle

import (
	"context"
	"crypto/subtle"
	"strings"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// FirstBoot is what an installed system tells of its first boot, beside that it is up.
type FirstBoot struct {
	Over        bool // cloud-init has ended; otherwise the system only says that it will tell of it
	Errors, Log []string
}

// telling is how long a system that called back may take to tell how cloud-init ended: it calls back in cloud-init's
// last stage, and may be told to restart in the same one.
const telling = 20 * time.Second

// installed reads the open deploy operation that a system calls back to; nil when it has ended. A wrong token is
// metal.Unauthorized.
func installed(tx *store.Tx, operation, token string) (*metal.Operation, *work, error) {
	w := new(work)
	op, err := tx.Operation(operation, w)
	if err != nil {
		return nil, nil, err
	}
	if w.Phone == "" || subtle.ConstantTimeCompare([]byte(w.Phone), []byte(token)) != 1 {
		return nil, nil, metal.Errorf(metal.Unauthorized, "the phone-home token is not valid")
	}
	if op.Ended() {
		return nil, nil, nil
	}
	return op, w, nil
}

// FirstBoot notes how the first boot of a system went that an operation installed. What went wrong makes the operation
// no failure, since the system is up: it is its warning. A wrong token is metal.Unauthorized; a call after the
// operation ended changes nothing.
func (e *Engine) FirstBoot(ctx context.Context, operation, token string, r FirstBoot) error {
	return e.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		op, w, err := installed(tx, operation, token)
		if err != nil || op == nil || w.Told {
			return err
		}
		w.Tells = true
		if r.Over {
			w.Told = true
			if len(r.Errors) > 0 {
				text := "cloud-init ended with errors on the installed system: " + strings.Join(r.Errors, "; ")
				op.Warnings = append(op.Warnings, strings.Join(append([]string{text}, r.Log...), "\n"))
				if err := note(tx, op, append([]string{text}, r.Log...)...); err != nil {
					return err
				}
			}
		}
		return tx.SaveOperation(op, w)
	})
}

// wait is how long the report of an installed system may still take; zero or less: it is over. done says that all was
// told.
func (w *work) wait(now time.Time, limit time.Duration) (left time.Duration, done bool) {
	if !w.Reported {
		return w.StepBegun.Add(limit).Sub(now), false
	}
	left = w.ReportedAt.Add(telling).Sub(now)
	return left, !w.Tells || w.Told || left <= 0
}
