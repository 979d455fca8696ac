package fleet

import (
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/zone"
)

// recordValues reads the values of a record set as they stand in a zone file, and returns them in one form: names
// fully qualified, each value once. TXT values may come without quotes; all of it is one text then.
func recordValues(within, fqdn, kind string, values []string) ([]string, error) {
	var out []string
	for _, v := range values {
		value, err := recordValue(within, fqdn, kind, v)
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

func recordValue(within, fqdn, kind, value string) (string, error) {
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
	parser := dns.NewZoneParser(strings.NewReader(dns.Fqdn(fqdn)+" 0 IN "+kind+" "+text+"\n"), dns.Fqdn(within), "")
	rr, ok := parser.Next()
	if err := parser.Err(); err != nil || !ok {
		return "", wrong("it is written otherwise, see RFC 1035 and the one of its type")
	}
	if _, more := parser.Next(); more || rr.Header().Rrtype != dns.StringToType[kind] {
		return "", wrong("it is more than one value")
	}
	if err := zone.CheckValue(rr); err != nil {
		return "", wrong(err.Error())
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
