package stat

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		name   string
		values []float64
		want   float64
	}{
		{"one value is its own median", []float64{7}, 7},
		{"the order of the runs does not matter", []float64{9, 1, 5}, 5},
		{"of an even number it is between the middle two", []float64{8, 2, 4, 100}, 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Median(c.values); got != c.want {
				t.Errorf("got %v; want %v", got, c.want)
			}
		})
	}
}

func TestPercentile(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(100 - i) // 100 down to 1
	}
	for _, c := range []struct {
		name  string
		times []time.Duration
		p     float64
		want  time.Duration
	}{
		{"of nothing it is nothing", nil, 99, 0},
		{"of one time it is that", []time.Duration{7}, 50, 7},
		{"half are not above the 50th", hundred, 50, 50},
		{"one in a hundred is above the 99th", hundred, 99, 99},
		{"the 100th is the longest", hundred, 100, 100},
		{"the 0th is the shortest", hundred, 0, 1},
		{"between two ranks the upper one counts", []time.Duration{10, 20, 30}, 34, 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Percentile(c.times, c.p); got != c.want {
				t.Errorf("got %d; want %d", got, c.want)
			}
		})
	}
}

// limited is a thing that holds up to a limit, and is beyond hope a fifth above it.
func limited(limit float64) func(rate float64) (Verdict, error) {
	return func(rate float64) (Verdict, error) {
		switch {
		case rate <= limit:
			return Holds, nil
		case rate <= 1.2*limit:
			return Fails, nil
		default:
			return Hopeless, nil
		}
	}
}

func TestHighestFindsTheLimitFromBothSides(t *testing.T) {
	for _, c := range []struct {
		name         string
		start, limit float64
	}{
		{"from far below", 10, 12345},
		{"from far above", 50000, 432},
		{"from the limit itself", 1000, 1000},
	} {
		t.Run(c.name, func(t *testing.T) {
			tries := 0
			got, err := Highest(t.Context(), c.start, func(rate float64) (Verdict, error) {
				tries++
				return limited(c.limit)(rate)
			})
			if err != nil {
				t.Fatal(err)
			}
			if got > c.limit || got < c.limit/1.043 {
				t.Errorf("got %.0f; want %.0f less 4.3 %% at most", got, c.limit)
			}
			if tries > 30 {
				t.Errorf("got %d tries; want few", tries)
			}
		})
	}
}

func TestHighestForgivesADisturbance(t *testing.T) {
	for _, c := range []struct {
		name     string
		disturbs func(try int) bool
		verdict  Verdict
	}{
		{"a try that is beyond hope", func(try int) bool { return try == 1 }, Hopeless},
		{"every other try on the way up", func(try int) bool { return try%2 == 1 && try < 5 }, Fails},
	} {
		t.Run(c.name, func(t *testing.T) {
			tries := 0
			got, err := Highest(t.Context(), 1000, func(rate float64) (Verdict, error) {
				tries++
				if c.disturbs(tries) {
					return c.verdict, nil
				}
				return limited(3000)(rate)
			})
			if err != nil {
				t.Fatal(err)
			}
			if got > 3000 || got < 3000/1.043 {
				t.Errorf("got %.0f; want about 3000", got)
			}
		})
	}
}

func TestHighestOfWhatNeverHoldsIsNothing(t *testing.T) {
	got, err := Highest(t.Context(), 100, func(float64) (Verdict, error) { return Hopeless, nil })
	if got != 0 || err != nil {
		t.Errorf("got %v, %v; want 0 and no error", got, err)
	}
}

func TestHighestStops(t *testing.T) {
	fault := errors.New("broken")
	for name, verdict := range map[string]Verdict{"on the way up": Holds, "on the way down": Hopeless} {
		tries := 0
		_, err := Highest(t.Context(), 100, func(float64) (Verdict, error) {
			if tries++; tries > 3 {
				return Hopeless, fault
			}
			return verdict, nil
		})
		if !errors.Is(err, fault) {
			t.Errorf("%s: got %v; want the fault of the try", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Highest(ctx, 100, func(float64) (Verdict, error) {
		cancel()
		return Holds, nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v; want that of the context", err)
	}
}
