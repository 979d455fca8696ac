package ntp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/server/internal/netns"
	"github.com/metalform/terraform-provider-metal/server/internal/udp"
)

var controlTime = time.Unix(1_700_000_000, 0)

// told is a system with one server that is followed, one that answers not, and one of which no address is known.
func told() system {
	return system{
		now: controlTime, clock: Clock{Synchronised: true, Stratum: 3, RefID: [4]byte{192, 0, 2, 1}, RootDelay: 1500 * time.Microsecond, RefTime: controlTime},
		peers: []Upstream{
			{Name: "ntp1.example.com", Address: netip.MustParseAddrPort("192.0.2.1:123"), Reach: 0xff, Poll: 6, Selection: Chosen,
				Heard: controlTime.Add(-9 * time.Second), Stratum: 2, RefID: [4]byte{198, 51, 100, 7}, Offset: -250 * time.Microsecond, Delay: 3 * time.Millisecond},
			{Name: "ntp2.example.com", Address: netip.MustParseAddrPort("[2001:db8::2]:123"), Poll: 6},
			{Name: "ntp3.example.com", Poll: 6},
		},
	}
}

// controlMessage is a request: version 2, as ntpq sends.
func controlMessage(opcode byte, association uint16, data string) []byte {
	b := make([]byte, controlHeader+(len(data)+3)/4*4)
	b[0], b[1] = 2<<3|modeControl, opcode
	binary.BigEndian.PutUint16(b[2:], 7)
	binary.BigEndian.PutUint16(b[6:], association)
	binary.BigEndian.PutUint16(b[10:], uint16(len(data)))
	copy(b[controlHeader:], data)
	return b
}

// whole puts the fragments of an answer together, and checks how they are numbered.
func whole(t *testing.T, request []byte, messages [][]byte) (status uint16, data []byte) {
	t.Helper()
	for i, m := range messages {
		count, offset := int(binary.BigEndian.Uint16(m[10:])), int(binary.BigEndian.Uint16(m[8:]))
		if m[0] != request[0] || m[1]&0x1f != request[1] || m[1]&flagResponse == 0 || !bytes.Equal(m[2:4], request[2:4]) || !bytes.Equal(m[6:8], request[6:8]) {
			t.Errorf("message %d: got % x; want an answer to % x", i, m[:controlHeader], request[:controlHeader])
		}
		if more := m[1]&flagMore != 0; offset != len(data) || more != (i < len(messages)-1) || count > fragmentData || len(m) != controlHeader+(count+3)/4*4 {
			t.Errorf("message %d: got offset %d, more %v, %d bytes that count %d; want it to follow %d bytes", i, offset, more, len(m), count, len(data))
		}
		status = binary.BigEndian.Uint16(m[4:])
		data = append(data, m[controlHeader:controlHeader+count]...)
	}
	return status, data
}

func TestWhatNtpqIsTold(t *testing.T) {
	for _, c := range []struct {
		name    string
		request []byte
		status  uint16
		says    []string
		not     []string
	}{
		{"the system's variables", controlMessage(opReadVariables, 0, ""), 0x0600,
			[]string{"leap=0, stratum=3, precision=-20, rootdelay=1.500", "refid=192.0.2.1, reftime=0xe8fe", "peer=1, offset=-0.250"}, nil},
		{"some of them", controlMessage(opReadVariables, 0, "stratum, nonsense,refid"), 0x0600, []string{"stratum=3, refid=192.0.2.1\r\n"}, []string{"leap"}},
		{"which servers there are", controlMessage(opReadStatus, 0, ""), 0x0600, []string{"\x00\x01\x96\x00\x00\x02\x80\x00\x00\x03\x80\x00"}, nil},
		{"the one that is followed", controlMessage(opReadVariables, 1, ""), 0x9600,
			[]string{"srcadr=192.0.2.1, srcport=123", `srchost="ntp1.example.com"`, "reach=0xff", "offset=-0.250, delay=3.000", "timerec=9"}, nil},
		{"the same by its status", controlMessage(opReadStatus, 1, ""), 0x9600, []string{"srcadr=192.0.2.1"}, nil},
		{"one that never answered", controlMessage(opReadVariables, 2, ""), 0x8000, []string{"srcadr=2001:db8::2", "leap=3, stratum=16", "reach=0x0"}, []string{"timerec"}},
		{"one without an address", controlMessage(opReadVariables, 3, ""), 0x8000, []string{"srcadr=0.0.0.0"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, data := whole(t, c.request, controlOf(c.request).control(told()))
			if status != c.status {
				t.Errorf("got status %04x; want %04x", status, c.status)
			}
			for _, part := range c.says {
				if !strings.Contains(string(data), part) {
					t.Errorf("got no %q in %q", part, data)
				}
			}
			for _, part := range c.not {
				if strings.Contains(string(data), part) {
					t.Errorf("got %q in %q", part, data)
				}
			}
		})
	}
}

func TestAClockThatIsNotSynchronisedIsShownAsSuch(t *testing.T) {
	q := controlMessage(opReadVariables, 0, "leap,stratum,refid,peer")
	status, data := whole(t, q, controlOf(q).control(system{now: controlTime}))
	if want := "leap=3, stratum=16, refid=INIT, peer=0\r\n"; status != 0xc000 || string(data) != want {
		t.Errorf("got status %04x, %q; want c000, %q", status, data, want)
	}
}

func TestWhatNtpqIsRefused(t *testing.T) {
	edited := func(at int, value byte) []byte {
		b := controlMessage(opReadVariables, 0, "leap")
		b[at] = value
		return b
	}
	for _, c := range []struct {
		name    string
		request []byte
		code    byte
	}{
		{"to write variables", controlMessage(opWrite, 0, "leap=1"), errorNotPermitted},
		{"to write those of a clock", controlMessage(opWriteClock, 0, ""), errorNotPermitted},
		{"to configure", controlMessage(opConfigure, 0, "server evil"), errorNotPermitted},
		{"to save the configuration", controlMessage(opSaveConfig, 0, "x"), errorNotPermitted},
		{"to set a trap", controlMessage(opSetTrap, 0, ""), errorNotPermitted},
		{"to unset one", controlMessage(opUnsetTrap, 0, ""), errorNotPermitted},
		{"the list of the last clients (MRU)", controlMessage(10, 0, ""), errorOpcode},
		{"an operation of no meaning", controlMessage(0, 0, ""), errorOpcode},
		{"a server that is not asked", controlMessage(opReadVariables, 4, ""), errorAssociation},
		{"the status of one", controlMessage(opReadStatus, 65535, ""), errorAssociation},
		{"variables that are not there", controlMessage(opReadVariables, 0, "nonsense"), errorVariable},
		{"more data than there is", edited(11, 200), errorFormat},
		{"a fragment", edited(9, 4), errorFormat},
		{"a first fragment", edited(1, opReadVariables|flagMore), errorFormat},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !isControl(c.request) {
				t.Fatal("got no control message")
			}
			got := controlOf(c.request).control(told())
			if len(got) != 1 || len(got[0]) != controlHeader || got[0][1]&(flagResponse|flagError) != flagResponse|flagError || got[0][4] != c.code {
				t.Errorf("got % x; want the error %d", got, c.code)
			}
		})
	}
}

func TestNoDialogueBeginsWithAnAnswer(t *testing.T) {
	for name, b := range map[string][]byte{
		"an answer": {0x16, flagResponse | 2, 11: 0}, "an error": {0x16, flagError | 2, 11: 0}, "half a header": {0x16, 2}, "nothing": nil,
		"version 0": {0x06, 2, 11: 0}, "version 5": {0x2e, 2, 11: 0}, "a client": make([]byte, packetSize), "a private message": {0x17, 2, 11: 0},
	} {
		if isControl(b) {
			t.Errorf("%s is taken for a question", name)
		}
	}
}

func TestTheLongestAnswerIsWhole(t *testing.T) {
	s := told()
	for len(s.peers) < maxServers {
		s.peers = append(s.peers, s.peers[0])
	}
	long := &s.peers[1]
	*long = Upstream{Name: strings.Repeat("n\"\n", 80), Address: netip.MustParseAddrPort("[2001:db8:1111:2222:3333:4444:5555:6666]:65535"),
		Heard: controlTime.Add(-1e6 * time.Hour), Stratum: 15, RefID: [4]byte{255, 255, 255, 255}, RootDelay: 1 << 60, RootDispersion: 1 << 60,
		Offset: -1 << 60, Delay: 1 << 60, Dispersion: 1 << 60, Jitter: 1 << 60}
	for _, q := range [][]byte{controlMessage(opReadStatus, 0, ""), controlMessage(opReadVariables, 0, ""), controlMessage(opReadVariables, 2, "")} {
		_, data := whole(t, q, controlOf(q).control(s))
		if q[1] == opReadStatus && len(data) != 4*maxServers || q[1] == opReadVariables && !bytes.HasSuffix(data, []byte("\r\n")) {
			t.Errorf("got %d bytes, %q; want all of them", len(data), data)
		}
	}
}

func TestOnlyThoseWhoMayAreTold(t *testing.T) {
	private := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, c := range []struct {
		name    string
		allowed []netip.Prefix
		from    string
		want    bool
	}{
		{"a client of the site", private, "10.1.2.3", true},
		{"one by IPv6", private, "fd00::9", true},
		{"a stranger", private, "192.0.2.9", false},
		{"this machine", private, "127.0.0.1", true},
		{"this machine, where everybody is told the time", nil, "::1", true},
		{"anybody else there", nil, "10.1.2.3", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := New(nil, synchronised, slog.New(slog.DiscardHandler))
			s.Allow(c.allowed)
			s.Tell(nil)
			from, clock := netip.MustParseAddr(c.from), told().clock
			answers := 0
			for range burst + 5 {
				if len(s.control(controlMessage(opReadVariables, 0, ""), from, controlTime, &clock)) > 0 {
					answers++
				}
			}
			want := 0
			if c.want {
				want = burst // and then nothing, not even a kiss
			}
			if answers != want {
				t.Errorf("got %d answers; want %d", answers, want)
			}
		})
	}
}

func TestServersThatAreAskedAreShownAsTheyAre(t *testing.T) {
	now := moment{wall: controlTime, uptime: time.Hour}
	r := newRoster([]string{"good", "same", "wrong", "silent"})
	for i, offset := range []time.Duration{0, time.Millisecond, 3 * time.Second} {
		p := &r.peers[i]
		p.reach = 1
		p.filter.add(sample{at: now, offset: offset, delay: time.Millisecond * time.Duration(i+1), stratum: 2})
	}
	for i := range 3 { // enough of them to tell how much they differ
		for range stages - 1 {
			r.peers[i].filter.add(r.peers[i].filter.last())
		}
	}
	var got []string
	for _, u := range r.upstreams(now, steeredDrift, r.choose(now, steeredDrift)) {
		got = append(got, fmt.Sprintf("%s %d", u.Name, u.Selection))
	}
	if diff := cmp.Diff([]string{"good 6", "same 4", "wrong 1", "silent 0"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestPeerNtpq has ntpq ask a server that asks chronyd for the time.
func TestPeerNtpq(t *testing.T) {
	t.Parallel()
	ntpq := netns.Peer(t, "usr/bin/ntpq")
	netns.Need(t, "chronyd")
	addr, _ := chronyServer(t)
	followed, poller := netip.MustParseAddrPort(addr), poll(t, addr)
	netns.Until(t, "chronyd's time is taken", func() bool {
		clock, _ := poller.Clock(time.Now())
		return clock.Synchronised
	})
	ns := netns.New(t, "q")
	server := New([]*udp.Conn{listenIn(t, ns, "udp4", "127.0.0.1:123"), listenIn(t, ns, "udp6", "[::1]:123")}, poller.Clock, slog.New(slog.DiscardHandler))
	server.Tell(poller.Upstreams)
	netns.Keep(t, "the NTP server", server.Run)
	for _, host := range []string{"127.0.0.1", "::1"} {
		out, err := ns.Command(append(ntpq, "-n", "-c", "timeout 60000", "-c", "rv", "-c", "peers", "-c", "associations", "-c", "rv 1", host)...).CombinedOutput()
		if err != nil {
			t.Fatalf("ntpq: %v\n%s", err, out)
		}
		for _, part := range []string{"version=\"metald\"", "stratum=11", "*" + followed.Addr().String(), "sys.peer", "srcport="} {
			if !strings.Contains(string(out), part) {
				t.Errorf("%s: got no %q in\n%s", host, part, out)
			}
		}
	}
}

// FuzzControl checks that whatever is asked, an answer is bounded, well-formed, and answered by nobody in turn.
func FuzzControl(f *testing.F) {
	f.Add(controlMessage(opReadVariables, 0, ""))
	f.Add(controlMessage(opReadVariables, 1, "srcadr,offset"))
	f.Add(controlMessage(opReadStatus, 0, ""))
	f.Add(controlMessage(opConfigure, 0, "x"))
	f.Add([]byte{0x16, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ','})
	f.Fuzz(func(t *testing.T, pkt []byte) {
		if !isControl(pkt) {
			return
		}
		messages := controlOf(pkt).control(told())
		if len(messages) == 0 || len(messages) > mostFragments {
			t.Fatalf("got %d messages; want 1 to %d", len(messages), mostFragments)
		}
		for _, m := range messages {
			if len(m) > controlHeader+fragmentData || isControl(m) {
				t.Errorf("got % x", m)
			}
			if _, ok := requestOf(m); ok {
				t.Errorf("got % x, which a server would answer", m)
			}
		}
		whole(t, []byte{pkt[0] & 0x3f, pkt[1] & 0x1f, pkt[2], pkt[3], 0, 0, pkt[6], pkt[7], 11: 0}, messages)
	})
}
