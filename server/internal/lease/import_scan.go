package lease

import "strings"

// iscScanner reads the statements of dhcpd.leases: words that end with a semicolon, or before a block of statements.
type iscScanner struct {
	rest  string
	line  int
	big   bool   // numbers within strings are as a big-endian host has them
	fault string // what cannot be read; nothing is read after it
}

const (
	mostWords = 64 // of a statement
	mostDepth = 16 // of blocks that are skipped
)

// statement returns the words of the next statement, and whether a block follows. It returns no words at the end of
// the block or of the text: a file that is copied while it is written may end anywhere.
func (s *iscScanner) statement() (words []string, block bool) {
	for s.fault == "" {
		switch word := s.word(); {
		case word == "" || word == "}" && len(words) == 0:
			return nil, false
		case word == "}":
			s.fault = "a block ends within a statement"
		case word == ";" && len(words) > 0:
			return words, false
		case word == ";":
		case word == "{" && len(words) > 0:
			return words, true
		case word == "{":
			s.fault = "a block has no name"
		case len(words) == mostWords:
			s.fault = "a statement has too many words"
		default:
			words = append(words, word)
		}
	}
	return nil, false
}

// block calls f with each statement of a block, to its end. Blocks within it are skipped.
func (s *iscScanner) block(f func(words []string)) {
	for {
		words, block := s.statement()
		switch {
		case words == nil:
			return
		case block:
			s.skip(1)
		default:
			f(words)
		}
	}
}

// skip reads to the end of a block, which is so deep.
func (s *iscScanner) skip(depth int) {
	if depth == mostDepth {
		s.fault = "blocks are too deep"
	}
	for {
		words, block := s.statement()
		if words == nil {
			return
		}
		if block {
			s.skip(depth + 1)
		}
	}
}

// word returns the next word, a string with its quotes, or one of ; { and }. It returns nothing at the end.
func (s *iscScanner) word() string {
	for {
		s.rest = strings.TrimLeft(s.rest, " \t\r")
		switch {
		case s.rest == "":
			return ""
		case s.rest[0] == '\n':
			s.line++
			s.rest = s.rest[1:]
		case s.rest[0] == '#':
			_, after, more := strings.Cut(s.rest, "\n")
			if s.rest = after; more {
				s.line++
			}
		case strings.IndexByte(";{}", s.rest[0]) >= 0:
			return s.take(1)
		case s.rest[0] == '"':
			return s.quoted()
		default:
			end := strings.IndexAny(s.rest, " \t\r\n;{}\"")
			if end < 0 {
				end = len(s.rest)
			}
			return s.take(end)
		}
	}
}

func (s *iscScanner) quoted() string {
	for i := 1; i < len(s.rest); i++ {
		switch s.rest[i] {
		case '\\':
			i++
		case '"':
			return s.take(i + 1)
		case '\n':
			s.fault = "a string does not end in its line"
			return ""
		}
	}
	s.rest = ""
	return ""
}

func (s *iscScanner) take(n int) string {
	word := s.rest[:n]
	s.rest = s.rest[n:]
	return word
}

// bytes returns those of a string in quotes, or of hex digits with colons, and whether there are not too many.
func (s *iscScanner) bytes(word string) ([]byte, bool) {
	if strings.HasPrefix(word, `"`) {
		raw := unquote(word)
		return []byte(raw), len(raw) <= mostID
	}
	return digits(word)
}
