package image

import "time"

// minInterval keeps progress to four reports a second.
const minInterval = 250 * time.Millisecond

// meter passes progress on, rising and not too often. A part of the work maps to a part of the whole.
type meter struct {
	report   func(float64)
	now      func() time.Time
	from, to float64 // the present part, in fractions of the whole
	last     time.Time
	share    float64 // of the present part that is done; 0 where its total is not known
}

// part begins the part of the work between two fractions of the whole.
func (m *meter) part(from, to float64) { m.from, m.to, m.share = from, to, 0 }

// at says how much of the present part is done. A total that is not known is not reported on.
func (m *meter) at(done, total int64) {
	if total <= 0 {
		return
	}
	m.share = min(1, float64(done)/float64(total))
	if m.report == nil {
		return
	}
	if now := m.now(); now.Sub(m.last) >= minInterval {
		m.last = now
		m.report(m.from + (m.to-m.from)*m.share)
	}
}
