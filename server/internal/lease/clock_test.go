package lease

import (
	"testing"
	"time"
)

func TestTimeNeverGoesBack(t *testing.T) {
	var c clock
	for _, step := range []struct {
		name string
		wall time.Duration // what the wall clock shows after start
		want time.Duration
	}{
		{"the first", 0, 0},
		{"a second later", time.Second, time.Second},
		{"set back an hour", -time.Hour, time.Second},
		{"a while later", -time.Hour + time.Minute, time.Second},
		{"caught up", 2 * time.Second, 2 * time.Second},
		{"set ahead", time.Hour, time.Hour},
	} {
		if got := c.at(start.Add(step.wall)).Sub(start); got != step.want {
			t.Errorf("%s: got %s after the start; want %s", step.name, got, step.want)
		}
	}
}

// TestTimeGoesOnWhereTheWallClockWasSetBack shows times with monotonic readings. Set back is what clock has seen: the
// wall clock cannot be.
func TestTimeGoesOnWhereTheWallClockWasSetBack(t *testing.T) {
	now := time.Now()
	c := clock{seen: now, now: now.Add(time.Hour).Round(0).UTC()} // an hour ahead before it was set back
	if got, want := c.at(now.Add(time.Minute)), c.seen.Add(time.Hour).Round(0).UTC(); !got.Equal(want) {
		t.Errorf("got %s a minute later; want %s", got, want)
	}
	if got, want := c.at(now), now.Add(time.Hour+time.Minute).UTC(); !got.Equal(want.Round(0)) {
		t.Errorf("shown an earlier time: got %s; want %s still", got, want)
	}
}
