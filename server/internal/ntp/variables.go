package ntp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A variable is one that ntpq shows (RFC 9327, section 4).
type variable struct{ name, value string }

// text writes variables as ntpq reads them.
func text(all []variable) string {
	var b strings.Builder
	for i, v := range all {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(v.name + "=" + v.value)
	}
	return b.String() + "\r\n"
}

// named returns those of the variables that have one of the names.
func named(all []variable, names []string) (list []variable) {
	for _, v := range all {
		if slices.Contains(names, v.name) {
			list = append(list, v)
		}
	}
	return list
}

// status is the system status word (RFC 9327, section 3.1): the leap indicator, and where the time comes from.
func (s system) status() uint16 {
	const byNTP = 6
	if !s.clock.Synchronised {
		return LeapUnknown << 14
	}
	return uint16(s.clock.Leap)<<14 | byNTP<<8
}

// associations lists the servers that are asked: a number from 1 on, and a status word, of each.
func (s system) associations() []byte {
	var b []byte
	for i := range s.peers {
		b = binary.BigEndian.AppendUint16(b, uint16(i+1))
		b = binary.BigEndian.AppendUint16(b, s.peers[i].status())
	}
	return b
}

// variables are those of the server itself.
func (s system) variables() []variable {
	c := s.clock
	leap, stratum, chosen := int(c.Leap), int(c.Stratum), 0
	if !c.Synchronised {
		leap, stratum = LeapUnknown, 16
	}
	var offset, jitter time.Duration
	for i := range s.peers {
		if p := &s.peers[i]; p.Selection == Chosen {
			chosen, offset, jitter = i+1, p.Offset, p.Jitter
		}
	}
	return []variable{
		{"version", `"metald"`}, {"system", `"Linux"`},
		{"leap", strconv.Itoa(leap)}, {"stratum", strconv.Itoa(stratum)}, {"precision", strconv.Itoa(precision)},
		{"rootdelay", milliseconds(c.RootDelay)}, {"rootdisp", milliseconds(c.RootDispersion)},
		{"refid", reference(c.RefID, c.Stratum)}, {"reftime", hexTime(c.RefTime)}, {"clock", hexTime(s.now)},
		{"peer", strconv.Itoa(chosen)}, {"offset", milliseconds(offset)}, {"sys_jitter", milliseconds(jitter)},
	}
}

// status is the peer status word (RFC 9327, section 3.2): configured, reachable or not, and what it is good for.
func (u *Upstream) status() uint16 {
	const configured, reachable = 0x10, 0x02
	word := uint16(configured)
	if u.Reach != 0 {
		word |= reachable
	}
	return (word<<3 | uint16(u.Selection)) << 8
}

// variables are those of a server that is asked.
func (u *Upstream) variables(now time.Time) []variable {
	leap, stratum := int(u.Leap), int(u.Stratum)
	if u.Heard.IsZero() {
		leap, stratum = LeapUnknown, 16
	}
	address := netip.IPv4Unspecified()
	if u.Address.IsValid() {
		address = u.Address.Addr().WithZone("")
	}
	poll := strconv.Itoa(u.Poll)
	all := []variable{
		{"srcadr", address.String()}, {"srcport", strconv.Itoa(int(u.Address.Port()))}, {"srchost", quoted(u.Name)},
		{"leap", strconv.Itoa(leap)}, {"stratum", strconv.Itoa(stratum)}, {"precision", strconv.Itoa(precision)},
		{"rootdelay", milliseconds(u.RootDelay)}, {"rootdisp", milliseconds(u.RootDispersion)},
		{"refid", reference(u.RefID, u.Stratum)}, {"reftime", hexTime(u.Heard)}, {"rec", hexTime(u.Heard)},
		{"reach", fmt.Sprintf("0x%x", u.Reach)}, {"unreach", "0"}, {"hmode", strconv.Itoa(modeClient)}, {"pmode", strconv.Itoa(modeServer)},
		{"hpoll", poll}, {"ppoll", poll}, {"headway", "0"}, {"flash", "0x0"}, {"keyid", "0"},
		{"offset", milliseconds(u.Offset)}, {"delay", milliseconds(u.Delay)}, {"dispersion", milliseconds(u.Dispersion)},
		{"jitter", milliseconds(u.Jitter)},
	}
	if !u.Heard.IsZero() {
		all = append(all, variable{"timerec", strconv.Itoa(max(0, int(now.Sub(u.Heard)/time.Second)))})
	}
	return all
}

// quoted writes text between quotation marks, without what ends it or is not text.
func quoted(s string) string {
	return `"` + strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' {
			return -1
		}
		return r
	}, s[:min(len(s), 64)]) + `"`
}

// milliseconds is how ntpq wants durations: with microseconds as decimals.
func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', 3, 64)
}

// hexTime is a timestamp of NTP in two halves.
func hexTime(t time.Time) string {
	stamp := timestamp(t)
	return fmt.Sprintf("0x%08x.%08x", uint32(stamp>>32), uint32(stamp))
}

// reference writes a reference id: text of a reference clock, and from the second stratum on an address, or for IPv6 a
// hash that looks like one.
func reference(id [4]byte, stratum uint8) string {
	if stratum <= 1 {
		name := strings.TrimRight(string(id[:]), "\x00")
		if name == "" {
			return "INIT"
		}
		return strings.Trim(quoted(name), `"`)
	}
	return netip.AddrFrom4(id).String()
}
