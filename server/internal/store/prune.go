package store

import "time"

// Prune forgets history: events from before t and all but the newest so many, the logs of operations that ended
// before t, leases, boot tokens and sessions of forgotten machines that ended before expired. What operations came to is kept with their machine.
func (tx *Tx) Prune(t time.Time, events int64, expired time.Time) error {
	_, err := tx.exec("old events", "DELETE FROM event WHERE at < $1 OR seq <= (SELECT coalesce(max(seq), 0) FROM event) - $2", t.UnixNano(), events)
	if err != nil {
		return err
	}
	_, err = tx.exec("old logs", `DELETE FROM operation_log WHERE at < $1
		AND operation_id IN (SELECT id FROM operation WHERE status <> 'open' AND started_at < $1)`, t.UnixNano())
	if err != nil {
		return err
	}
	_, err = tx.exec("sessions of forgotten machines", "DELETE FROM boot_session WHERE seen_at < $1 AND machine_id NOT IN (SELECT id FROM machine)", expired.UnixNano())
	if err != nil {
		return err
	}
	if _, err := tx.exec("old boot tokens", "DELETE FROM boot_token WHERE used_at < $1", expired.UnixNano()); err != nil {
		return err
	}
	return tx.ExpireLeases(expired)
}
