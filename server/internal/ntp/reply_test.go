package ntp

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
	"time"
)

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "\n", "", "\t", "").Replace(text))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var (
	received = time.Date(2026, 11, 22, 12, 0, 0, 500_000_000, time.UTC)
	now      = received.Add(250 * time.Millisecond)
	good     = Clock{
		Synchronised: true, Stratum: 4, RootDelay: 1500 * time.Millisecond, RootDispersion: 250 * time.Millisecond,
		RefID: [4]byte{127, 0, 0, 1}, RefTime: received.Truncate(time.Second),
	}
)

// respond is what a server of the clock that limits nobody answers to pkt.
func respond(pkt []byte, clock Clock) ([]byte, bool) {
	req, ok := requestOf(pkt)
	if !ok {
		return nil, false
	}
	var b [packetSize]byte
	req.reply(&b, received, &clock)
	stamp(&b, now)
	return b[:], true
}

// ask is a request of the first byte given, with poll interval 6 and a transmit timestamp that tells nothing of time,
// as privacy-minded clients send.
func ask(first string) string {
	return first + "00 06 20 00000000 00000000 00000000" + strings.Repeat("0000000000000000", 3) + "0123456789abcdef"
}

func TestAnswersOnTheWire(t *testing.T) {
	leaping := good
	leaping.Leap = LeapInsert
	bad := good
	bad.Synchronised = false
	tooDeep := good
	tooDeep.Stratum = 16
	const times = "eead57c0 00000000  0123456789abcdef  eead57c0 80000000  eead57c0 c0000000"
	cases := []struct {
		name, request string
		clock         Clock
		want          string
	}{
		{"a client of version 4", ask("23"), good, "24 04 06 ec 00018000 00004000 7f000001" + times},
		{"a client of version 3 is answered in it", ask("1b"), good, "1c 04 06 ec 00018000 00004000 7f000001" + times},
		{"a client of version 2", ask("13"), good, "14 04 06 ec 00018000 00004000 7f000001" + times},
		{"a client of version 1 that knows modes", ask("0b"), good, "0c 04 06 ec 00018000 00004000 7f000001" + times},
		{"a client of version 1 that knows none", ask("08"), good, "0c 04 06 ec 00018000 00004000 7f000001" + times},
		{"a client that is not synchronised itself", ask("e3"), good, "24 04 06 ec 00018000 00004000 7f000001" + times},
		{"a leap second ahead", ask("23"), leaping, "64 04 06 ec 00018000 00004000 7f000001" + times},
		{"a clock that is not synchronised says so", ask("23"), bad, "e4 00 06 ec 00018000 00004000 00000000" + times},
		{"stratum 16 is none", ask("23"), tooDeep, "e4 00 06 ec 00018000 00004000 00000000" + times},
		{"nothing is known of the clock", ask("23"), Clock{}, "e4 00 06 ec 00000000 00000000 00000000 0000000000000000 0123456789abcdef eead57c080000000 eead57c0c0000000"},
		{"an authenticator is not answered in kind", ask("23") + "00000001" + strings.Repeat("aa", 16), good, "24 04 06 ec 00018000 00004000 7f000001" + times},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, ok := respond(unhex(t, c.request), c.clock)
			if want := unhex(t, c.want); !ok || !bytes.Equal(got, want) {
				t.Errorf("got %t\n% x; want\n% x", ok, got, want)
			}
		})
	}
}

func TestWhatGetsNoAnswer(t *testing.T) {
	cases := []struct{ name, request string }{
		{"nothing", ""},
		{"less than a packet by four bytes", strings.TrimSuffix(ask("23"), "89abcdef")},
		{"a length that is no multiple of four", ask("23") + "00"},
		{"version 0, which is none", ask("03")},
		{"version 5", ask("2b")},
		{"no mode in a version that has modes", ask("20")},
		{"a server's answer of version 1", ask("0c")},
		{"a server's answer, which would start a dialogue without end", ask("24")},
		{"a symmetric peer", ask("21")},
		{"a broadcast", ask("25")},
		{"a control message, as ntpq sends", ask("26")},
		{"a private message, as in the monlist attack", ask("27")},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got, ok := requestOf(unhex(t, c.request)); ok {
				t.Errorf("got %+v; want no answer", got)
			}
		})
	}
}

func TestAKissTellsNoTime(t *testing.T) {
	for _, code := range [][4]byte{codeRate, codeDeny} {
		req, _ := requestOf(unhex(t, ask("23")))
		got := [packetSize]byte(bytes.Repeat([]byte{0xff}, packetSize)) // what was in the buffer is not sent
		req.kiss(&got, code)
		want := unhex(t, "e4 00 06 ec 00000000 00000000"+hex.EncodeToString(code[:])+"0000000000000000 0123456789abcdef"+strings.Repeat("00", 16))
		if !bytes.Equal(got[:], want) {
			t.Errorf("%s: got\n% x; want\n% x", code, got, want)
		}
	}
}

func FuzzReply(f *testing.F) {
	for _, first := range []string{"23", "1b", "13", "0b", "08", "e3", "24", "26"} {
		f.Add(unhex(f, ask(first)), true, uint8(4))
	}
	f.Add(unhex(f, ask("23")+strings.Repeat("ff", 20)), false, uint8(0))
	f.Add([]byte{}, true, uint8(1))
	f.Fuzz(func(t *testing.T, pkt []byte, synchronised bool, stratum uint8) {
		clock := good
		clock.Synchronised, clock.Stratum = synchronised, stratum
		reply, ok := respond(pkt, clock)
		if !ok {
			return
		}
		if len(reply) != packetSize || len(reply) > len(pkt) {
			t.Errorf("got %d bytes for %d: nobody may be made to amplify", len(reply), len(pkt))
		}
		if reply[0]&7 != modeServer || reply[0]>>3&7 != pkt[0]>>3&7 {
			t.Errorf("got first byte %02x for %02x", reply[0], pkt[0])
		}
		if !bytes.Equal(reply[24:32], pkt[40:48]) {
			t.Error("the origin is not the client's transmit timestamp")
		}
		if valid := reply[0]>>6 != LeapUnknown; valid != (synchronised && stratum >= 1 && stratum <= 15) {
			t.Errorf("got leap %d for synchronised %t, stratum %d", reply[0]>>6, synchronised, stratum)
		}
		if _, ok := requestOf(reply); ok {
			t.Error("the answer is answered")
		}
	})
}
