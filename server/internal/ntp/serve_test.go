package ntp

import (
	"bytes"
	"encoding/binary"
	"log/slog"
	"net/netip"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// control is a control message as the kernel writes it.
func control(level, kind int32, body ...byte) []byte {
	b := binary.NativeEndian.AppendUint64(nil, uint64(unix.CmsgLen(len(body))))
	b = binary.NativeEndian.AppendUint32(b, uint32(level))
	b = binary.NativeEndian.AppendUint32(b, uint32(kind))
	b = append(b, body...)
	return append(b, make([]byte, unix.CmsgSpace(len(body))-unix.CmsgLen(len(body)))...)
}

var (
	arrival = control(unix.SOL_SOCKET, unix.SCM_TIMESTAMPNS,
		binary.NativeEndian.AppendUint64(binary.NativeEndian.AppendUint64(nil, 1_800_000_000), 123)...)
	info4 = control(unix.IPPROTO_IP, unix.IP_PKTINFO, append(binary.NativeEndian.AppendUint32(nil, 7), 10, 0, 0, 1, 10, 0, 0, 255)...)
	info6 = control(unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, binary.NativeEndian.AppendUint32(netip.MustParseAddr("fe80::1").AsSlice(), 7)...)
)

func TestWhatTheKernelTellsOfARequest(t *testing.T) {
	cases := []struct {
		name    string
		control []byte
		arrived bool
		info    []byte
	}{
		{"nothing", nil, false, nil},
		{"all of IPv4", append(bytes.Clone(info4), arrival...), true, info4[:28]},
		{"all of IPv6", append(bytes.Clone(arrival), info6...), true, info6[:36]},
		{"something else first", append(control(unix.SOL_SOCKET, unix.SCM_RIGHTS, 0, 0, 0, 1), arrival...), true, nil},
		{"a message that is cut", append(bytes.Clone(info4), arrival[:20]...), false, info4[:28]},
		{"a timestamp that is cut", control(unix.SOL_SOCKET, unix.SCM_TIMESTAMPNS, 1, 2, 3, 4), false, nil},
		{"packet information that is cut", control(unix.IPPROTO_IP, unix.IP_PKTINFO, 1, 2, 3, 4), false, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			arrived, info := readControl(c.control)
			if want := time.Unix(1_800_000_000, 123); c.arrived && !arrived.Equal(want) || !c.arrived && !arrived.IsZero() {
				t.Errorf("got arrival %s; want %t", arrived, c.arrived)
			}
			if !bytes.Equal(info, c.info) {
				t.Errorf("got % x; want % x", info, c.info)
			}
		})
	}
}

func TestTheAddressThatAnAnswerComesFrom(t *testing.T) {
	multicast6 := control(unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, binary.NativeEndian.AppendUint32(netip.MustParseAddr("ff02::101").AsSlice(), 7)...)
	cases := []struct {
		name    string
		info    []byte
		client  string
		addr    string
		ifIndex uint32
	}{
		{"IPv4: the address asked, by any way", info4, "10.0.0.9", "10.0.0.1", 0},
		{"IPv6: the address asked, by any way", info6, "2001:db8::9", "fe80::1", 0},
		{"a link-local client: by the way that it came", info6, "fe80::9", "fe80::1", 7},
		{"a group: the kernel's choice", multicast6, "fe80::9", "::", 7},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, info := readControl(bytes.Clone(c.info))
			answerFrom(info, netip.MustParseAddr(c.client))
			body := info[unix.CmsgLen(0):]
			var addr netip.Addr
			var ifIndex uint32
			if len(body) == unix.SizeofInet4Pktinfo {
				addr, ifIndex = netip.AddrFrom4([4]byte(body[4:])), binary.NativeEndian.Uint32(body)
			} else {
				addr, ifIndex = netip.AddrFrom16([16]byte(body)), binary.NativeEndian.Uint32(body[16:])
			}
			if addr.String() != c.addr || ifIndex != c.ifIndex {
				t.Errorf("got %s by %d; want %s by %d", addr, ifIndex, c.addr, c.ifIndex)
			}
		})
	}
}

func TestWhoSentARequest(t *testing.T) {
	var sa unix.RawSockaddrInet6
	if got := sender(&sa); got.IsValid() {
		t.Errorf("no family: got %s; want none", got)
	}
	sa.Family, sa.Addr = unix.AF_INET6, netip.MustParseAddr("2001:db8::1").As16()
	if got := sender(&sa).String(); got != "2001:db8::1" {
		t.Errorf("got %s; want 2001:db8::1", got)
	}
	*(*unix.RawSockaddrInet4)(unsafe.Pointer(&sa)) = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: [4]byte{192, 0, 2, 1}}
	if got := sender(&sa).String(); got != "192.0.2.1" {
		t.Errorf("got %s; want 192.0.2.1", got)
	}
}

// batchOf is a batch as receive leaves it.
func batchOf(requests ...[]byte) *batch {
	b := newBatch()
	for i, request := range requests {
		b.in[i].length = uint32(copy(b.requests[i][:], request))
		b.senders[i] = unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: netip.MustParseAddr("2001:db8::1").As16()}
		b.in[i].SetControllen(copy(b.control[i][:], info6))
	}
	return b
}

func testServer(networks ...string) *Server {
	s := New(nil, synchronised, slog.New(slog.DiscardHandler))
	var allowed []netip.Prefix
	for _, network := range networks {
		allowed = append(allowed, netip.MustParsePrefix(network))
	}
	s.Allow(allowed)
	return s
}

func TestABatchAnswersWhatIsToBeAnswered(t *testing.T) {
	request, control := unhex(t, ask("23")), unhex(t, ask("26"))
	b := batchOf(request, control, request, nil)
	b.in[2].Flags = unix.MSG_TRUNC
	s := testServer()
	for i := range 4 {
		s.handle(b, i, now, &good)
	}
	if b.count != 1 || !b.stamped[0] {
		t.Fatalf("got %d answers, the first with the time %t; want 1, true", b.count, b.stamped[0])
	}
	b.stamp(now)
	if got := binary.BigEndian.Uint64(b.replies[0][atTransmit:]); got != timestamp(now) {
		t.Errorf("got transmit timestamp %x; want %x", got, timestamp(now))
	}
	if got := binary.BigEndian.Uint64(b.replies[0][atReceive:]); got != timestamp(now) {
		t.Errorf("got receive timestamp %x; want %x, since the kernel told none", got, timestamp(now))
	}
}

func TestATimestampOfTheKernelFromBeforeTheClockWasSetIsNotUsed(t *testing.T) {
	for _, c := range []struct {
		wait time.Duration
		used bool
	}{{0, true}, {time.Millisecond, true}, {-time.Millisecond, false}, {time.Hour, false}} {
		b := batchOf(unhex(t, ask("23")))
		b.in[0].SetControllen(copy(b.control[0][:], arrival))
		at := time.Unix(1_800_000_000, 123).Add(c.wait)
		testServer().handle(b, 0, at, &good)
		want := timestamp(at)
		if c.used {
			want = timestamp(time.Unix(1_800_000_000, 123))
		}
		if got := binary.BigEndian.Uint64(b.replies[0][atReceive:]); got != want {
			t.Errorf("%s: got %x; want %x", c.wait, got, want)
		}
	}
}

func TestAClientOutsideTheAllowedNetworksIsDenied(t *testing.T) {
	b := batchOf(unhex(t, ask("23")), unhex(t, ask("23")))
	s := testServer("10.0.0.0/8")
	s.handle(b, 0, now, &good)
	s.handle(b, 1, now, &good)
	b.stamp(now)
	if b.count != 1 {
		t.Fatalf("got %d answers; want one for two requests", b.count)
	}
	got := b.replies[0]
	if code := [4]byte(got[atRefID:]); code != codeDeny || got[1] != stratumUnknown || got[0]>>6 != LeapUnknown {
		t.Errorf("got % x; want a kiss with DENY", got)
	}
	if times := got[atReceive:]; !bytes.Equal(times, make([]byte, 16)) {
		t.Errorf("got % x; want no time", times)
	}
}

func TestAnAnswerTakesNoMemory(t *testing.T) {
	b := batchOf(unhex(t, ask("23")))
	s := testServer("2001:db8::/32", "10.0.0.0/8")
	allocs := testing.AllocsPerRun(1000, func() {
		b.count = 0
		s.handle(b, 0, now, &good)
		b.stamp(now)
	})
	if allocs != 0 {
		t.Errorf("got %g allocations; want none", allocs)
	}
}

func FuzzHandle(f *testing.F) {
	f.Add(unhex(f, ask("23")), append(bytes.Clone(info4), arrival...), true)
	f.Add(unhex(f, ask("1b")+"00"), append(bytes.Clone(info6), arrival...), false)
	f.Add([]byte{}, control(unix.IPPROTO_IP, unix.IP_PKTINFO), true)
	s := testServer("10.0.0.0/8")
	f.Fuzz(func(t *testing.T, request, control []byte, four bool) {
		b := batchOf(request[:min(len(request), requestSize)])
		if four {
			*(*unix.RawSockaddrInet4)(unsafe.Pointer(&b.senders[0])) = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: [4]byte{10, 0, 0, 1}}
		}
		b.in[0].SetControllen(copy(b.control[0][:], control))
		s.handle(b, 0, now, &good)
		b.stamp(now)
		if b.count > 0 && len(request) < packetSize {
			t.Errorf("got an answer to %d bytes", len(request))
		}
	})
}
