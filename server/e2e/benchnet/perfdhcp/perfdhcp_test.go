package perfdhcp

import (
	"math"
	"strings"
	"testing"
	"time"
)

const report = `Running: perfdhcp -4 -l 192.0.2.2 -r 6000 -R 20000 -p 4 192.0.2.1
Scenario: basic.
Multi-thread mode enabled.
***Rate statistics***
Rate: 5329.02 4-way exchanges/second, expected rate: 6000

***Malformed Packets***
Malformed packets: 0
***Statistics for: DISCOVER-OFFER***
sent packets: 24000
received packets: 23988
drops: 12
drops ratio: 0.05 %
orphans: 0

min delay: 0.032 ms

***Statistics for: REQUEST-ACK***
sent packets: 23988
received packets: 23940
drops: 48
drops ratio: 0.200 %
orphans: 0
`

func TestTheReportIsRead(t *testing.T) {
	r, err := parse([]byte(report))
	if err != nil {
		t.Fatal(err)
	}
	if r.Begun != 24000 || r.Completed != 23940 {
		t.Errorf("got %+v; want 24000 begun, 23940 completed", r)
	}
	if got, want := r.Loss(), 0.0025; math.Abs(got-want) > 1e-9 {
		t.Errorf("got a loss of %v; want %v", got, want)
	}
	r.For = 4 * time.Second
	if got, want := r.Rate(), 5985.0; got != want {
		t.Errorf("got a rate of %v; want %v", got, want)
	}
}

func TestNothingBegunIsAllLost(t *testing.T) {
	if got := (Result{}).Loss(); got != 1 {
		t.Errorf("got %v; want 1", got)
	}
}

func TestAnotherReportIsAnError(t *testing.T) {
	for name, text := range map[string]string{
		"an error message":        "ERROR: running perfdhcp: interface not found\n",
		"only half of the report": report[:strings.Index(report, "***Statistics for: REQUEST")],
		"no numbers":              strings.ReplaceAll(report, "packets: ", "packets: many "),
	} {
		if _, err := parse([]byte(text)); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}
