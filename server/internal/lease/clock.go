package lease

import "time"

// clock is time that never goes back. Leases are kept by wall-clock time, which is what survives a restart; but a wall
// clock that was set back would make leases last longer than their clients believe, or end a second time. Then this
// clock goes on by the monotonic one, as far as the times it is shown have that.
type clock struct {
	seen time.Time // the latest that was shown, with its monotonic reading
	now  time.Time // wall-clock time that it came to
}

// at returns the time now is, which is at least what was returned before.
func (c *clock) at(now time.Time) time.Time {
	if step := now.Sub(c.seen); step > 0 {
		if !c.now.IsZero() {
			c.now = c.now.Add(step)
		}
		c.seen = now
	}
	if wall := now.Round(0).UTC(); wall.After(c.now) {
		c.now = wall
	}
	return c.now
}
