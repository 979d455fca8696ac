package zone

import (
	"strings"

	"github.com/miekg/dns"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// CheckName refuses what is no domain name as zones have them, in lower case and without the trailing dot: labels of
// letters, digits, hyphens, underscores (RFC 8552), and slashes, which classless reverse zones have (RFC 2317). DNS
// itself allows every byte (RFC 2181, 11), and nothing else that people type is meant. The error is metal.Invalid.
func CheckName(name string) error {
	if len(name) > 253 {
		return metal.Errorf(metal.Invalid, "%.60q... is no domain name: it has %d characters, and 253 are allowed", name, len(name))
	}
	for label := range strings.SplitSeq(name, ".") {
		switch {
		case label == "":
			return metal.Errorf(metal.Invalid, "%q is no domain name: it has an empty label", name)
		case len(label) > 63:
			return metal.Errorf(metal.Invalid, "%q is no domain name: %.20s... has %d characters, and 63 are allowed in a label", name, label, len(label))
		case label[0] == '-' || label[len(label)-1] == '-':
			return metal.Errorf(metal.Invalid, "%q is no domain name: %s begins or ends with a hyphen", name, label)
		}
		for _, c := range label {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '/' {
				return metal.Errorf(metal.Invalid, "%q is no domain name: it has %q in it", name, c)
			}
		}
	}
	return nil
}

// CheckValue refuses a record that can be written but means nothing, whether the API or a DNS UPDATE brings it. The
// error is metal.Invalid, and tells what is wrong with the value.
func CheckValue(rr dns.RR) error {
	var target string
	switch r := rr.(type) {
	case *dns.CNAME:
		target = r.Target
	case *dns.NS:
		target = r.Ns
	case *dns.PTR:
		target = r.Ptr
	case *dns.MX:
		if r.Mx == "." { // no mail at all (RFC 7505)
			return nil
		}
		target = r.Mx
	case *dns.SRV:
		if r.Target == "." { // no such service (RFC 2782)
			return nil
		}
		target = r.Target
	case *dns.CAA:
		if r.Flag != 0 && r.Flag != 128 { // RFC 8659, 4.1
			return metal.Errorf(metal.Invalid, "the flags of a CAA record are 0 or 128")
		}
		return nil
	case *dns.SSHFP:
		// RFC 4255, 3.1.2, and RFC 6594: SHA-1 has 20 bytes, SHA-256 has 32.
		if want := map[uint8]int{1: 40, 2: 64}[r.Type]; want != 0 && len(r.FingerPrint) != want {
			return metal.Errorf(metal.Invalid, "its fingerprint has not the length of its kind")
		}
		return nil
	default:
		return nil
	}
	return CheckName(strings.ToLower(strings.TrimSuffix(target, ".")))
}
