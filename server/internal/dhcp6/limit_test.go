package dhcp6

import (
	"encoding/binary"
	"testing"
	"time"
)

func TestAClientIsAnsweredSoOftenAndNoMore(t *testing.T) {
	l := newLimiter()
	flood, answered := []byte("flood"), 0
	for range 10 * limitBurst {
		if l.allow(flood, now) {
			answered++
		}
	}
	if answered != limitBurst {
		t.Errorf("got %d answers at once; want %d", answered, limitBurst)
	}
	if l.allow(flood, now.Add(limitGap-1)) {
		t.Error("got an answer before one was due again")
	}
	if !l.allow(flood, now.Add(limitGap)) {
		t.Error("got no answer when one was due again")
	}
	if !l.allow(flood, now.Add(time.Hour)) {
		t.Error("got no answer an hour later")
	}
	if !l.allow(flood, now.Add(-time.Hour)) {
		t.Error("got no answer after the clock was set back")
	}
}

func TestAFloodOfOneDoesNotHinderTheOthers(t *testing.T) {
	l := newLimiter()
	for range 10 * limitBurst {
		l.allow([]byte("flood"), now)
	}
	refused := 0
	for i := range uint32(1000) {
		if !l.allow(binary.BigEndian.AppendUint32(nil, i), now) {
			refused++
		}
	}
	if refused > 10 { // those that share the slot: one in 4096
		t.Errorf("got %d of 1000 clients refused; want next to none", refused)
	}
}
