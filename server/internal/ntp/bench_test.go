package ntp

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/server/internal/udp"
)

// inFlight is how many requests wait for their answers at once.
const inFlight = 64

// BenchmarkReplies measures answers per second over loopback, from many clients so that none is limited, of our server
// and of chronyd. The client takes a good part of the machine, the same for both.
func BenchmarkReplies(b *testing.B) {
	b.Run("metald", func(b *testing.B) {
		conn, err := udp.Listen(b.Context(), "udp4", "127.0.0.1:0", "")
		if err != nil {
			b.Fatal(err)
		}
		serve(b, synchronised, conn)
		load(b, conn.LocalAddr().String())
	})
	b.Run("chronyd", func(b *testing.B) {
		addr, _ := chronyServer(b)
		load(b, addr)
	})
}

// load gets b.N answers, each to a question from another address of 127/8. What gets none for a while is lost.
func load(b *testing.B, to string) {
	server := netip.MustParseAddrPort(to)
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4zero})
	if err != nil {
		b.Fatal(err)
	}
	conn.SetReadBuffer(4 << 20)
	raw, err := conn.SyscallConn()
	if err != nil {
		b.Fatal(err)
	}
	request := unhex(b, ask("23"))
	ring := newBatch()
	to4 := unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: server.Addr().As4()}
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&to4.Port))[:], server.Port())
	var infos [batchSize][]byte
	for i := range infos {
		copy(ring.replies[i][:], request)
		infos[i] = control(unix.IPPROTO_IP, unix.IP_PKTINFO, make([]byte, unix.SizeofInet4Pktinfo)...)
		out := &ring.out[i]
		out.Name, out.Namelen = (*byte)(unsafe.Pointer(&to4)), uint32(unsafe.Sizeof(to4))
		out.Control = &infos[i][0]
		out.SetControllen(len(infos[i]))
	}
	sent, answered, lost := 0, 0, 0
	send := func() {
		for i := range infos {
			binary.BigEndian.PutUint32(infos[i][unix.CmsgLen(4):], 127<<24|uint32((sent+i)%(1<<20)+1<<8))
		}
		raw.Write(func(fd uintptr) bool {
			ring.count = batchSize
			ring.send(fd, 0) // the server may not be there yet
			return true
		})
		sent += batchSize
	}
	receive := func() {
		conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		if err := raw.Read(func(fd uintptr) bool {
			n, errno := ring.receive(fd)
			if errno == 0 {
				answered += n
			}
			return errno != unix.EAGAIN
		}); err != nil {
			lost = sent - answered
		}
	}
	for answered == 0 {
		send()
		receive()
	}
	b.ResetTimer()
	for first := answered; answered-first < b.N; receive() {
		for sent-answered-lost <= inFlight-batchSize {
			send()
		}
	}
	b.StopTimer()
	conn.Close()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "replies/s")
}
