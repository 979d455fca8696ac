package bmctest

import (
	"sync/atomic"
	"time"
)

// Faults are ways in which a virtual BMC misbehaves. The zero value behaves.
type Faults struct {
	// Silent drops everything that comes in, as a BMC without mains or cable does.
	Silent bool
	// SlowBy delays each answer.
	SlowBy time.Duration
	// RefusePower answers every command that would change the power state with an error of the protocol: completion
	// code D5h (IPMI 2.0, table 5-2) or HTTP 500 with a message in ExtendedInfo.
	RefusePower bool
}

// faultSwitch holds the faults in force; the zero value holds none. It is safe for concurrent use.
type faultSwitch struct{ now atomic.Pointer[Faults] }

// SetFaults puts f in force for everything that arrives from now on.
func (s *faultSwitch) SetFaults(f Faults) { s.now.Store(&f) }

func (s *faultSwitch) faults() Faults {
	if f := s.now.Load(); f != nil {
		return *f
	}
	return Faults{}
}
