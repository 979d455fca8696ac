package fleet

import (
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// recordValues reads the values of a record set as they stand in a zone file, and returns them in one form: names
// fully qualified, each value once. TXT values may come without quotes; all of it is one text then.
func recordValues(zone, fqdn, kind string, values []string) ([]string, error) {
	var out []string
	for _, v := range values {
		value, err := recordValue(zone, fqdn, kind, v)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(out, value) {
			out = append(out, value)
		}
	}
	if len(out) == 0 {
		return nil, metal.Errorf(metal.Invalid, "the %s record set of %s has no value: give one, or delete the set", kind, fqdn)
	}
	return out, nil
}

func recordValue(zone, fqdn, kind, value string) (string, error) {
	text := strings.TrimSpace(value)
	wrong := func(why string) error {
		return metal.Errorf(metal.Invalid, "%.200q is not the value of a %s record of %s: %s", value, kind, fqdn, why)
	}
	if kind == "TXT" && !strings.HasPrefix(text, `"`) {
		text = quoted(text)
	}
	if why := notAValue(text); why != "" {
		return "", wrong(why)
	}
	// The zone parser reads includes and other directives only at the beginning of a line, and there is one line.
	parser := dns.NewZoneParser(strings.NewReader(dns.Fqdn(fqdn)+" 0 IN "+kind+" "+text+"\n"), dns.Fqdn(zone), "")
	rr, ok := parser.Next()
	if err := parser.Err(); err != nil || !ok {
		return "", wrong("it is written otherwise, see RFC 1035 and the one of its type")
	}
	if _, more := parser.Next(); more || rr.Header().Rrtype != dns.StringToType[kind] {
		return "", wrong("it is more than one value")
	}
	if why := meaningless(rr); why != "" {
		return "", wrong(why)
	}
	return strings.TrimPrefix(rr.String(), rr.Header().String()), nil
}

// quoted writes a text as the strings of a TXT record, which hold 255 bytes each.
func quoted(text string) string {
	var parts []string
	for len(text) > 255 {
		parts = append(parts, text[:255])
		text = text[255:]
	}
	parts = append(parts, text)
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	for i, p := range parts {
		parts[i] = `"` + escape.Replace(p) + `"`
	}
	return strings.Join(parts, " ")
}

// notAValue says what makes a text more than one value for the parser; empty for nothing.
func notAValue(text string) string {
	inQuotes := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c < ' ' && c != '\t' || c == 0x7f:
			return "it has a control character in it"
		case c == '\\':
			i++
		case c == '"':
			inQuotes = !inQuotes
		case !inQuotes && strings.IndexByte("();", c) >= 0:
			return "parentheses and comments stand in zone files only; put text into quotes"
		}
	}
	if inQuotes {
		return "a quote does not end"
	}
	return ""
}

// meaningless says what is wrong with a value that can be written; empty for nothing.
func meaningless(rr dns.RR) string {
	var names []string
	switch r := rr.(type) {
	case *dns.CNAME:
		names = []string{r.Target}
	case *dns.NS:
		names = []string{r.Ns}
	case *dns.PTR:
		names = []string{r.Ptr}
	case *dns.MX:
		if r.Mx == "." { // no mail at all (RFC 7505)
			return ""
		}
		names = []string{r.Mx}
	case *dns.SRV:
		if r.Target == "." { // no such service (RFC 2782)
			return ""
		}
		names = []string{r.Target}
	case *dns.CAA:
		if r.Flag != 0 && r.Flag != 128 { // RFC 8659, 4.1
			return "the flags of a CAA record are 0 or 128"
		}
	case *dns.SSHFP:
		// RFC 4255, 3.1.2, and RFC 6594: SHA-1 has 20 bytes, SHA-256 has 32.
		if want := map[uint8]int{1: 40, 2: 64}[r.Type]; want != 0 && len(r.FingerPrint) != want {
			return "its fingerprint has not the length of its kind"
		}
	}
	for _, name := range names {
		if err := checkName(strings.ToLower(strings.TrimSuffix(name, "."))); err != nil {
			return err.Error()
		}
	}
	return ""
}
