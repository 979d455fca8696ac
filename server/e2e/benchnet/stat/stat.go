// Package stat has the statistics of the measurements, and the search for the highest rate that something sustains.
package stat

import (
	"context"
	"math"
	"slices"
	"time"
)

// Median of at least one value; of an even number, the mean of the middle two.
func Median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// Percentile returns the smallest of the times that at least p percent of them do not exceed (nearest rank). Of no
// times it is 0.
func Percentile(times []time.Duration, p float64) time.Duration {
	if len(times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(times))
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// A Verdict is what came of a try.
type Verdict int

// Verdicts of a try.
const (
	Holds    Verdict = iota
	Fails            // by so little that a disturbance of the computer may be to blame
	Hopeless         // by so much that a higher rate need not be tried
)

const (
	stride  = 1.4 // of the steps
	enough  = 2   // hopeless tries in a row
	halving = 3   // how often the last stride is halved: the result is within 4.3 % then
	least   = 1.0 // a second: what cannot do that does nothing
)

// Highest finds the highest rate that holds. It steps up from start until that is hopeless; a rate that only fails does
// not end it, so that a disturbance of the computer costs one step and not the result. Where none holds it steps down
// from start. Then it halves what is between the best rate and the next step. It returns 0 when no rate holds.
func Highest(ctx context.Context, start float64, try func(rate float64) (Verdict, error)) (float64, error) {
	best, hopeless := 0.0, 0
	attempt := func(rate float64) (Verdict, error) {
		if err := ctx.Err(); err != nil {
			return Hopeless, err
		}
		v, err := try(rate)
		if err == nil && v == Holds {
			best = max(best, rate)
		}
		return v, err
	}
	for rate := start; hopeless < enough; rate *= stride {
		v, err := attempt(rate)
		if err != nil {
			return 0, err
		}
		hopeless++
		if v != Hopeless {
			hopeless = 0
		}
	}
	for rate := start / stride; best == 0; rate /= stride {
		if rate < least {
			return 0, nil
		}
		if _, err := attempt(rate); err != nil {
			return 0, err
		}
	}
	for low, high, i := best, best*stride, 0; i < halving; i++ {
		middle := math.Sqrt(low * high)
		v, err := attempt(middle)
		if err != nil {
			return 0, err
		}
		if v == Holds {
			low = middle
		} else {
			high = middle
		}
	}
	return best, nil
}
