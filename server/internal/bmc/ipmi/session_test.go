package ipmi

import (
	"bytes"
	"testing"

	"github.com/bougou/go-ipmi/pkg/crypto"
	"github.com/bougou/go-ipmi/pkg/protocol"
	"github.com/bougou/go-ipmi/pkg/types"
)

// twoEnds returns the console's session and one with which a test plays the BMC.
func twoEnds(s suite) (console, bmc *session) {
	k1, k2 := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	console = &session{suite: s, consoleID: 0xa0a1a2a3, bmcID: 0x01020304, k1: k1, k2: k2}
	bmc = &session{suite: s, consoleID: 0x01020304, bmcID: 0xa0a1a2a3, k1: k1, k2: k2}
	return console, bmc
}

func TestSessionOpensWhatTheOtherEndSealed(t *testing.T) {
	for i, s := range suites() {
		for n := range 40 { // every length of padding
			console, bmc := twoEnds(s)
			message := bytes.Repeat([]byte{byte(n)}, n)
			datagram, err := bmc.seal(message)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(datagram, message) && n > 1 {
				t.Errorf("suite %d, %d bytes: the message can be read in the datagram", i, n)
			}
			if got, ok := console.open(datagram); !ok || !bytes.Equal(got, message) {
				t.Errorf("suite %d, %d bytes: got %x, %t; want %x", i, n, got, ok, message)
			}
		}
	}
}

func TestSessionLeavesForeignDatagramsClosed(t *testing.T) {
	change := func(offset int, to byte) func([]byte) []byte {
		return func(d []byte) []byte { d[offset] = to; return d }
	}
	for _, c := range []struct {
		name  string
		forge func([]byte) []byte
	}{
		{"an empty one", func([]byte) []byte { return nil }},
		{"one that is cut off in the header", func(d []byte) []byte { return d[:15] }},
		{"one that is cut off in the payload", func(d []byte) []byte { return d[:30] }},
		{"one that is cut off in the signature", func(d []byte) []byte { return d[:len(d)-1] }},
		{"one of another version of RMCP", change(0, 5)},
		{"one of ASF", change(3, 6)},
		{"one of IPMI 1.5", change(4, 0)},
		{"one of another payload type", change(5, 0xc1)},
		{"one that is not signed", change(5, 0x80)},
		{"one that is not encrypted", change(5, 0x40)},
		{"one of another session", change(6, 0xff)},
		{"one whose payload was changed", change(20, 0xff)},
		{"one whose number was changed", change(10, 9)},
		{"one whose signature was changed", func(d []byte) []byte { d[len(d)-1] ^= 1; return d }},
	} {
		t.Run(c.name, func(t *testing.T) {
			console, bmc := twoEnds(suites()[0])
			datagram, err := bmc.seal([]byte("message"))
			if err != nil {
				t.Fatal(err)
			}
			if got, ok := console.open(c.forge(datagram)); ok {
				t.Errorf("got %x; want it left closed", got)
			}
		})
	}
}

func TestSessionTakesNoDatagramTwice(t *testing.T) {
	console, bmc := twoEnds(suites()[1])
	first, err := bmc.seal([]byte("off"))
	if err != nil {
		t.Fatal(err)
	}
	second, err := bmc.seal([]byte("on"))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := console.open(second); !ok {
		t.Fatal("the newer datagram was left closed")
	}
	for name, datagram := range map[string][]byte{"newer": second, "older": first} {
		if got, ok := console.open(datagram); ok {
			t.Errorf("the %s datagram came again: got %q; want it left closed", name, got)
		}
	}
}

func TestSignedGarbageDoesNoHarm(t *testing.T) {
	// What go-ipmi's own client would panic at: a payload that is no whole number of blocks, or whose padding is
	// longer than itself. A BMC with a defect can sign that.
	for n := range 66 {
		console, _ := twoEnds(suites()[0])
		datagram := protocol.BuildRMCPPlusPacket(0, 0xc0, console.consoleID, 1, bytes.Repeat([]byte{0x5a}, n))
		pad := types.IntegrityPadLen(12, n)
		datagram = append(datagram, bytes.Repeat([]byte{0xff}, pad)...)
		datagram = append(datagram, byte(pad), nextHeader)
		code, err := crypto.SessionIntegrityAuthCode(console.suite.integrity, datagram[4:], console.k1, "")
		if err != nil {
			t.Fatal(err)
		}
		_, ok := console.open(append(datagram, code...))
		if ok && (n < 32 || n%16 != 0) {
			t.Errorf("a payload of %d bytes was opened", n)
		}
	}
}

func TestRequestIsAnsweredByItsOwnAnswerOnly(t *testing.T) {
	console, _ := twoEnds(suites()[0])
	ask := console.request(types.CommandGetChassisStatus, nil)
	netFn, cmd := uint8(types.CommandGetChassisStatus.NetFn), types.CommandGetChassisStatus.ID
	for _, c := range []struct {
		name    string
		message []byte
		want    bool
	}{
		{"its own", protocol.BuildIPMIResponse(netFn, cmd, ask.sequence, 0, []byte{1, 2, 3}), true},
		{"one of another request", protocol.BuildIPMIResponse(netFn, cmd, ask.sequence+1, 0, []byte{1, 2, 3}), false},
		{"one to another command", protocol.BuildIPMIResponse(netFn, cmd+1, ask.sequence, 0, nil), false},
		{"one of another function", protocol.BuildIPMIResponse(netFn+2, cmd, ask.sequence, 0, nil), false},
		{"the request itself", ask.bytes, false},
		{"a damaged one", append(protocol.BuildIPMIResponse(netFn, cmd, ask.sequence, 0, nil), 1), false},
		{"an empty one", nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := ask.answeredBy(c.message)
			if ok != c.want || ok && !bytes.Equal(got.data, []byte{1, 2, 3}) {
				t.Errorf("got %+v, %t; want %t", got, ok, c.want)
			}
		})
	}
}

func FuzzSessionOpen(f *testing.F) {
	_, bmc := twoEnds(suites()[0])
	for n := range 3 {
		datagram, err := bmc.seal(make([]byte, 8*n))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(datagram[:len(datagram)-16])
	}
	f.Add([]byte{6, 0, 0xff, 7, 6})
	f.Fuzz(func(t *testing.T, datagram []byte) {
		console, _ := twoEnds(suites()[0])
		if message, ok := console.open(datagram); ok {
			t.Fatalf("opened %x without its key's signature: %x", datagram, message)
		}
		// The same with a signature, to reach what lies behind it.
		if len(datagram) < headerSize {
			return
		}
		code, err := crypto.SessionIntegrityAuthCode(console.suite.integrity, datagram[rmcpHeaderSize:], console.k1, "")
		if err != nil {
			t.Fatal(err)
		}
		if message, ok := console.open(append(datagram, code...)); ok {
			console.request(types.CommandGetChassisStatus, nil).answeredBy(message)
		}
	})
}
