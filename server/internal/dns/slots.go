package dns

import "sync"

// slots bound how many things that take time are done at once, and wait for those that were started.
type slots struct {
	free    chan struct{}
	running sync.WaitGroup
}

func newSlots(n int) *slots { return &slots{free: make(chan struct{}, n)} }

// share makes slots that are of the same number, and waited for apart.
func (s *slots) share() *slots { return &slots{free: s.free} }

// take takes a slot, if one is free.
func (s *slots) take() bool {
	select {
	case s.free <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s *slots) release() { <-s.free }

// start runs act in a goroutine of its own, or says that there are too many already.
func (s *slots) start(act func()) bool {
	if !s.take() {
		return false
	}
	s.running.Go(func() {
		defer s.release()
		act()
	})
	return true
}

// wait waits for all that were started.
func (s *slots) wait() { s.running.Wait() }
