package dns

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
)

// printed runs a program to its end, and returns what it prints.
func printed(t *testing.T, command *exec.Cmd, arguments ...string) string {
	t.Helper()
	command.Args = append(command.Args, arguments...)
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(command.Args, " "), err, out)
	}
	return string(out)
}

// everyType is a question for each type of records, what its data is, as kdig writes it.
var everyType = []struct{ question, want string }{
	{"mail.rich.test A", "192.0.2.25"},
	{"mail.rich.test AAAA", "2001:db8::25"},
	{"rich.test CAA", `0 issue "ca.example.net"`},
	{"www.rich.test CNAME", "mail.rich.test."},
	{"rich.test MX", "10 mail.rich.test."},
	{"rich.test NS", "metald.lab.example."},
	{"host.rich.test PTR", "elsewhere.example.com."},
	{"_ldap._tcp.rich.test SRV", "0 5 389 mail.rich.test."},
	{"key.rich.test SSHFP", "4 2 123456789ABCDEF67890123456789ABCDEF67890123456789ABCDEF123456789"},
	{"rich.test TXT", `"v=spf1 -all"`},
	{"rich.test SOA", "metald.lab.example. hostmaster.rich.test. 7 3600 600 604800 10"},
	{"any.thing.wild.rich.test A", "192.0.2.99"},
	{"65.64/26.2.0.192.in-addr.arpa PTR", "n1.deep.lab.example."},
}

func TestDigAndKdigReadEveryType(t *testing.T) {
	server := serve(t, rack(t), Forward{})
	for _, c := range everyType {
		for _, by := range []string{"+notcp", "+tcp"} {
			fields := strings.Fields(c.question)
			got := strings.TrimSpace(dig(t, server, append([]string{"+short", by}, fields...)...))
			if strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(c.want, " ", "") { // dig breaks long hex
				t.Errorf("dig %s %s: got %q; want %q", by, c.question, got, c.want)
			}
			got = strings.TrimSpace(kdig(t, server, append([]string{"+short", by}, fields...)...))
			if got != c.want {
				t.Errorf("kdig %s %s: got %q; want %q", by, c.question, got, c.want)
			}
		}
	}
}

// kdig asks with Knot's dig.
func kdig(t *testing.T, server netip.AddrPort, arguments ...string) string {
	t.Helper()
	command := peer(t, "kdig")
	command.Args = append(command.Args, "@"+server.Addr().String(), "-p", fmt.Sprint(server.Port()), "+retry=0", "+time=20")
	return printed(t, command, arguments...)
}

func TestKdigUnderstandsAnswers(t *testing.T) {
	server := serve(t, rack(t), Forward{})
	cases := []struct {
		arguments string
		says      []string
	}{
		{"+nsid n1.lab.example", []string{"NSID: 6D6574616C642D31", `"metald-1"`}},
		{"+nsid +tcp rich.test MX", []string{"NSID: 6D6574616C642D31", "mail.rich.test."}},
		{"+edns +bufsize=512 long.rich.test TXT +ignore", []string{"Flags: qr aa tc", "ANSWER: 0"}},
		{"+noedns +ignore long.rich.test TXT", []string{"Flags: qr aa tc", "ANSWER: 0"}},
		{"+noedns long.rich.test TXT", []string{"(TCP)", "ANSWER: 7"}},
		{"x.child.rich.test", []string{"status: NOERROR", "AUTHORITY: 2", "192.0.2.53"}},
		{"lost.rich.test", []string{"status: NXDOMAIN", "nosuch.rich.test."}},
		{"+dnssec n1.lab.example", []string{"status: NOERROR", "flags: do"}},
	}
	for _, c := range cases {
		got := kdig(t, server, strings.Fields(c.arguments)...)
		for _, part := range c.says {
			if !strings.Contains(got, part) {
				t.Errorf("kdig %s does not print %q:\n%s", c.arguments, part, got)
			}
		}
		if strings.Contains(got, "WARNING") && !strings.Contains(c.arguments, "long") {
			t.Errorf("kdig %s warns:\n%s", c.arguments, got)
		}
	}
}

func TestDelvResolves(t *testing.T) {
	server := serve(t, rack(t), Forward{})
	for _, c := range everyType[:4] {
		fields := append([]string{"@" + server.Addr().String(), "-p", fmt.Sprint(server.Port()), "-i", "+short"}, strings.Fields(c.question)...)
		if got := strings.TrimSpace(printed(t, peer(t, "delv"), fields...)); got != c.want {
			t.Errorf("delv -i %s: got %q; want %q", c.question, got, c.want)
		}
	}
}
