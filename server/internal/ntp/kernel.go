package ntp

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// kernelStratum is told while the kernel's clock is synchronised. The kernel does not know by whom; the usual chain of
// a public server of stratum 2 and this machine's daemon of stratum 3 makes us the next. A Poller knows better.
const kernelStratum = 4

var (
	// kernelRefID says that this machine follows a daemon of its own. A daemon here that asked us would find its own
	// address in it, and so the loop.
	kernelRefID = [4]byte{127, 0, 0, 1}
	// localRefID is the address of the undisciplined local clock driver, by which ntpd and chrony know one (LOCL).
	localRefID = [4]byte{127, 127, 1, 1}
)

// localDispersion is what a local reference claims to be wrong. By definition it is right; this covers reading it.
const localDispersion = time.Millisecond

// Kernel returns a function that asks the kernel how good its clock is (adjtimex(2)). A localStratum of 1 to 15 makes
// a clock that nobody disciplines a reference of that stratum, for islands without a better one (as chrony's `local
// stratum`): all machines there then agree, on whatever time it is here. 0 tells the truth instead.
func Kernel(localStratum int) func(now time.Time) (Clock, error) {
	return func(now time.Time) (Clock, error) {
		var timex unix.Timex
		state, err := unix.Adjtimex(&timex)
		if err != nil {
			return Clock{}, fmt.Errorf("ask the kernel for its clock's state: %w", err)
		}
		return fromTimex(timex, state, now, localStratum), nil
	}
}

// fromTimex reads the kernel's answer.
func fromTimex(timex unix.Timex, state int, now time.Time, localStratum int) Clock {
	// The kernel steers its clock anew with each second.
	corrected := now.Truncate(time.Second)
	if state == unix.TIME_ERROR || timex.Status&unix.STA_UNSYNC != 0 {
		if localStratum <= 0 {
			return Clock{}
		}
		return local(localStratum, now)
	}
	clock := Clock{
		Synchronised: true,
		Stratum:      kernelStratum,
		// Maxerror is in microseconds, and is the whole root distance: half of the delay, and the dispersion.
		RootDispersion: time.Duration(timex.Maxerror) * time.Microsecond,
		RefID:          kernelRefID,
		RefTime:        corrected,
	}
	switch {
	case timex.Status&unix.STA_INS != 0:
		clock.Leap = LeapInsert
	case timex.Status&unix.STA_DEL != 0:
		clock.Leap = LeapDelete
	}
	return clock
}

// local is an undisciplined clock as a reference of its own.
func local(stratum int, now time.Time) Clock {
	return Clock{
		Synchronised: true, Stratum: uint8(min(stratum, maxStratum)),
		RootDispersion: localDispersion, RefID: localRefID, RefTime: now.Truncate(time.Second),
	}
}

// kernelDrift is how fast this machine's clock goes wrong, as a fraction of a billion.
func kernelDrift() int64 {
	var timex unix.Timex
	state, err := unix.Adjtimex(&timex)
	if err != nil || state == unix.TIME_ERROR || timex.Status&unix.STA_UNSYNC != 0 {
		return freeDrift
	}
	return steeredDrift
}
