package zone

import (
	"strings"
	"unsafe"

	"github.com/miekg/dns"
)

// name is a domain name in the form in which it is sent (RFC 1035, section 3.1), in lower case: two spellings of one
// name are equal, a dot within a label is no separator, and the name of the parent is the end of it.
type name string

// root is the name above all.
const root = name("\x00")

// parseName reads a name as people write it, with or without the trailing dot.
func parseName(text string) (name, bool) {
	var buf [256]byte
	end, err := dns.PackDomainName(dns.Fqdn(text), buf[:], 0, nil, false)
	if err != nil || end > 255 { // RFC 1035, section 3.1
		return "", false
	}
	Lower(buf[:end])
	return name(buf[:end]), true
}

// Lower turns the letters of a name in the form in which it is sent into lower case, in place. The bytes that tell the
// lengths of labels are below the letters.
func Lower(wire []byte) {
	for i, c := range wire {
		if 'A' <= c && c <= 'Z' {
			wire[i] = c + ('a' - 'A')
		}
	}
}

// borrow makes a name of the bytes that it is in, without a copy: it must not outlive them, nor be kept.
func borrow(wire []byte) name {
	return name(unsafe.String(unsafe.SliceData(wire), len(wire)))
}

// text is the name as people write it, with the trailing dot.
func (n name) text() string {
	text, _, err := dns.UnpackDomainName([]byte(n), 0)
	if err != nil { // every name was packed before
		return "."
	}
	return text
}

// parent is the name without its first label; the root is its own.
func (n name) parent() name {
	if n == root {
		return root
	}
	return n[1+int(n[0]):]
}

// labels counts the labels, the root not among them.
func (n name) labels() (count int) {
	for n != root {
		n = n.parent()
		count++
	}
	return count
}

// within says whether the name is apex or below it.
func (n name) within(apex name) bool {
	for len(n) > len(apex) {
		n = n.parent()
	}
	return n == apex
}

// wild says whether the first label is an asterisk (RFC 4592, section 2.1.1).
func (n name) wild() bool { return strings.HasPrefix(string(n), "\x01*") }

// wildcard is the name of the wildcard right below n.
func (n name) wildcard() name { return "\x01*" + n }
